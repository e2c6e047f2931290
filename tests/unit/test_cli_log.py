"""`reef log`: events as lines, chosen, followed over a change of files, and readable while every daemon is dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.commands.logline import line_of, networks_of
from appliance.commands.names import Names
from appliance.commands.terminal import escape
from appliance.control.messages.gateway import NameBook
from appliance.control.processes import PROCESSES, Identity, Instance, encode_instance
from appliance.events import record
from appliance.events.record import Decision, Event
from appliance.events.spool import Spool, SpoolLimits
from appliance.policy.compiling.bundle import ZoneInfo
from appliance.policy.model import InterfaceAddress

ROOT = Path(__file__).parents[2]
NAMES = Names(
    NameBook(
        3, "health",
        zones=(ZoneInfo("lan", ("lan0",)), ZoneInfo("internet", ("wan0",))),
        rules=(),
        objects={"portal": ("10.21.0.10",), "farm": ("10.22.0.5-10.22.0.9",)},
        services={"web": ("tcp/443",)},
        networks={"lan": ("10.20.0.0/16",)},
        addresses=(InterfaceAddress("wan0", "203.0.113.2/24"),),
    )
)  # fmt: skip
AT = 1_795_000_000.25
STAMP = record.format_time(AT)
TODAY = time.strftime("%Y-%m-%d", time.localtime(AT))
CLOCK = time.strftime("%H:%M:%S", time.localtime(AT)) + ".250"


def event(event_type: str, rule: str = "", action: str = "", **fields: object) -> Event:
    """A connection from lan to internet, over TCP to port 443 where `fields` say nothing else."""
    known: dict[str, object] = {
        "timestamp": STAMP,
        "event_type": event_type,
        "src_ip": "10.20.0.12",
        "src_port": 40000,
        "dest_ip": "198.51.100.80",
        "dest_port": 443,
        "proto": "TCP",
        "metadata": record.metadata(Decision("reef", rule, action, "lan", "internet")) if rule else None,
    }
    return msgspec.convert({**known, **fields}, Event, from_attributes=True)


ENDED = {"end": STAMP, "age": 75, "bytes_toserver": 1500, "bytes_toclient": 9}
ANSWER = {
    "type": "response",
    "queries": [{"rrname": "a.example", "rrtype": "A"}],
    "answers": [{"rdata": f"192.0.2.{number}"} for number in range(6)],
}


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            event("flow", "R-3", "allow", flow={"start": STAMP}),
            "ALLOW    R-3           lan → internet      10.20.0.12 → 198.51.100.80  web(tcp/443)",
        ),
        (
            event("drop", "default", "deny", dest_port=22),
            "DENY     default       lan → internet      10.20.0.12 → 198.51.100.80  ssh(tcp/22)",
        ),
        (
            event("drop", "R-6", "reject", dest_ip="10.21.0.10"),
            "REJECT   R-6           lan → internet      10.20.0.12 → portal(10.21.0.10)  web(tcp/443)",
        ),
        (
            event("flow", "R-3", "allow", flow=ENDED),
            "end      R-3           lan → internet      10.20.0.12 → 198.51.100.80  web(tcp/443)  "
            "after 1:15, sent 1.5 kB, received 9 B",
        ),
        (
            event("drop", "default", "deny", src_ip="8.8.8.8", dest_ip="203.0.113.2", proto="ICMP", icmp_type=8,
                  src_port=None, dest_port=None, metadata=record.metadata(Decision("reef", "default", "deny"))),
            "DENY     default       internet → gateway  8.8.8.8 → gateway(203.0.113.2)  icmp/echo-request",
        ),
        (
            event("dns", proto="UDP", dest_port=53, dns=ANSWER),
            "dns      -             lan → internet      10.20.0.12 → 198.51.100.80  dns(udp/53)  "
            "answers a.example A: 192.0.2.0, 192.0.2.1, 192.0.2.2, 192.0.2.3 and 2 more",
        ),
        (
            event("tls", tls={"sni": "www.example.org"}),
            "tls      -             lan → internet      10.20.0.12 → 198.51.100.80  web(tcp/443)  www.example.org",
        ),
        (
            event("http", dest_port=80, http={"hostname": "www.example.org", "http_method": "GET", "url": "/a"}),
            "http     -             lan → internet      10.20.0.12 → 198.51.100.80  http(tcp/80)  "
            "GET www.example.org/a",
        ),
        (
            record.notice("spool", "3 events were lost", seconds=AT, error="disk full"),
            "engine   -                                 spool: 3 events were lost: disk full",
        ),
    ],
)  # fmt: skip
def test_an_event_is_one_line_in_the_words_of_the_policy(made: Event, line: str) -> None:
    assert line_of(made, NAMES, TODAY) == f"{CLOCK}  {line}"


def test_an_event_of_another_day_says_the_day() -> None:
    assert line_of(event("tls"), NAMES, "2020-01-01").startswith(f"{TODAY} {CLOCK}  tls")


@given(st.text(max_size=200), st.text(max_size=40))
def test_nothing_that_was_on_the_wire_reaches_the_terminal_raw(said: str, name: str) -> None:
    made = [
        event("http", http={"hostname": said, "http_method": name, "url": said}),
        event("dns", dns={"type": "request", "queries": [{"rrname": said, "rrtype": name}]}),
        event("tls", tls={"sni": said}),
        event("anomaly", anomaly={"event": said}),
        event("drop", "R-1", "deny", src_ip=said, proto=name),
        event(said[:10] or "x", timestamp=said),
    ]
    for one in made:
        line = line_of(one, NAMES, TODAY)
        assert escape(line) == line


def test_a_host_may_be_an_address_a_network_a_range_or_an_object() -> None:
    found = networks_of(["10.0.0.1", "10.0.0.0/8", "portal", "farm", "192.0.2.1-192.0.2.2"], NAMES)
    assert [str(network) for network in found] == [
        "10.0.0.1/32", "10.0.0.0/8", "10.21.0.10/32",
        "10.22.0.5/32", "10.22.0.6/31", "10.22.0.8/31",
        "192.0.2.1/32", "192.0.2.2/32",
    ]  # fmt: skip
    for wrong in ("nobody", "10.0.0.300", "10.0.0.9-10.0.0.1", "10.0.0.1-::1"):
        with pytest.raises(ValueError, match="no object of the running policy"):
            networks_of([wrong], NAMES)


# --- the command, on spools of its own -----------------------------------------------------------------


@pytest.fixture
def gateway(tmp_path: Path) -> Instance:
    """An instance whose daemons are all dead."""
    identities = {row.name: Identity(os.geteuid(), os.getegid()) for row in PROCESSES}
    instance = Instance(
        "dead", str(tmp_path / "run"), str(tmp_path / "state"), str(tmp_path / "config"), identities, os.getegid()
    )
    (tmp_path / "instance.json").write_bytes(encode_instance(instance))
    return instance


def command(gateway: Instance, *arguments: str) -> list[str]:
    file = Path(gateway.run).parent / "instance.json"
    return [sys.executable, "-m", "appliance.cli", "--instance", str(file), "log", *arguments]


def reef_log(gateway: Instance, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(gateway, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def append(spool: Spool, *events: Event) -> None:
    spool.append(b"".join(record.encode(one) for one in events), len(events))


def test_the_log_is_readable_while_every_daemon_is_dead(gateway: Instance) -> None:
    spool = Spool(gateway.events_of("inspectd"))
    append(
        spool, event("flow", "R-3", "allow", flow={}), event("drop", "R-6", "reject"), event("tls", tls={"sni": "x"})
    )
    result = reef_log(gateway, "--action", "reject")
    assert result.returncode == 0
    assert "without names: policyd does not answer" in result.stderr
    (line,) = result.stdout.splitlines()
    assert "REJECT   R-6" in line
    for chosen, count in (
        ("--rule=R-3", 1),
        ("--type=tls", 1),
        ("--zone=lan", 2),
        ("--host=10.20.0.12", 3),
        ("--limit=2", 2),
    ):
        assert len(reef_log(gateway, chosen).stdout.splitlines()) == count, chosen
    assert len(reef_log(gateway, "--since", "2027-01-01").stdout.splitlines()) == 0


def test_json_is_one_record_of_the_published_schema_per_line(gateway: Instance) -> None:
    append(Spool(gateway.events_of("inspectd")), event("drop", "R-6", "reject"), event("tls", tls={"sni": "x"}))
    lines = [json.loads(line) for line in reef_log(gateway, "--json").stdout.splitlines()]
    assert [line["event_type"] for line in lines] == ["drop", "tls"]
    assert lines[0]["metadata"]["flowvars"] == [
        {"gid": "reef", "rule": "R-6", "action": "reject", "from": "lan", "to": "internet"}
    ]


def test_following_survives_the_change_of_files_and_ends_quietly(gateway: Instance) -> None:
    spool = Spool(gateway.events_of("inspectd"), SpoolLimits(segment=4096, total=1 << 20))
    append(spool, event("flow", "R-0", "allow", flow={}))
    process = subprocess.Popen(
        command(gateway, "--follow"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdout is not None
    assert "R-0" in process.stdout.readline()
    for number in range(1, 101):
        append(spool, event("flow", f"R-{number}", "allow", flow={}))
    assert len(list(gateway.events_of("inspectd").glob("*.log"))) > 3
    seen = [process.stdout.readline().split()[3] for _ in range(100)]
    assert seen == [f"R-{number}" for number in range(1, 101)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_a_wrong_time_or_host_is_wrong_usage(gateway: Instance) -> None:
    for arguments, hint in ((["--since", "soon"], "15m, 2h, 3d"), (["--host", "nobody"], "no address")):
        result = reef_log(gateway, *arguments)
        assert result.returncode == 2
        assert hint in result.stderr


def test_a_log_without_events_says_so(gateway: Instance) -> None:
    result = reef_log(gateway)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.endswith("nothing was logged yet\n")
