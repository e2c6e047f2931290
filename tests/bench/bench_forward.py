"""Forwarding with a policy of 10,000 rules.

Packets cross a gateway namespace that holds the compiled policy, and one that only accepts, in turn; and beside
them the same policy as a plain list of rules. Connection tracking is on in all of them. Generator and gateway
share one core. Each figure is the best of its rounds, which is the one least disturbed by whatever else runs.
"""

from __future__ import annotations

import random
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from appliance.policy.compiling import emit
from appliance.policy.compiling.compile import CompileCache, compile_policy
from appliance.policy.compiling.delta import delta
from appliance.policy.decide import Packet
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.model import GATEWAY, Policy, Rule
from tests.bench.table import Row
from tests.netns.wire import NOBODY, Wire
from tests.policies import LINES, gateway_address, large_policy_text, line_network, route

HERE = Path(__file__).parent
RULES = 10_000
FLOWS = 4096
FRAME = 64
NEW_PACKETS = 180_000  # below the kernel's default bound of 262,144 connections
CORE = "1"
ACCEPT = """
table inet reef {
	chain input { type filter hook input priority filter; policy accept; ct state invalid drop; }
	chain forward { type filter hook forward priority filter; policy accept; ct state invalid drop; }
	chain output { type filter hook output priority filter; policy accept; ct state invalid drop; }
}
"""


def linear(policy: Policy) -> str:
    """The policy as rule after rule, the way it would be written by hand."""
    lines = [
        "table inet reef {",
        "chain forward { type filter hook forward priority filter; policy drop;",
        "ct state established,related accept",
        "ct state invalid drop",
    ]
    for rule in policy.rules:
        for source in zones(policy, rule.sources):
            for destination in zones(policy, rule.destinations):
                pair = f'iifname "{source}" oifname "{destination}"'
                lines += [f"{pair} {match} counter accept" for match in matches(rule)]
    return "\n".join([*lines, "}", "}", ""])


def zones(policy: Policy, names: tuple[str, ...]) -> Iterator[str]:
    """One interface of each zone: the list is not made longer than it must be."""
    for name, zone in policy.zones.items():
        if name != GATEWAY and (name in names or "any" in names):
            yield zone.interfaces[0]


def matches(rule: Rule) -> Iterator[str]:
    for version in emit.VERSIONS:
        family = emit.IP[version]
        said = f"meta nfproto ipv{version}"
        if not emit.whole(rule.source, version):
            said += f" {family} saddr {emit.braces(emit.spoken(rule.source, version))}"
        if not emit.whole(rule.destination, version):
            said += f" {family} daddr {emit.braces(emit.spoken(rule.destination, version))}"
        for entry in rule.services:
            if entry.protocol in (6, 17):
                yield f"{said} meta l4proto {entry.protocol} th dport {emit.numbers(entry.ports)}"
            elif entry.protocol == (1 if version == 4 else 58):
                yield f"{said} meta l4proto {entry.protocol}"


def flows(policy: Policy, protocol: int, count: int) -> list[Packet]:
    """Connections from the LAN that the policy allows, each through a rule drawn at random."""
    rng = random.Random(7)
    rules = [
        rule
        for rule in policy.rules
        if "lan" in rule.sources and rule.services[0].protocol == protocol and "dmz" not in rule.destinations
    ]
    found: list[Packet] = []
    while len(found) < count:
        rule, version = rng.choice(rules), rng.choice((4, 6))
        source = inside(rng, next(part.first for part in rule.source.ranges if part.version == version), version)
        parts = [part for part in rule.destination.ranges if part.version == version]
        if not parts:
            continue
        destination = rng.randrange(parts[0].first, parts[0].last + 1)
        if parts[0].last - parts[0].first > 1 << 100 or parts[0].first == 0:
            destination = outer(rng, version)
        packet = Packet(
            version, "lan0", "wan0", source, destination, protocol,
            source_port=1024 + len(found) % 997, destination_port=rule.services[0].ports[0],
        )  # fmt: skip
        # Every rule of this policy allows, so what one of them matches is allowed.
        if route(version, destination) == "wan0":
            found.append(packet)
    return found


def inside(rng: random.Random, first: int, version: int) -> int:
    """A host of the LAN in a range that begins at `first`; the first addresses of the line are the gateway's."""
    network = line_network("lan0", version)
    if not network.first <= first <= network.last:
        return network.first + rng.randrange(2, 8000)
    return first + 9 if first - network.first < 2 else first


def outer(rng: random.Random, version: int) -> int:
    return (100 << 24) + rng.randrange(1 << 22) if version == 4 else (0x20010DB8_5000 << 80) + rng.randrange(1 << 16)


def answers(packets: list[Packet]) -> list[Packet]:
    return [
        Packet(
            each.version, "wan0", "lan0", each.destination, each.source, each.protocol,
            source_port=each.destination_port, destination_port=each.source_port,
        )
        for each in packets
    ]  # fmt: skip


def frames(packets: list[Packet], mac: str) -> bytes:
    """The packets as frames of equal size."""
    made = []
    for packet in packets:
        source = emit.address(packet.source, packet.version)
        destination = emit.address(packet.destination, packet.version)
        head = IP(src=source, dst=destination) if packet.version == 4 else IPv6(src=source, dst=destination)
        room = FRAME - 14 - 8 - (20 if packet.version == 4 else 40)
        layers = Ether(src="02:00:00:00:11:11", dst=mac) / head / UDP(sport=1, dport=packet.destination_port)
        frame = bytearray(bytes(layers / (b"\0" * room)))
        at = 14 + (20 if packet.version == 4 else 40)
        # Ports begin apart from one another; the checksum moves with them (IPv4: none).
        old, new = 1, packet.source_port
        frame[at : at + 2] = struct.pack("!H", new)
        checksum = 0 if packet.version == 4 else moved(int.from_bytes(frame[at + 6 : at + 8], "big"), old, new)
        frame[at + 6 : at + 8] = struct.pack("!H", checksum)
        made.append(bytes(frame))
    return b"".join(made)


def moved(checksum: int, old: int, new: int) -> int:
    """RFC 1624."""
    total = (~checksum & 0xFFFF) + (~old & 0xFFFF) + new
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


class Lane:
    """A gateway with one ruleset, and what its far side has received."""

    def __init__(self, stack: ExitStack, ruleset: str) -> None:
        self.wire = stack.enter_context(Wire(raw=False))
        self.wire.load(ruleset)

    def received(self, line: str) -> int:
        return int(self.wire.run("cat", f"/sys/class/net/far-{line}/statistics/rx_packets"))

    def flood(self, program: Path, file: Path, count: int, *, renew: bool = False, back: bool = False) -> float:
        """Packets per second that arrived at the other side."""
        enters, leaves = ("wan0", "lan0") if back else ("lan0", "wan0")
        before = self.received(leaves)
        said = self.wire.run(
            "taskset", "-c", CORE, str(program), f"far-{enters}", str(file), str(FRAME), str(count), str(int(renew))
        )
        sent, nanoseconds = (int(word) for word in said.split())
        deadline = time.monotonic() + 2
        arrived = self.received(leaves) - before
        while arrived < sent and time.monotonic() < deadline:
            arrived = self.received(leaves) - before
        if arrived < sent * 0.99:
            raise RuntimeError(f"{sent - arrived} of {sent} packets did not arrive")
        return arrived / nanoseconds * 1e9

    def forget(self) -> None:
        self.wire.run("conntrack", "-F")


@contextmanager
def programs() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        built = []
        for name in ("flood", "connects"):
            target = Path(folder) / name
            command = ["cc", "-O2", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", str(target)]
            subprocess.run([*command, str(HERE / "c" / f"{name}.c")], check=True)
            built.append(target)
        yield built[0], built[1]


def hosts(stack: ExitStack, wire: Wire) -> tuple[str, str]:
    """A client behind lan0 and a server behind wan0, each with every address of its side."""
    names = []
    for interface in ("lan0", "wan0"):
        name = f"{wire.name}-{interface}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
        wire.run("ip", "link", "set", f"far-{interface}", "address", NOBODY, "netns", name)
        commands = ["link set lo up", f"link set far-{interface} up"]
        for version in (4, 6):
            size = 32 if version == 4 else 128
            own = emit.address(gateway_address(interface, version) + 1, version)
            hop = emit.address(gateway_address(interface, version), version)
            here = LINES[interface][1 if version == 4 else 2]
            side = here if interface == "lan0" else ("100.0.0.0/6" if version == 4 else "2001:db8:4000::/34")
            other = ("0.0.0.0/0", "::/0") if interface == "lan0" else (LINES["lan0"][1], LINES["lan0"][2])
            commands += [
                f"addr add {own}/{size} dev far-{interface}{' nodad' if version == 6 else ''}",
                f"route add {hop}/{size} dev far-{interface}",
                f"neigh replace {hop} lladdr {wire.addresses[interface]} dev far-{interface} nud permanent",
                f"route add local {side} dev lo",
                f"route add {other[0 if version == 4 else 1]} via {hop} dev far-{interface} onlink",
            ]
        inside_it = ["ip", "netns", "exec", name]
        subprocess.run([*inside_it, "ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)
        # A client uses every address of its side, without having them on an interface.
        subprocess.run([*inside_it, "sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"], check=True)
        names.append(name)
    return names[0], names[1]


def connects(stack: ExitStack, program: Path, wire: Wire, file: Path) -> Callable[[int], float]:
    """Starts the server; what is returned begins so many connections and says how many there were per second."""
    client, server = hosts(stack, wire)
    ports = ["22", "25", "443", "80", "3306", "5432", "8443"]
    serving = subprocess.Popen(
        ["ip", "netns", "exec", server, str(program), "serve", *ports], stdout=subprocess.PIPE, text=True
    )
    stack.callback(serving.wait)
    stack.callback(serving.kill)
    if serving.stdout is None or serving.stdout.readline() != "ready\n":
        raise RuntimeError("the server did not start")

    def run(count: int) -> float:
        said = subprocess.run(
            ["ip", "netns", "exec", client, str(program), "begin", str(file), str(count)],
            check=True, text=True, capture_output=True, timeout=60,
        ).stdout  # fmt: skip
        made, nanoseconds = (int(word) for word in said.split())
        return made / nanoseconds * 1e9

    return run


def forwarding(policy: Policy, short: Policy, rounds: int) -> list[Row]:
    compiled = delta(None, compile_policy(policy, generation=1, capabilities=frozenset()).ruleset)
    rows = []
    with ExitStack() as stack:
        flood, connect = stack.enter_context(programs())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lanes = {
            "accept": Lane(stack, ACCEPT),
            "policy": Lane(stack, compiled),
            "linear 1,000": Lane(stack, linear(short)),
            "linear 10,000": Lane(stack, linear(policy)),
        }
        chosen = {
            name: flows(short if name == "linear 1,000" else policy, 17, FLOWS) for name in ("accept", "linear 1,000")
        }
        there, back = {}, {}
        for name, lane in lanes.items():
            packets = chosen["linear 1,000" if name == "linear 1,000" else "accept"]
            there[name], back[name] = folder / f"{name}.there", folder / f"{name}.back"
            there[name].write_bytes(frames(packets, lane.wire.addresses["lan0"]))
            back[name].write_bytes(frames(answers(packets), lane.wire.addresses["wan0"]))
        new: dict[str, list[float]] = {name: [] for name in lanes}
        known: dict[str, list[float]] = {name: [] for name in lanes}
        for _ in range(rounds):
            for name, lane in lanes.items():
                lane.forget()
                amount = FLOWS if "linear" in name else NEW_PACKETS
                new[name].append(lane.flood(flood, there[name], amount, renew=True))
                if "linear" in name:
                    continue
                lane.forget()
                lane.flood(flood, there[name], FLOWS)
                lane.flood(flood, back[name], FLOWS, back=True)
                known[name].append(lane.flood(flood, there[name], 2 * NEW_PACKETS))
        rows.append(ratio("packets/s of established flows", known["policy"], known["accept"], 0.95, 1e6, "Mpps"))
        rows.append(ratio("packets/s, every packet a new flow", new["policy"], new["accept"], 0.75, 1e6, "Mpps"))
        for name in ("linear 1,000", "linear 10,000"):
            what = f"for contrast: {name} rules, every packet a new flow"
            rows.append(ratio(what, new[name], new["accept"], None, 1e6, "Mpps"))
        triples = folder / "connections"
        triples.write_text(
            "".join(
                f"{emit.address(each.source, each.version)} {emit.address(each.destination, each.version)} "
                f"{each.destination_port}\n"
                for each in flows(policy, 6, FLOWS)
            )
        )
        made: dict[str, list[float]] = {"accept": [], "policy": []}
        runs = {name: connects(stack, connect, lanes[name].wire, triples) for name in made}
        for _ in range(rounds * 2):
            for name, run in runs.items():
                lanes[name].forget()
                made[name].append(run(8000))
        rows.append(ratio("new TCP connections/s", made["policy"], made["accept"], 0.95, 1e3, "k/s"))
    return rows


def ratio(what: str, ours: list[float], theirs: list[float], wanted: float | None, unit: float, word: str) -> Row:
    # Round by round, because what else runs changes from one round to the next.
    quotient = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    return Row(
        what=what,
        measured=f"{statistics.median(ours) / unit:.3f} {word}",
        beside=f"only accepts: {statistics.median(theirs) / unit:.3f} {word}",
        ratio=quotient,
        wanted="" if wanted is None else f">= {wanted}",
        holds=None if wanted is None else quotient >= wanted,
    )


def changing(count: int) -> list[Row]:
    """From text to a loaded ruleset, and one edit of it."""
    text, edited = large_policy_text(count), large_policy_text(count, edit=count // 2)
    parse_cache, cache = ParseCache(), CompileCache()
    with Wire(raw=False) as wire:
        begun = time.monotonic()
        policy, _ = parse(text, "policy.yaml", inherited={}, cache=parse_cache)
        parsed = time.monotonic()
        first = compile_policy(policy, generation=1, capabilities=frozenset(), cache=cache).ruleset
        built = time.monotonic()
        wire.load(delta(None, first))
        loaded = time.monotonic()
        parts = f"parse {parsed - begun:.2f}, compile {built - parsed:.2f}, load {loaded - built:.2f}"
        rows = [cost(f"{count:,} rules: text to loaded ruleset", loaded - begun, parts, 2.5)]
        begun = time.monotonic()
        policy, _ = parse(edited, "policy.yaml", inherited={}, cache=parse_cache)
        parsed = time.monotonic()
        second = compile_policy(policy, generation=2, capabilities=frozenset(), cache=cache).ruleset
        built = time.monotonic()
        wire.load(delta(first, second))
        loaded = time.monotonic()
        parts = f"parse {parsed - begun:.3f}, compile {built - parsed:.3f}, change and load {loaded - built:.3f}"
        rows.append(cost(f"{count:,} rules: one rule edited, to enforced", loaded - begun, parts, 0.4))
    return rows


def cost(what: str, seconds: float, parts: str, wanted: float) -> Row:
    return Row(what, f"{seconds:.2f} s ({parts})", wanted=f"< {wanted} s", holds=seconds < wanted)


def main(*, quick: bool) -> list[Row]:
    policy, _ = parse(large_policy_text(RULES), "policy.yaml", inherited={})
    short, _ = parse(large_policy_text(RULES // 10), "policy.yaml", inherited={})
    return [*forwarding(policy, short, 2 if quick else 7), *changing(RULES)]
