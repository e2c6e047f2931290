"""Inspection inline on Debian's kernel: the compiled ruleset with nft queue and flowtable, verdictd, inspectd."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vm.box import INSTANCE, READY
from tests.vm.kernel import Kernel
from tests.vm.machine import Machine, Result

HERE = Path(__file__).parent
pytestmark = pytest.mark.timeout(400)
PORTS = (80, 82, 83)
RULES = "/run/reef-config/rules"
SERVER = "10.9.0.2"

# The gateway is the machine itself; its daemons want its own kernel settings.
WIRES = f"""
for host in staff server; do ip netns add $host; ip -n $host link set lo up; done
ip link add lan0 type veth peer name eth0 netns staff
ip link add wan0 type veth peer name eth0 netns server
ip addr add 10.1.0.1/24 dev lan0; ip addr add 10.9.0.1/24 dev wan0
ip link set lan0 up; ip link set wan0 up
for host in staff:10.1.0 server:10.9.0; do
    ip -n ${{host%:*}} addr add ${{host#*:}}.2/24 dev eth0
    ip -n ${{host%:*}} link set eth0 up
    ip -n ${{host%:*}} route add default via ${{host#*:}}.1
done
mkdir -p {RULES}
"""
POLICY = """\
reef: 1
site: inline
zones:
  internet: {interfaces: [wan0]}
  lan: {interfaces: [lan0], networks: [10.1.0.0/24]}
connections:
  wan0: {provider: Test, officer: "T. Officer <noc@test.example>", phone: "+501 555 0100"}
rules:
  - {id: R-80, from: lan, to: internet, service: tcp/80, action: allow, owner: it, why: not inspected}
  - {id: R-82, from: lan, to: internet, service: tcp/82, action: allow, inspect: standard, owner: it, why: fail-open}
  - {id: R-83, from: lan, to: internet, service: tcp/83, action: allow, inspect: strict, owner: it, why: fail-closed}
"""
DROP = 'drop tcp any any -> any any (msg:"an exploit"; content:"exploit"; sid:1;)'
PASS = 'pass tcp any any -> any any (msg:"known"; content:"line"; sid:2;)'


class Inline:
    """A running gateway that inspects, a workstation, a server that answers every line with itself."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.run(WIRES)
        self.rules(DROP)
        self.start("server", f"/usr/bin/python3 {HERE / 'peer.py'} serve {SERVER} {' '.join(map(str, PORTS))}")
        rows = "keyd applyd policyd verdictd inspectd"
        machine.start(f"exec python {HERE / 'box.py'} {rows} >/run/box.log 2>&1", timeout=3600)
        self.until(lambda: machine.wait(machine.start(f"test -e {READY}")).status == 0, "the daemons are ready")
        machine.run(f"cat >/run/policy.yaml <<'END'\n{POLICY}\nEND")
        applied = self.reef("apply /run/policy.yaml --yes --no-wait --confirm-within 0")
        assert applied.status == 0, applied.output
        self.until(lambda: self.says(83, "hello") == "hello", "what is inspected passes")

    def run(self, host: str, command: str) -> Result:
        return self.machine.wait(self.machine.start(f"ip netns exec {host} {command}"))

    def start(self, host: str, command: str) -> int:
        return self.machine.start(f"exec ip netns exec {host} {command}", timeout=900.0)

    def reef(self, words: str) -> Result:
        return self.machine.wait(self.machine.start(f"REEF_INSTANCE={INSTANCE} reef {words}", timeout=120), 120)

    def rules(self, *lines: str) -> None:
        text = "\n".join(lines)
        self.machine.run(f"cat >{RULES}/own.new <<'END'\n{text}\nEND\nmv {RULES}/own.new {RULES}/own.rules")

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 150.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not so\n{self.machine.run('tail -n 30 /run/box.log')}"
            time.sleep(0.2)

    def says(self, port: int, text: str) -> str:
        """What comes back for one line on a connection of its own; "" for nothing."""
        done = self.run("staff", f"bash -c 'echo {text} | timeout 6 nc -q1 -w4 {SERVER} {port}'")
        return done.output.strip()

    def tracked(self, port: int) -> str:
        return self.machine.run(f"conntrack -L -p tcp --dport {port} 2>/dev/null || true")

    def kill(self, name: str) -> None:
        self.machine.run(f"kill -9 $(pgrep -f '[.]{name} ' | head -1)")


@pytest.fixture(scope="module")
def site(vm_kernel: Kernel) -> Iterator[Inline]:
    with Machine(vm_kernel, memory=2048) as machine:
        yield Inline(machine)


def test_what_is_inspected_passes_and_an_exploit_does_not(site: Inline) -> None:
    for port in (82, 83):
        assert site.says(port, "hello") == "hello"
        assert site.says(port, "exploit") == ""
    assert site.says(80, "exploit") == "exploit", "no rule asks for inspection here"


@pytest.mark.parametrize("name", ["verdictd", "inspectd"])
def test_fail_closed_flows_never_pass_unread_and_come_again_with_the_daemon(site: Inline, name: str) -> None:
    site.kill(name)
    assert site.says(83, "exploit") == ""
    site.until(lambda: site.says(83, "hello") == "hello", f"{name} is back")
    assert site.says(83, "exploit") == ""
    assert site.says(82, "hello") == "hello"


def test_what_is_handed_back_is_offloaded_and_other_rules_recall_it(site: Inline) -> None:
    site.rules(DROP, PASS)
    site.start("staff", f"/usr/bin/python3 {HERE / 'peer.py'} hold {SERVER} 83 /run/held")

    def held() -> int:
        said = site.run("staff", "cat /run/held").output
        return int(said) if said.isdigit() else 0

    site.until(lambda: held() > 3, "the connection is answered")
    site.until(lambda: "[OFFLOAD]" in site.tracked(83), "handed back, it goes into the flowtable")
    site.rules(DROP)
    site.until(lambda: "[OFFLOAD]" not in site.tracked(83), "other rules take it out again")
    so_far = held()
    site.until(lambda: held() > so_far + 3, "and it goes on")
    mark = int(site.tracked(83).partition(" mark=")[2].split()[0])
    assert mark & 0x80000000


def test_why_follows_a_packet_into_inspection_and_doctor_says_which_way(site: Inline) -> None:
    asked = site.reef(f"why --live --from 10.1.0.2 --to {SERVER} tcp/83")
    assert asked.status == 0, asked.output
    assert "inspected" in asked.output
    doctor = site.reef("doctor")
    line = next(line for line in doctor.output.splitlines() if line.strip().startswith("queue"))
    assert "the running generation" in line
