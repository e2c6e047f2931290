"""Write the seed corpus anew: `python -m tests.fuzz.c.seeds`. Small files, one shape each."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgWriter, PcapWriter

from ctypes_ext.flowtable import FlowTable, Seen
from tests.fuzz.c.seeds_mail import seeds
from tests.fuzz.c.seeds_smb import smb_seeds

CORPUS = Path(__file__).resolve().parent / "corpus"
HTTP = b"GET /index.html?a=b HTTP/1.1\r\nHost: www.example.org:8080\r\nUser-Agent: seed\r\n\r\n"
QUESTION = DNS(id=1, rd=1, qd=DNSQR(qname="www.example.org", qtype="AAAA"))
ANSWER = DNS(
    id=1, qr=1, qd=DNSQR(qname="www.example.org"), an=DNSRR(rrname="www.example.org", ttl=30, rdata="192.0.2.1")
)
ETHERNET, RAW = 1, 101
LISTS = b"".join(struct.pack("!I", len(name)) + name for name in (b"curve25519-sha256", *[b"none"] * 7, b"", b""))
KEXINIT = b"\x14" + bytes(16) + LISTS + bytes(5)
SSH_RECORD = struct.pack("!IB", len(KEXINIT) + 5, 4) + KEXINIT + bytes(4)
SSH = [(1, b"SSH-2.0-OpenSSH_9.6 seed\r\n" + SSH_RECORD), (0, b"SSH-2.0-seed\r\n" + SSH_RECORD)]
SSH += [(way, struct.pack("!IBB", 12, 10, 21) + bytes(10)) for way in (0, 1)]


def client_hello() -> bytes:
    """A ClientHello with server name, ALPN and versions."""
    name = b"www.example.org"
    extensions = struct.pack("!HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    extensions += struct.pack("!HHH", 16, 5, 3) + b"\x02h2" + struct.pack("!HHB", 43, 3, 2) + b"\x03\x04"
    hello = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + struct.pack("!H", len(extensions))
    body = b"\x01" + (len(hello) + len(extensions)).to_bytes(3, "big") + hello + extensions
    return b"\x16\x03\x01" + struct.pack("!H", len(body)) + body


def pieces_of(said: list[tuple[int, bytes]]) -> bytes:
    """What is said, and whether by the server, as the targets of parsers read it."""
    return b"".join(struct.pack("<H", way << 15 | len(text)) + text for way, text in said)


def handshakes() -> dict[str, list[tuple[int, bytes]]]:
    """The flights of the connections that the tests of TLS know."""
    text = (Path(__file__).resolve().parents[2] / "c" / "handshakes.h").read_text()
    found: dict[str, list[tuple[int, bytes]]] = {}
    for name, way, body in re.findall(r"(tls1\d)_\d_(client|server)\[\] = \{(.*?)\};", text, re.DOTALL):
        data = bytes(int(number, 16) for number in re.findall(r"0x[0-9a-f]{2}", body))
        found.setdefault(name, []).append((int(way == "server"), data))
    return found


def http_conversations() -> dict[str, list[tuple[int, bytes]]]:
    """Name -> what is said, and whether by the server."""
    ok = b"HTTP/1.1 200 OK\r\n"
    form = b'--b\r\nContent-Disposition: form-data; filename="f"\r\n\r\nfile\r\n--b--\r\n'
    post = b"POST / HTTP/1.1\r\nHost: h\r\n"
    zipped, raw = gzip.compress(b"text " * 40, mtime=0), zlib.compress(b"text " * 40)[2:-4]
    return {
        "plain": [(0, HTTP), (1, ok + b"Content-Length: 2\r\n\r\nhi")],
        "chunked": [(0, HTTP), (1, ok + b"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n")],
        "pipeline": [(0, HTTP * 3), (1, b"HTTP/1.1 304 Not\r\n\r\n" * 3)],
        "folded": [(0, b"GET / HTTP/1.1\r\nA: b\r\n c\r\nA: d\r\nE f\r\n\r\n"), (1, ok + b" x\n\rA:\0b\r\r\n\r\n")],
        "form": [(0, post + b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 71\r\n\r\n" + form)],
        "gzip": [(0, HTTP), (1, ok + b"Content-Encoding: gzip\r\n\r\n" + zipped)],
        "twice": [(0, HTTP), (1, ok + b"Content-Encoding: deflate, br\r\n\r\n" + raw)],
        "continue": [
            (0, post + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n"),
            (1, b"HTTP/1.1 100 C\r\n\r\n"),
            (0, b"x"),
        ],
        "connect": [(0, b"CONNECT h:1 HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 407 Auth\r\n\r\n"), (0, HTTP)],
        "old": [(0, b"GET http://u:p@h:1/%u0041%2e/../\xc0\xaf?%41#f\r\n"), (1, b"body")],
    }


def http2_conversations() -> dict[str, list[tuple[int, bytes]]]:
    """Frames: settings, a request in static and literal fields, its response with a body; a reset and a goodbye."""

    def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
        return struct.pack("!I", len(body))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + body

    settings = frame(4, 0, 0, struct.pack("!HI", 1, 65536))
    asked = frame(1, 5, 1, b"\x82\x86\x84\x41\x01h\x60\x01c\x60\x01d")
    said = frame(1, 4, 1, b"\x88\x5c\x012") + frame(0, 9, 1, b"\x01hi\0")
    magic = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    return {
        "whole": [(0, magic + settings + asked), (1, settings + said)],
        "cut": [(0, magic + asked), (1, frame(1, 0, 1, b"\x88") + frame(9, 4, 1, b"\x5c\x012"))],
        "ended": [
            (0, magic + asked + frame(3, 0, 1, bytes(4))),
            (1, frame(7, 0, 0, bytes(8)) + frame(8, 0, 1, b"\0\0\0\x09")),
        ],
    }


def packets() -> dict[str, tuple[int, Packet]]:
    """Name -> (link type, packet)."""
    ether, ip, ip6 = (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"),
        IP(src="10.0.0.1"),
        IPv6(dst="2001:db8::1"),
    )
    gre = IP(src="10.0.0.1", proto=47)
    return {
        "tcp": (ETHERNET, ether / ip / TCP(options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)])),
        "qinq": (ETHERNET, ether / Dot1Q(vlan=5) / Dot1Q(vlan=6) / ip / UDP() / QUESTION),
        "icmp": (RAW, ip / ICMP(id=7)),
        "fragment": (RAW, IP(flags="MF", frag=3) / UDP()),
        "gre": (RAW, ip / GRE()),
        "gre_ip": (RAW, ip / GRE() / ip / UDP() / QUESTION),
        "pptp": (RAW, gre / Raw(b"\x20\x01\x88\x0b\0\x10\0\1\xff\3\0\x21" + bytes(ip / UDP()))),
        "erspan": (RAW, gre / Raw(b"\x10\0\x88\xbe\0\0\0\1\x10\5" + bytes(6) + bytes(ether / ip / UDP()))),
        "ipip": (RAW, ip / ip / ip6 / ip / UDP()),
        "vxlan": (RAW, ip / UDP(sport=1, dport=4789) / Raw(b"\x08" + bytes(7) + bytes(ether / ip / ICMP()))),
        "geneve": (RAW, ip / UDP(dport=6081) / Raw(b"\1\0\x65\x58" + bytes(8) + bytes(ether / ip6 / UDP()))),
        "teredo": (RAW, ip / UDP(dport=3544) / Raw(bytes(8) + bytes(ip6 / ICMPv6EchoRequest()))),
        "mpls": (ETHERNET, Ether(type=0x8847) / Raw(b"\0\1\0\xff\0\2\1\xff" + bytes(ip / UDP()))),
        "pppoe": (ETHERNET, Ether(type=0x8864) / Raw(b"\x11\0\0\1\0\x1e\0\x21" + bytes(ip / UDP()))),
        "nsh": (ETHERNET, Ether(type=0x894F) / Raw(b"\0\2\2\3\0\0\1\1" + bytes(ether / ip / UDP()))),
        "vntag": (ETHERNET, Ether(type=0x8926) / Raw(b"\0\0\0\0\x08\0" + bytes(ip / UDP()))),
        "options4": (RAW, Raw(b"\x47" + bytes(IP(len=36, proto=17))[1:] + b"\x94\4\0\0\x83\3\4\0" + bytes(UDP()))),
        "options6": (RAW, ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / ICMPv6EchoRequest()),
        "fragment6": (RAW, ip6 / IPv6ExtHdrFragment(offset=5) / UDP()),
    }


def fragments() -> bytes:
    """A policy, then a datagram in four fragments of which two overlap, each behind its length."""
    udp = bytes(UDP(sport=1, dport=2) / Raw(bytes(range(56))))
    out = b"\x70"
    for offset, end in ((0, 16), (8, 32), (48, 64), (24, 48)):
        for packet in (
            IP(id=7, proto=17, flags="MF" if end < 64 else 0, frag=offset // 8) / Raw(udp[offset:end]),
            IPv6() / IPv6ExtHdrFragment(nh=17, id=7, m=end < 64, offset=offset // 8) / Raw(udp[offset:end]),
        ):
            out += bytes([len(packet)]) + bytes(packet)
    return out


def said(*pieces: tuple[int, bytes]) -> bytes:
    """A dialogue for fuzz_dialogue.h: 0 the client, 1 the server."""
    return b"".join(struct.pack("<H", who << 15 | len(piece)) + piece for who, piece in pieces)


def mqtt() -> bytes:
    """A connection of version 5 with a subscription and a message of quality 1."""
    connect = b"\0\4MQTT\5\xc2\0\x3c\0\0\2id\0\4user\0\4pass"
    publish = b"\0\5topic\0\1\3\x01\1\x26payload"
    return said(
        (0, bytes([0x10, len(connect)]) + connect),
        (1, b"\x20\3\0\0\0"),
        (0, b"\x82\x0b\0\2\0\0\5topic\1"),
        (1, b"\x90\4\0\2\0\1"),
        (0, bytes([0x32, len(publish)]) + publish),
        (1, b"\x40\2\0\1"),
        (0, b"\xe0\0"),
    )


def ike() -> bytes:
    """Both versions: an SA with one proposal of one transform."""
    attributes = b"\x80\1\0\7\x80\2\0\2\x80\x0e\0\x80\0\x0c\0\4\0\1\x51\x80"
    transform = b"\0\0" + struct.pack("!H", 8 + len(attributes)) + b"\1\1\0\0" + attributes
    proposal = b"\0\0" + struct.pack("!H", 8 + len(transform)) + b"\1\1\0\1" + transform
    sa = b"\x0d\0" + struct.pack("!H", 12 + len(proposal)) + b"\0\0\0\1\0\0\0\1" + proposal + b"\0\0\0\x08\1\2\3\4"
    first = bytes(range(8)) + bytes(8) + b"\1\x10\2\0" + bytes(4) + struct.pack("!I", 28 + len(sa)) + sa
    choice = b"\3\0\0\x08\1\0\0\x0c\3\0\0\x08\2\0\0\2\0\0\0\x08\4\0\0\2"
    second = b"\x29\0" + struct.pack("!H", 12 + len(choice)) + b"\0\0" + struct.pack("!H", 8 + len(choice))
    second += b"\1\1\0\3" + choice + b"\0\0\0\x08\0\0\x40\4"
    newer = bytes(range(8)) + bytes(8) + b"\x21\x20\x22\x08" + bytes(4) + struct.pack("!I", 28 + len(second)) + second
    return said((0, first), (1, first), (0, newer), (1, newer))


def der(tag: int, *parts: bytes) -> bytes:
    """One element."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content if len(content) < 128 else bytes([tag, 0x81, len(content)]) + content


def snmp() -> bytes:
    """A request of version 2, a trap of version 1 and a request of version 3."""
    variables = der(0x30, der(0x30, der(6, b"\x2b\6\1\2\1\1\5\0"), der(5)))
    request = der(0xA0, der(2, b"\1"), der(2, b"\0"), der(2, b"\0"), variables)
    address = der(0x40, b"\1\2\3\4")
    trap = der(0xA4, der(6, b"\x2b\6"), address, der(2, b"\6"), der(2, b"\1"), der(0x43, b"\1"), variables)
    user = der(4, der(0x30, der(4, b"engine"), der(2, b"\1"), der(2, b"\1"), der(4, b"admin"), der(4), der(4)))
    third = der(0x30, der(2, b"\1"), der(2, b"\5"), der(4, b"\3"), der(2, b"\3"))
    return said(
        (0, der(0x30, der(2, b"\1"), der(4, b"public"), request)),
        (1, der(0x30, der(2, b"\0"), der(4, b"public"), trap)),
        (0, der(0x30, der(2, b"\3"), third, user, der(0x30, der(4), der(4), request))),
    )


def krb5() -> bytes:
    """A request and an error, behind their lengths."""

    def principal(*names: bytes) -> bytes:
        return der(0x30, der(0xA0, der(2, b"\1")), der(0xA1, der(0x30, *(der(0x1B, name) for name in names))))

    body = der(0x30, der(0xA1, principal(b"ann")), der(0xA2, der(0x1B, b"R")), der(0xA3, principal(b"krbtgt", b"R")))
    request = der(0x6A, der(0x30, der(0xA1, der(2, b"\5")), der(0xA2, der(2, b"\x0a")), der(0xA4, body)))
    error = der(
        0x7E,
        der(
            0x30,
            der(0xA0, der(2, b"\5")),
            der(0xA1, der(2, b"\x1e")),
            der(0xA6, der(2, b"\x19")),
            der(0xAA, principal(b"x")),
        ),
    )
    return said(*((who, struct.pack("!I", len(m)) + m) for who, m in ((0, request), (1, error))))


def conversation() -> list[Packet]:
    """A request in two segments, a ClientHello, a question and its answer."""
    there, back = IP(src="10.0.0.1", dst="10.0.0.2"), IP(src="10.0.0.2", dst="10.0.0.1")
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return [
        ether / there / TCP(sport=1024, dport=80, flags="S", seq=99),
        ether / back / TCP(sport=80, dport=1024, flags="SA", seq=499, ack=100),
        ether / there / TCP(sport=1024, dport=80, flags="PA", seq=100) / Raw(HTTP[:30]),
        ether / there / TCP(sport=1024, dport=80, flags="PA", seq=130) / Raw(HTTP[30:]),
        ether / there / TCP(sport=1025, dport=443, flags="PA", seq=1) / Raw(client_hello()),
        ether / there / UDP(sport=1026, dport=53) / QUESTION,
        ether / back / UDP(sport=53, dport=1026) / ANSWER,
    ]


def attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute, padded."""
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def message(kind: int, attributes: bytes) -> bytes:
    """One netlink message of netfilter with its nfgenmsg."""
    return struct.pack("=IHHII", 20 + len(attributes), kind, 0, 0, 0) + struct.pack("!BBH", 2, 0, 1) + attributes


def logged(packet: Packet, sequence: int) -> bytes:
    """A record of NFLOG: hook, mark, time, interfaces, payload, prefix, sequence number, connection."""
    return message(
        4 << 8,
        attribute(1, struct.pack("!HBB", 0x800, 2, 0))
        + attribute(2, struct.pack("!I", 0x01240005))
        + attribute(3, struct.pack("!QQ", 1_700_000_000, 5))
        + attribute(4, struct.pack("!I", 2))
        + attribute(5, struct.pack("!I", 3))
        + attribute(9, bytes(packet))
        + attribute(10, b"R-7 deny lan internet \0")
        + attribute(12, struct.pack("!I", sequence))
        + attribute(18 | 0x8000, attribute(12, struct.pack("!I", 77))),
    )


def ended() -> bytes:
    """A connection that ended, with addresses, counters, times, state, mark and id."""
    addresses = attribute(1 | 0x8000, attribute(1, bytes((10, 0, 0, 1))) + attribute(2, bytes((10, 0, 0, 2))))
    ports = attribute(2 | 0x8000, attribute(1, b"\x06") + attribute(2, b"\x04\x00") + attribute(3, b"\x00\x50"))
    times = attribute(1, struct.pack("!Q", 10**18)) + attribute(2, struct.pack("!Q", 2 * 10**18))
    counters = attribute(1, struct.pack("!Q", 5)) + attribute(2, struct.pack("!Q", 700))
    return message(
        1 << 8 | 2,
        attribute(1 | 0x8000, addresses + ports)
        + attribute(3, struct.pack("!I", 2))
        + attribute(4 | 0x8000, attribute(1 | 0x8000, attribute(1, b"\x07")))
        + attribute(8, struct.pack("!I", 0x01240005))
        + attribute(9 | 0x8000, counters)
        + attribute(10 | 0x8000, counters)
        + attribute(12, struct.pack("!I", 77))
        + attribute(20 | 0x8000, times),
    )


def flows() -> bytes:
    """Columns of a flow log, behind the lengths of heads and body."""
    table = FlowTable(64)
    for number in range(20):
        table.add(
            Seen(
                source=IPv6Address(number << 64) if number % 3 == 0 else IPv4Address(0x0A000000 + number),
                destination=IPv6Address(number) if number % 3 == 0 else IPv4Address(0xC6336450),
                protocol=6,
                port=443 + number % 2,
                rule=f"R-{number % 4}",
                action="allow",
                from_zone="lan",
                to_zone="internet",
                minute=29_000_000 + number,
                asked_port=8443 if number % 5 == 0 else -1,
                bytes=1 << number,
            )
        )
    columns = table.take()
    return (
        struct.pack("<HH", len(columns.heads), len(columns.body)) + columns.heads + columns.body + columns.addresses
    )


def lowered() -> bytes:
    """A policy of two zones and two rules as `fuzz_classify.c` reads words."""
    everything = (4, 0, 0, 0, 0xFFFFFFFF), (6, 0, 0, (1 << 64) - 1, (1 << 64) - 1)
    ranges = [2, *everything[0], *everything[1]]
    keys = [2, 0, 0, 65535, 4, 443, 443]
    rule = [2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, *ranges, *ranges, *keys, 0, 0, 1, 0, 0]
    zones = [2, 1, 0, 0, 1, 1, 1, 4, 0, 0x0A000000, 0, 0x0AFFFFFF]
    words = [1, 2, 0, *zones, 1, 1, 0, 1 << 40, 1, 0, 0, *rule, *rule]
    return b"".join(bytes((word,)) if word < 255 else b"\xff" + struct.pack("<Q", word) for word in words)


def neighbours() -> dict[str, Packet]:
    """Devices that show themselves."""
    mac = "02:00:00:00:00:01"
    said = DNS(qr=1, aa=1, qd=[], an=DNSRR(rrname="kitchen.local", ttl=120, rdata="10.0.0.9"))
    frame = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
    there = IPv6(src="fe80::1", dst="ff02::1:ff00:2", hlim=255)
    return {
        "arp": frame / ARP(hwsrc=mac, psrc="10.0.0.9", pdst="10.0.0.1"),
        "tagged": frame / Dot1Q(vlan=7) / ARP(hwsrc=mac, psrc="10.0.0.9", pdst="10.0.0.1"),
        "solicitation": frame / there / ICMPv6ND_NS(tgt="fe80::2") / ICMPv6NDOptSrcLLAddr(lladdr=mac),
        "advertisement": frame / there / ICMPv6ND_NA(tgt="fe80::1") / ICMPv6NDOptDstLLAddr(lladdr=mac),
        "mdns": frame / IP(src="10.0.0.9", dst="224.0.0.251") / UDP(sport=5353, dport=5353) / said,
    }


def queued(packet: bytes) -> bytes:
    """A message of NFQUEUE as the kernel writes it: number and hook, interfaces, mark, the packet."""
    values = {1: struct.pack("!IHBx", 7, 0x0800, 2), 5: struct.pack("!I", 3), 6: struct.pack("!I", 4),
              3: struct.pack("!I", 0x80000009), 10: packet}  # fmt: skip
    body = struct.pack("!BBH", 2, 0, 5)
    for kind, value in values.items():
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), 3 << 8, 0, 0, 0) + body


def write(target: str, name: str, data: bytes) -> None:
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)


def main() -> None:
    for name, (link, packet) in packets().items():
        write("decode", name, struct.pack("!H", link) + bytes(packet))
    write("defrag", "overlap", fragments())
    for name, packet in neighbours().items():
        write("neighbours", name, bytes(packet))
    write("telnet", "dialogue", said((0, b"\xff\xfb\x18\xff\xfa\x22\1\xff\xf0ann\r\nls"), (1, b"\r\nlogin: ")))
    for name, dialogue in (("mqtt", mqtt()), ("ike", ike()), ("snmp", snmp()), ("krb5", krb5())):
        write(name, "dialogue", dialogue)
    for (target, name), text in {**seeds(), **smb_seeds()}.items():
        write(target, name, text)
    question, answer = bytes(QUESTION), bytes(ANSWER)
    behind = [(way, struct.pack("!H", len(text)) + text) for way, text in ((0, question), (1, answer))]
    write("dns", "datagrams", b"\0" + pieces_of([(0, question), (1, answer)]))
    write("dns", "stream", b"\x01" + pieces_of(behind))
    write("tls", "hello", pieces_of([(0, client_hello())]))
    for name, flights in handshakes().items():
        write("tls", name, pieces_of(flights))
        write("session", name, b"\x02" + pieces_of(flights))
    write("ssh", "banners", pieces_of(SSH))
    write("session", "ssh", b"\x06" + pieces_of(SSH))
    write("session", "dns", b"\x01" + pieces_of([(0, question), (1, answer)]))
    write("session", "http", b"\x04" + pieces_of([(0, HTTP), (1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]))
    for target, conversations in (("http", http_conversations()), ("http2", http2_conversations())):
        for name, pieces in conversations.items():
            write(target, name, b"".join(struct.pack("<H", way << 15 | len(text)) + text for way, text in pieces))
    tcp, _, icmp = (packet for _, packet in list(packets().values())[:3])
    write("nflog", "records", logged(tcp.payload, 1) + logged(icmp, 5))
    write("conntrack", "ended", ended() * 2)
    write("nfqueue", "packet", queued(bytes(tcp.payload)))
    write(
        "lane",
        "turns",
        bytes([3, 9, *range(9), 2, 5, 3, 0, 0, 3, 1, 0, 7, 2, 31, 1, 2, 9, 0, 8, 1, 1, 2, 2, 8, 3, 0] * 3),
    )
    write("boxes", "rules", bytes([6, *range(0, 240, 2)]))
    write("boxes", "edits", bytes([4, *range(3, 120), 5, *range(200, 80, -1), 3, *range(5, 95)]))
    write("quic", "initial", bytes.fromhex("2d00c3000000010883 94c8f03e5157080000449e"))
    write("match", "chains", bytes(range(7, 90, 3)) + b"GET /index.html HTTP/1.1 aAbB <html><title>words</title>" * 3)
    write("rules", "empty", bytes(128))
    write(
        "rules", "counts", bytes(16) + struct.pack("<12I", 1, 2, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0) + bytes(range(256)) * 4
    )
    write(
        "banlist",
        "text",
        b"# a\n192.0.2.1\n10.0.0.0/9 ; b\n10.0.0.1-10.0.0.9\n2001:db8::/33\n0.0.0.0/0\n1.2.3.4/24\n",
    )
    write("banlist", "packed4", b"\0" + bytes([10, 0, 0, 0, 9, 192, 0, 2, 1, 32]))
    write("banlist", "packed6", b"\1" + bytes([32, 1, 13, 184, *bytes(12), 33]))
    write("tcp", "segments", bytes([0, 4, *range(240)]))
    write("flowlog", "columns", flows())
    write("classify", "rules", lowered())
    for target in ("file", "engine"):
        directory = CORPUS / target
        directory.mkdir(parents=True, exist_ok=True)
        for suffix, writer in (("pcap", PcapWriter), ("pcapng", PcapNgWriter)):
            with writer(str(directory / f"conversation.{suffix}")) as out:
                for packet in conversation():
                    packet.time = 1_700_000_000
                    out.write(packet)


if __name__ == "__main__":
    main()
