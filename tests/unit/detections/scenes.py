"""Things that happen on a network, as the detections see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from random import Random

from dataplane.detections.finding import Finding
from dataplane.detections.seen import TCP, UDP, Conversation, Login, Neighbour, Phase, Question, Seen
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.watch import Watch

START = 1_700_000_000.0
LAN = ip_network("10.20.0.0/16")
DMZ = ip_network("10.30.0.0/24")
EVERYWHERE = ip_network("0.0.0.0/0")
SITE = {"lan": [LAN], "dmz": [DMZ], "internet": [EVERYWHERE]}

SYN_ACK, RST_ACK, DATA = 0x12, 0x14, 0x1B


def around() -> Surroundings:
    return Surroundings(SITE, {"internet"})


def address(text: str) -> bytes:
    return ip_address(text).packed


def told(watch: Watch, scene: Iterable[Seen]) -> list[Finding]:
    return [finding for seen in scene for finding in watch.look(seen)]


def conversation(
    client: str, server: str, port: int, at: float, *, phase: Phase = "ended", protocol: int = TCP, app: str = "",
    sent: int = 1200, received: int = 4000, lasts: float = 1.0, answer: int = DATA | SYN_ACK, packets: int = 8,
    flow: int = 0,
) -> Conversation:  # fmt: skip
    silent = phase == "refused" or not packets
    return Conversation(
        phase=phase, time=START + at + lasts, start=START + at, protocol=protocol, client=address(client),
        client_port=40000, server=address(server), port=port, flow=flow, app=app, sent=sent,
        received=0 if silent else received, packets_sent=packets, packets_received=0 if silent else packets,
        flags_sent=0x1B, flags_received=0 if silent or protocol != TCP else answer,
    )  # fmt: skip


def no_answer(client: str, server: str, port: int, at: float, protocol: int = TCP) -> Conversation:
    return conversation(client, server, port, at, packets=0, sent=60, lasts=3.0, protocol=protocol)


def reset(client: str, server: str, port: int, at: float) -> Conversation:
    return conversation(client, server, port, at, answer=RST_ACK, packets=1, phase="answered", lasts=0.01)


def refused(client: str, server: str, port: int, at: float) -> Conversation:
    return conversation(client, server, port, at, phase="refused", packets=0, lasts=0.0)


def port_scan(client: str = "192.0.2.66", server: str = "10.30.0.5", ports: int = 20) -> Iterator[Conversation]:
    for number in range(ports):
        yield refused(client, server, 20 + number, number * 0.1)


def host_scan(client: str = "10.20.0.9", port: int = 445, hosts: int = 25) -> Iterator[Conversation]:
    for number in range(hosts):
        yield no_answer(client, f"10.20.7.{number + 1}", port, number * 0.2)


def guessing(client: str = "192.0.2.66", server: str = "10.30.0.5", times: int = 40) -> Iterator[Conversation]:
    for number in range(times):
        yield conversation(client, server, 22, number * 2.0, app="ssh", sent=2100, received=2400, packets=12)


def patient_guessing(client: str = "192.0.2.66", server: str = "10.30.0.5", waves: int = 5) -> Iterator[Conversation]:
    for wave in range(waves):
        for task in range(4):
            began = wave * 13.0 + task * 0.2
            yield conversation(client, server, 22, began, app="ssh", sent=3000, received=2900, packets=22, lasts=12.5)


def arp_sweep(hosts: int = 25, first: int = 1, began: float = 0.0) -> Iterator[Neighbour]:
    for number in range(hosts):
        yield Neighbour(
            START + began + number * 0.01, 3, "asks", "b8:27:eb:01:02:03", address("10.20.0.9"),
            asked=address(f"10.20.7.{first + number}"),
        )  # fmt: skip


def failed_logins(client: str = "10.20.0.9", times: int = 20, protocol: str = "sip") -> Iterator[Login]:
    for number in range(times):
        yield Login(START + number, protocol, address(client), address("10.30.0.7"), 5060, True, f"user{number % 3}")


def beacon(client: str = "10.20.0.9", times: int = 30, every: float = 300.0, jitter: float = 0.1) -> Iterator[Seen]:
    random = Random(1)
    for number in range(times):
        at = number * every + random.uniform(-jitter, jitter) * every / 2
        yield conversation(client, "203.0.113.9", 443, at, app="tls", sent=900, received=1500)


def browsing(client: str, seed: int, hours: float = 4.0) -> Iterator[Conversation]:
    """A person: bursts of conversations with many servers, some of them again and again."""
    random = Random(seed)
    at = 0.0
    while at < hours * 3600:
        at += random.expovariate(1 / 90)
        for _ in range(random.randint(1, 12)):
            server = f"198.51.100.{int(random.paretovariate(0.8)) % 250 + 1}"
            dead = random.random() < 0.03
            start = at + random.random() * 3
            if dead:
                yield no_answer(client, server, 443, start)
            else:
                yield conversation(client, server, 443, start, app="tls", sent=random.randint(600, 9000))


def tunnel(client: str = "10.20.0.9", names: int = 300, domain: str = "t.example.net") -> Iterator[Question]:
    random = Random(2)
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    for number in range(names):
        own = "".join(random.choice(letters) for _ in range(60))
        yield Question(START + number, address(client), address("10.20.0.53"), f"{own}.{own[:20]}.{domain}", "TXT")


def made_up(client: str = "10.20.0.9", names: int = 40) -> Iterator[Question]:
    random = Random(3)
    for number in range(names):
        name = "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(14)) + random.choice(
            (".com", ".biz")
        )
        for rcode in ("", "NXDOMAIN"):
            yield Question(START + number, address(client), address("10.20.0.53"), name, "A", rcode)


def newcomer(mac: str = "b8:27:eb:01:02:03", at: float = 0.0, ip: str = "10.20.0.77", name: str = "") -> Neighbour:
    return Neighbour(START + at, 2, "arp", mac, address(ip), name)


def upload(client: str = "10.20.0.9", gibibytes: float = 6.0, at: float = 0.0, flow: int = 1) -> Conversation:
    size = int(gibibytes * (1 << 30))
    return conversation(client, "203.0.113.77", 443, at, sent=size, received=size // 50, lasts=600.0, flow=flow)


def udp(client: str, server: str, port: int, at: float, app: str = "") -> Conversation:
    return conversation(client, server, port, at, protocol=UDP, app=app)
