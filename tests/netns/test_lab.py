"""A lab comes and goes without a trace, beside others, and after a crash."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.lab import site
from appliance.lab.netns import MOUNTS, RESOLVERS
from appliance.lab.site import Lab, LabError
from tests.netns.conftest import lab_id, until
from tests.netns.readable import readable

PROJECT = Path(__file__).resolve().parents[2]


def machine() -> dict[str, object]:
    """What a lab must leave as it was: links, addresses, routes, rules, mounts and files of this namespace."""

    def ask(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {
        "links": [(link["ifname"], link["flags"]) for link in json.loads(ask("ip", "-j", "link"))],
        "addresses": ask("ip", "-br", "address"),
        "routes": ask("ip", "route"),
        "tables": ask("nft", "list", "tables"),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "namespaces": namespaces_of(""),
        "mounts": sorted(mount for mount in mounts if lab_id() in mount),
        # Others work on this machine too: only what a lab might leave is looked at.
        "/run": sorted(path.name for path in Path("/run").iterdir() if path.name in {"sshd", "reef"}),
        "/etc": sorted(path.name for path in Path("/etc").iterdir() if "reef" in path.name),
    }


def namespaces_of(lab: str) -> list[str]:
    """Mount points of a lab; of labs of this test run when none is named."""
    return sorted(path.name for path in MOUNTS.glob(f"reef{lab or lab_id()}*"))


def children_of(lab: str) -> list[str]:
    """The command lines of processes that belong to a lab."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if f"/run/reef-lab/{lab}/" in line:
                found.append(line)
    return found


def sent_by_web(lab: Lab) -> int:
    links = json.loads(lab.run("web", "ip", "-s", "-j", "link", "show", "eth0").stdout)
    return int(links[0]["stats64"]["tx"]["bytes"])


@pytest.fixture
def before() -> Iterator[dict[str, object]]:
    # The first namespace on a machine makes /run/netns a mount, which stays, as it does with ip(8).
    with Lab(lab_id("0"), policies={}, rows=(), traffic=False):
        pass
    yield machine()


def test_a_lab_leaves_nothing_behind(before: dict[str, object]) -> None:
    with Lab(lab_id("a"), traffic=True) as lab:
        assert len(namespaces_of(lab.lab)) == len(lab.topology.hosts)
        assert children_of(lab.lab)
        untouched = ("links", "addresses", "routes", "tables", "forwarding", "/run", "/etc")
        during = machine()
        assert {what: during[what] for what in untouched} == {what: before[what] for what in untouched}
        name = lab.lab
        directory = lab.directory
    assert machine() == before
    assert children_of(name) == []
    assert not directory.exists()
    assert not list(RESOLVERS.glob(f"reef{name}-*"))


def test_two_labs_stand_side_by_side(before: dict[str, object]) -> None:
    """The same addresses in both, other users, and no packet from one to the other."""
    with Lab(lab_id("a"), traffic=False) as one, Lab(lab_id("b"), traffic=False) as two:
        numbers = [{who.uid for who in lab.gateway.instance.identities.values()} for lab in (one, two)]
        assert not numbers[0] & numbers[1]
        assert set(site.running()) >= {one.lab, two.lab}
        for lab in (one, two):
            page = lab.run("lan1", "curl", "-4", "-s", "http://www.example.org/")
            assert page.stdout == "web serves / to 203.0.113.2\n", page.stderr
        seen = sent_by_web(one)
        two.run("lan1", "curl", "-s", "http://www.example.org/bytes/100000")
        assert sent_by_web(two) > 100_000
        assert sent_by_web(one) < seen + 50_000
    assert machine() == before


def test_nothing_is_dropped_unread_once_the_lab_is_up() -> None:
    """P-1 is inspected fail-closed, so its first packet would be, while inspection has no rules yet."""
    said: list[str] = []
    with Lab(lab_id("a"), traffic=False, log=lambda who, line: said.append(line)) as lab:
        page = lab.run("m2", "curl", "-4", "-s", "http://www.health.example/").stdout
        os.kill(lab.gateway.pid("verdictd"), signal.SIGTERM)  # the last it does is to tell what it has dropped
        until(lambda: any("ended with exit code 0" in line for line in said), "verdictd ends", lab=lab)
    assert page == "dmz serves / to 192.0.2.2\n"
    assert [line for line in said if "nobody inspected" in line] == []


def test_an_id_is_given_out_once() -> None:
    with Lab(lab_id("a"), policies={}, rows=(), traffic=False) as lab, pytest.raises(LabError, match="runs already"):
        Lab(lab.lab, policies={}, rows=(), traffic=False).start()


@pytest.mark.parametrize("wrong", ["", "Health", "a b", "../x", "averylongname"])
def test_a_wrong_id_is_refused_with_words(wrong: str) -> None:
    with pytest.raises(LabError, match="one to ten small letters and digits"):
        Lab(wrong)


def test_what_does_not_run_is_said_with_what_does() -> None:
    with Lab(lab_id("a"), policies={}, rows=(), traffic=False) as lab:
        with pytest.raises(LabError, match=f"running labs: .*{lab.lab}"):
            site.instance_file("nosuchlab")
        assert site.instance_file(lab.lab) == lab.gateway.file


class Demo:
    """`python -m appliance.lab` in a process of its own."""

    def __init__(self, lab: str, *more: str, before: Callable[[], object] | None = None) -> None:
        self.lab = lab
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance.lab", "--id", lab, *more],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=before,
        )
        self.lines: list[str] = []

    def read_until(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        pytest.fail(f"the demo ended without saying {words!r}:\n{''.join(self.lines)}")

    def read_until_all(self, *words: str) -> None:
        """In whatever order they come, wherever lines are broken."""
        deadline = time.monotonic() + 50
        while missing := [word for word in words if word not in " ".join("".join(self.lines).split())]:
            assert time.monotonic() < deadline, f"it lacks {missing}:\n{''.join(self.lines)}"
            self.read_until("")

    def end(self, number: int) -> str:
        """Send a signal; everything it printed until it ended."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        return "".join(self.lines) + rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_ends_the_demo_and_removes_everything(before: dict[str, object], number: signal.Signals) -> None:
    demo = Demo(lab_id("a"))
    demo.read_until("Ctrl-C ends the lab")
    time.sleep(random.uniform(0.0, 0.5))  # at any moment of its loop
    said = demo.end(number)
    assert demo.process.returncode == 0, said
    assert "nothing of it is left" in said
    assert machine() == before
    assert children_of(demo.lab) == []


def test_with_nohup_it_outlives_the_terminal() -> None:
    demo = Demo(lab_id("a"), "--no-traffic", before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    demo.read_until("Ctrl-C ends the lab")
    demo.process.send_signal(signal.SIGHUP)
    assert (
        "runs"
        in subprocess.run(
            [sys.executable, "-m", "appliance.cli", "--lab", demo.lab, "show", "status"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert demo.process.poll() is None
    assert "nothing of it is left" in demo.end(signal.SIGTERM)


def test_ctrl_c_during_the_start_removes_what_was_made(before: dict[str, object]) -> None:
    demo = Demo(lab_id("a"))
    demo.read_until("Starting the lab")
    time.sleep(random.uniform(0.0, 2.0))
    demo.process.send_signal(signal.SIGINT)
    said = demo.end(signal.SIGINT)  # and once more, by an impatient hand
    assert demo.process.returncode == 0, said
    assert machine() == before
    assert children_of(demo.lab) == []


def test_the_next_start_cleans_up_after_a_kill(before: dict[str, object]) -> None:
    """kill -9 of the demo: its processes die with it, the namespaces stay until the next lab starts."""
    demo = Demo(lab_id("a"), "--no-traffic")
    demo.read_until("Ctrl-C ends the lab")
    demo.end(signal.SIGKILL)
    assert namespaces_of(demo.lab)
    until(lambda: not children_of(demo.lab), "the lab's processes end with it")
    said: list[str] = []
    with Lab(lab_id("b"), policies={}, rows=(), traffic=False, log=lambda who, line: said.append(line)):
        assert f"removed what lab {demo.lab} had left behind" in said
        assert not namespaces_of(demo.lab)
    assert machine() == before


def test_a_demo_with_an_end_tells_what_it_saw_and_succeeds(before: dict[str, object]) -> None:
    """For CI: `reef lab --for 7s`. What the policy allows is reached, what it forbids is not."""
    demo = Demo(lab_id("a"), "--for", "7s", "--pace", "0.3s")
    said, _ = demo.process.communicate(timeout=50)
    assert demo.process.returncode == 0, said
    assert ": now " not in said, said
    assert "of what it forbids, they reached 0 and missed" in said, said
    assert "and missed 0; of what" in said, said
    assert machine() == before


def test_what_a_hostile_host_does_is_stopped_and_explained_and_a_new_device_is_noticed(tmp_path: Path) -> None:
    """Scan, exploit, flood, and somebody whom only the CSIRT takes for an attacker; that others lose nothing by it, a
    demo with an end shows."""
    text = site.POLICIES["gw"].read_text(encoding="utf-8")
    assert "learning: 10 seconds" in text
    (tmp_path / "policy.yaml").write_text(text.replace("learning: 10 seconds", "learning: 1 second"))
    demo = Demo(lab_id("a"), "--pace", "0.3s", "--policy", str(tmp_path / "policy.yaml"))
    demo.read_until_all(
        "FOUND Port scan",
        "hostile: a scan of the gateway: not reached",
        "is banned for 1 hour by detection port-scan, A-1. Take it back: reef unban 203.0.113.101",
        "a path that leaves the web root (severity 1, blocked)",
        "is banned for 1 hour by signature 1:9870002",
        "hostile: an exploit against the web site: not reached",
        "hostile: a flood of SYNs to the web site: not reached",
        " syn-flood",
        "more like it: allow P-1, from 203.0.113.121",
        "csirt: an alert of 203.0.113.141, read by TAXII: reached",
        "csirt: an indicator for 203.0.113.141, posted by TAXII: reached",
        "hostile: a look for a way to log in to the web site: not reached",
        "FOUND New device",
        "b8:27:eb:20:07:77, made by Raspberry Pi Foundation, showed itself in zone lan",
    )
    said = demo.end(signal.SIGTERM)
    assert demo.process.returncode == 0, said
    assert "of what it forbids, they reached 0 and missed" in said, said
    assert "allowed attempts came through" in said, said


def test_what_it_says_to_try_works_as_printed(before: dict[str, object]) -> None:
    """Each command of the list, copied and pasted; what must be refused is refused."""
    demo = Demo(lab_id("a"), "--no-traffic")
    demo.read_until("Ctrl-C ends the lab")
    came: dict[str, tuple[int, str]] = {}
    for line in demo.lines:
        command = line.strip()
        if command.startswith((".venv/", "ip netns exec")):
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            came[command.partition(demo.lab)[2]] = (done.returncode, done.stdout + done.stderr)
    demo.end(signal.SIGINT)
    refused = {what: out for what, out in came.items() if out[0]}
    assert len(came) >= 8, demo.lines
    assert {what.split()[0] for what in refused} == {"-lan2", "-hostile"}, refused
    assert "refused" in came["-lan2 nc -w 2 -vz mail.example.org 25"][1]
    assert "lab-ministry" in came[" show status"][1]
    assert machine() == before


def test_without_root_it_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; os.setuid(65534); from appliance.lab.demo import main; exit(main([]))"],
        cwd=PROJECT,
        preexec_fn=readable,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs root: run it as root" in done.stderr


def test_a_user_number_with_an_account_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.lab import gateway

    assert gateway.free_block(set()) == 0
    assert gateway.free_block({0, 1}) == 2
    first = gateway.FIRST_NUMBER
    monkeypatch.setattr(gateway, "_has_account", lambda number: number == first + gateway.BLOCK + 3)
    assert gateway.free_block({0}) == 2
    with pytest.raises(gateway.GatewayError, match="50 labs run already"):
        gateway.free_block(set(range(gateway.BLOCKS)))


def test_the_lab_needs_no_name_from_this_machine() -> None:
    """Its accounts are its own: the officer is none of this machine's."""
    with Lab(lab_id("a"), policies={}, rows=(), traffic=False) as lab:
        who = (lab.gateway.directory / "accounts" / "passwd").read_text()
        assert "officer:x:" in who
        assert "officer:x:" not in Path("/etc/passwd").read_text()
        assert (lab.gateway.directory / "accounts" / "shadow").stat().st_mode & 0o077 == 0


def test_the_second_ministry_can_run_reef_too() -> None:
    """Two gateways, each with its own policy, users and daemons; a connection between them is decided twice."""
    with Lab(lab_id("a"), traffic=False, two_gateways=True) as lab:
        sites = {name: gateway.status().site for name, gateway in lab.gateways.items()}
        assert sites == {"gw": "lab-ministry", "gw2": "lab-education"}
        page = lab.run("m2", "curl", "-4", "-s", "http://www.health.example/").stdout
        assert page == "dmz serves / to 192.0.2.2\n"
        refused = lab.run("m2", "nc", "-z", "-w", "1", "198.51.100.80", "23")
        assert refused.returncode == 1
        assert site.instance_file(f"{lab.lab}:gw2") == lab.gateways["gw2"].file


def test_list_and_clean_say_what_runs_and_what_was_left(before: dict[str, object]) -> None:
    def verb(word: str) -> str:
        command = [sys.executable, "-m", "appliance.lab", word]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    demo = Demo(lab_id("a"), "--no-traffic")
    demo.read_until("namespaces wired")
    assert demo.lab in verb("list").split()
    assert demo.lab not in verb("clean")
    demo.end(signal.SIGKILL)
    until(lambda: demo.lab not in verb("list").split(), "a dead lab is no running lab")
    assert f"removed what lab {demo.lab} had left" in verb("clean")
    assert machine() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory: 'wrong.yaml'; name a policy text"),
        ("reef: 1\nsite: x\nzones:\n  lan: {interface: [lan0]}\n", "wrong.yaml:4:9: `lan` has no key `interface`"),
    ],
    ids=["missing", "wrong"],
)
def test_a_first_policy_that_cannot_be_ends_the_start_with_its_problems(
    before: dict[str, object], tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "wrong.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "appliance.lab", "--id", lab_id("a"), "--policy", "wrong.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert machine() == before
