"""A site inside the test machine: a gateway with a trunk of VLANs, two inner hosts, a server outside.

staff 10.1.0.2 --+                              +-- server 10.9.0.2
                 +== trunk0 [gateway] wan0 -----+
guest 10.2.0.2 --+   trunk0.10 staff, trunk0.20 guest
"""

from __future__ import annotations

import base64
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from appliance.policy.compiling.compile import Compiled, compile_policy
from appliance.policy.compiling.delta import delta
from appliance.policy.meant.parse import parse
from tests.vm.machine import Machine, Result

HERE = Path(__file__).parent
PORTS = (80, 81, 82, 83)

WIRES = """
for host in staff guest gateway server switch; do ip netns add $host; ip -n $host link set lo up; done
ip link add trunk0 netns gateway type veth peer name trunk netns switch
ip link add wan0 netns gateway type veth peer name eth0 netns server
ip link add eth0 netns staff type veth peer name to-staff netns switch
ip link add eth0 netns guest type veth peer name to-guest netns switch
ip -n switch link add lanes type bridge vlan_filtering 1
for port in trunk to-staff to-guest; do ip -n switch link set $port master lanes up; done
ip -n switch link set lanes up
bridge -n switch vlan add vid 10 dev trunk
bridge -n switch vlan add vid 20 dev trunk
bridge -n switch vlan add vid 10 dev to-staff pvid untagged
bridge -n switch vlan add vid 20 dev to-guest pvid untagged
ip -n gateway link set trunk0 up
ip -n gateway link add link trunk0 name trunk0.10 type vlan id 10
ip -n gateway link add link trunk0 name trunk0.20 type vlan id 20
for device in trunk0.10 trunk0.20 wan0; do ip -n gateway link set $device up; done
ip -n gateway addr add 10.1.0.1/24 dev trunk0.10
ip -n gateway addr add 10.2.0.1/24 dev trunk0.20
ip -n gateway addr add 10.9.0.1/24 dev wan0
for host in staff:10.1.0 guest:10.2.0 server:10.9.0; do
    name=${host%:*} net=${host#*:}
    ip -n $name addr add $net.2/24 dev eth0
    ip -n $name link set eth0 up
    ip -n $name route add default via $net.1
done
ip netns exec gateway sysctl -qw net.ipv4.ip_forward=1
"""

POLICY = """
reef: 1
site: test-machine
zones:
  internet: {interfaces: [wan0]}
  staff: {interfaces: [trunk0.10], networks: [10.1.0.0/24]}
  guest: {interfaces: [trunk0.20], networks: [10.2.0.0/24]}
connections:
  wan0: {provider: Test, officer: "T. Officer <noc@test.example>", phone: "+501 555 0100"}
rules:
"""


def rule(name: str, source: str, port: int, *, inspect: str = "") -> str:
    """One rule of the policy text: `source` may reach `port` outside."""
    inspection = f"    inspect: {inspect}\n" if inspect else ""
    return (
        f"  - id: {name}\n    from: {source}\n    to: internet\n    service: tcp/{port}\n    action: allow\n"
        f"{inspection}    why: a test\n    owner: noc@test.example\n"
    )


class Site:
    """The site, wired, with a server that answers on PORTS; `load` makes a generation of it run."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._running: Compiled | None = None
        self._generation = 0
        machine.run(WIRES)
        self.start("server", f"/usr/bin/python3 {HERE / 'peer.py'} serve 10.9.0.2 {' '.join(map(str, PORTS))}")
        self.until(lambda: self.run("server", "ss -Htln | wc -l").output.strip() == str(len(PORTS)), "server")

    def run(self, host: str, command: str) -> Result:
        number = self.machine.start(f"ip netns exec {host} sh -c {shlex.quote(command)}")
        return self.machine.wait(number)

    def start(self, host: str, command: str) -> int:
        """Start a command on a host that runs until the machine ends; the number of it in the machine."""
        return self.machine.start(f"exec ip netns exec {host} {command}", timeout=600.0)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Ask until it is so; the machine's clock is slow, the limit is for hangs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not so after {seconds:.0f} s: {what}"
            time.sleep(0.05)

    def load(self, rules: str) -> None:
        """Compile the policy with these rules and load the change, as one transaction."""
        self._generation += 1
        policy, _ = parse(POLICY + rules, "policy.yaml", inherited={})
        capabilities = frozenset({"queue", "flowtable"})
        compiled = compile_policy(policy, generation=self._generation, capabilities=capabilities)
        old = None if self._running is None else self._running.ruleset
        batch = base64.b64encode(delta(old, compiled.ruleset).encode()).decode()
        self.machine.run(f"base64 -d <<<{batch} | ip netns exec gateway nft -f -")
        self._running = compiled

    def reaches(self, host: str, port: int) -> bool:
        """Whether a new connection from a host to the server's port is answered."""
        command = f"echo ping | timeout 3 nc -q1 -w2 10.9.0.2 {port}"
        return self.run(host, command).output == "ping\n"

    def counter(self, name: str) -> int:
        """Packets of a counter of the ruleset."""
        output = self.machine.run(f"ip netns exec gateway nft list counter inet reef {name}")
        words = output.split()
        return int(words[words.index("packets") + 1])
