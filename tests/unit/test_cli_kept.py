"""`reef ips evidence` and `reef ips files`: what lies in the stores, where it came from, and taking it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from appliance.commands.kept import matched
from appliance.control.processes import PROCESSES, Identity, Instance, encode_instance
from appliance.events import record
from appliance.events.record import Event
from appliance.events.spool import Spool
from appliance.events.stored import Held, NotWhatItSays, held, save

ROOT = Path(__file__).parents[2]
AT = 1_795_000_000.0


def put(folder: Path, content: bytes, *, name: str = "", at: float = AT) -> str:
    digest = name or sha256(content).hexdigest()
    part = folder / digest[:2]
    part.mkdir(parents=True, exist_ok=True)
    (part / digest).write_bytes(content)
    os.utime(part / digest, (at, at))
    return digest


def event(event_type: str, flow: int, **fields: object) -> Event:
    return Event(
        timestamp=record.format_time(AT - 5),
        event_type=event_type,
        flow_id=flow,
        src_ip="10.20.0.12",
        src_port=40000,
        dest_ip="2001:db8::5",
        dest_port=80,
        proto="TCP",
        **fields,  # type: ignore[arg-type]
    )


def alert(flow: int, sid: int, words: str) -> Event:
    return event("alert", flow, alert={"gid": 1, "signature_id": sid, "signature": words})


def evidence(flow: int, digest: str) -> Event:
    return event("engine", flow, engine={"module": "evidence", "message": f"packets kept: {digest}"})


# --- the store -----------------------------------------------------------------------------------------------


def test_what_a_store_holds_is_told_in_its_order(tmp_path: Path) -> None:
    second, first = put(tmp_path, b"second", at=AT + 1), put(tmp_path, b"first", at=AT)
    assert held(tmp_path) == [Held(first, 5, AT), Held(second, 6, AT + 1)]
    assert held(tmp_path / "missing") == []


def test_nothing_but_plain_files_in_their_places_is_seen(tmp_path: Path) -> None:
    digest = put(tmp_path / "store", b"what is kept")
    part = tmp_path / "store" / digest[:2]
    (part / "readme").write_text("no digest")
    (part / (digest[:2] + "0" * 62)).symlink_to("/etc/passwd")
    os.mkfifo(part / (digest[:2] + "1" * 62))
    other = f"{(int(digest[:2], 16) + 1) % 256:02x}"
    (tmp_path / "store" / other).symlink_to(part)
    (tmp_path / "store" / "tmp").mkdir()
    assert [one.digest for one in held(tmp_path / "store")] == [digest]
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(OSError, match="link"):
        held(tmp_path / "link")


def test_what_is_saved_is_what_its_name_says(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    digest = put(tmp_path / "store", content)
    to = tmp_path / "out"
    assert save(tmp_path / "store", digest, to) == len(content)
    assert to.read_bytes() == content
    assert to.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        save(tmp_path / "store", digest, to)


def test_other_bytes_links_and_pipes_leave_nothing_behind(tmp_path: Path) -> None:
    store, to = tmp_path / "store", tmp_path / "out"
    wrong = put(store, b"changed", name="ab" + "0" * 62)
    with pytest.raises(NotWhatItSays, match=sha256(b"changed").hexdigest()):
        save(store, wrong, to)
    right = sha256(b"elsewhere").hexdigest()
    (tmp_path / "elsewhere").write_bytes(b"elsewhere")
    (store / right[:2]).mkdir()
    (store / right[:2] / right).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        save(store, right, to)
    pipe = "cd" + "0" * 62
    (store / "cd").mkdir()
    os.mkfifo(store / "cd" / pipe)
    with pytest.raises(NotWhatItSays, match="plain file"):
        save(store, pipe, to)
    assert not to.exists()


# --- with the log --------------------------------------------------------------------------------------------


def test_flows_and_rules_come_from_the_log() -> None:
    digest, other = "ab" * 32, "cd" * 32
    [known, unknown] = matched(
        [Held(digest, 7, AT), Held(other, 8, AT)],
        [
            alert(1, 100, "first"), alert(1, 101, "second"), alert(1, 100, "first"), alert(2, 102, "elsewhere"),
            evidence(1, digest), event("engine", 1, engine={"module": "rules", "message": f"packets kept: {other}"}),
        ],
    )  # fmt: skip
    [flow] = known.flows
    assert flow.alerts == ("1:100 first", "1:101 second")
    assert (flow.flow, flow.source, flow.destination) == (1, "10.20.0.12:40000", "[2001:db8::5]:80")
    assert flow.time == AT - 5
    assert unknown.flows == ()


def test_a_file_that_came_twice_has_both_its_names() -> None:
    digest = "ab" * 32
    events = [
        event("fileinfo", flow, app_proto="http", fileinfo={"filename": name, "sha256": digest, "magic": "data"})
        for flow, name in ((1, "/a.exe"), (2, "/b.exe"), (2, "/b.exe"))
    ]
    [file] = matched([Held(digest, 7, AT)], events)
    assert [(one.flow, one.name, one.kind, one.protocol) for one in file.flows] == [
        (1, "/a.exe", "data", "http"),
        (2, "/b.exe", "data", "http"),
    ]


# --- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def gateway(tmp_path: Path) -> Instance:
    identities = {one.name: Identity(os.geteuid(), os.getegid()) for one in PROCESSES}
    instance = Instance(
        "dead", str(tmp_path / "run"), str(tmp_path / "state"), str(tmp_path / "config"), identities, os.getegid()
    )
    (tmp_path / "instance.json").write_bytes(encode_instance(instance))
    return instance


def reef(gateway: Instance, *words: str) -> subprocess.CompletedProcess[str]:
    file = Path(gateway.run).parent / "instance.json"
    return subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--instance", str(file), "ips", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_packets_of_an_alert_are_listed_shown_and_saved(gateway: Instance, tmp_path: Path) -> None:
    digest = put(gateway.state_of("inspectd") / "evidence", b"a capture")
    spool = Spool(gateway.events_of("inspectd"))
    spool.append(record.encode(alert(7, 100, "bad \x1b[31m")) + record.encode(evidence(7, digest)), 2)
    spool.close()
    listed = reef(gateway, "evidence")
    assert listed.returncode == 0, listed.stderr
    [line] = [line for line in listed.stdout.splitlines() if digest[:16] in line]
    assert "1:100 bad \\x1b[31m" in line
    assert "10.20.0.12:40000" in line
    assert reef(gateway, "evidence", "list").stdout == listed.stdout
    data = json.loads(reef(gateway, "evidence", "--json").stdout)
    assert data["bytes"] == 9
    assert data["kept"][0]["flows"][0]["flow"] == 7
    shown = reef(gateway, "evidence", "show", digest[:6])
    assert digest in shown.stdout
    assert "rule 1:100" in shown.stdout
    out = tmp_path / "out.pcap"
    saved = reef(gateway, "evidence", "save", digest[:6].upper(), str(out), "--json")
    assert json.loads(saved.stdout) == {"digest": digest, "size": 9, "file": str(out)}
    assert out.read_bytes() == b"a capture"
    again = reef(gateway, "evidence", "save", digest, str(out))
    assert again.returncode == 5
    assert "is there already" in again.stderr


def test_files_are_another_store(gateway: Instance) -> None:
    digest = put(gateway.state_of("inspectd") / "files", b"a file")
    assert digest[:16] in reef(gateway, "files").stdout
    empty = reef(gateway, "evidence")
    assert empty.returncode == 0
    assert "nothing is kept; settings.keep_evidence says what is" in empty.stdout
    shown = reef(gateway, "files", "show", digest)
    assert "the log does not speak of it any more" in shown.stderr


def test_digests_that_name_nothing_or_too_much_are_refused(gateway: Instance, tmp_path: Path) -> None:
    store = gateway.state_of("inspectd") / "files"
    put(store, b"x", name="abcd" + "0" * 60)
    put(store, b"x", name="abcd" + "1" * 60)
    assert reef(gateway, "files", "show", "abc").returncode == 2
    assert reef(gateway, "files", "show", "../../etc/passwd").returncode == 2
    missing = reef(gateway, "files", "show", "ffff")
    assert missing.returncode == 1
    assert "nothing of that digest is kept" in missing.stderr
    both = reef(gateway, "files", "show", "abcd")
    assert "2 digests begin so" in both.stderr
    assert "abcd00000000, abcd11111111" in both.stderr
    tampered = reef(gateway, "files", "save", "abcd0", str(tmp_path / "out"))
    assert tampered.returncode == 1
    assert "is not what its name says" in tampered.stderr
    assert not (tmp_path / "out").exists()
