"""What the lab's hosts do by themselves: office work, a partner's visits, an attacker's attempts.

Every attempt is one line of `Attempt`. Some must succeed and some must fail: `meant` says which, so that
who reads the lines sees whether the gateway does what its policy says.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.message
import dns.rdatatype
import msgspec

from appliance.lab.netns import inside, plug_in
from appliance.lab.topology import (
    DMZ,
    DNS4,
    DNS6,
    FLOODER,
    GATEWAY4,
    GATEWAY6,
    INTRUDERS,
    LAN1,
    MANAGEMENT,
    PROBERS,
    SCANNERS,
    Habit,
)
from crypto.selfsigned import TlsContext

PATIENCE = 2.0  # seconds until an attempt counts as failed
SITE, LOG_IN = "www.health.example", "/wp-login.php"
SCANNED = (21, 445, 1433, 3306, 3389, 5900, 6379, 8080)
SWEPT = range(1, 41)  # the ports of a scan that is found
FLOOD, FLOOD_SECONDS, BURSTS = 4000, 2.0, 40  # SYNs of a flood, how long it takes, in how many bursts
STOPPED = 15.0  # seconds within which who scans is stopped
PACE = 1.5  # seconds between the attempts of one host, so that a person can follow
LATER = {"visitor": 12}  # so many paces after the others


class Attempt(msgspec.Struct, frozen=True):
    """`host` tried `what`; `reached` is what came of it, `meant` what should. Something `grave` is worth a line."""

    host: str
    what: str
    meant: bool
    reached: bool
    words: str = ""
    grave: bool = False


class Person:
    """Someone at a host: every socket is born in the host's namespace."""

    def __init__(self, host: str, namespace: Path, trust: TlsContext) -> None:
        self.host = host
        self._namespace = namespace
        self._trust = trust

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        with inside(self._namespace):
            made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def resolve(self, name: str, kind: str, server: str = DNS4) -> str:
        """The first address of a name, asked of the server over UDP. Raises OSError when there is none."""
        query = dns.message.make_query(name, kind)
        with self.socket(_family(server), socket.SOCK_DGRAM) as sender:
            loop = asyncio.get_running_loop()
            sender.connect((server, 53))
            await loop.sock_sendall(sender, query.to_wire())
            try:
                reply = dns.message.from_wire(await loop.sock_recv(sender, 4096))
            except dns.exception.DNSException as error:
                raise OSError(f"{name}: no DNS answer: {error}") from error
        wanted = dns.rdatatype.from_text(kind)
        for answer in reply.answer:
            if answer.rdtype == wanted:
                return str(answer[0].to_text())
        raise OSError(f"{name} has no {kind}")

    async def connect(self, address: str, port: int, *, source: str = "") -> str:
        with self.socket(_family(address), socket.SOCK_STREAM) as stream:
            if source:
                stream.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(stream, (address, port))
        return "connected"

    async def get(
        self, address: str, port: int, name: str, *, tls: bool = False, path: str = "/", source: str = ""
    ) -> str:
        """An HTTP request; the first line of the page. Raises OSError."""
        stream = self.socket(_family(address), socket.SOCK_STREAM)
        try:
            if source:
                stream.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(stream, (address, port))
            reader, writer = await asyncio.open_connection(
                sock=stream, ssl=self._trust if tls else None, server_hostname=name if tls else None
            )
        except BaseException:
            stream.close()
            raise
        try:
            head = f"GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: lab\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            page = await reader.read(65536)
        finally:
            writer.close()
        return page.decode("utf-8", "replace").rstrip().rpartition("\n")[2]

    async def browse(self, name: str, kind: str, *, tls: bool) -> str:
        """Resolve and get, as a browser does."""
        server = DNS6 if kind == "AAAA" else DNS4
        return await self.get(await self.resolve(name, kind, server), 443 if tls else 80, name, tls=tls)

    async def ping(self, address: str) -> str:
        """One echo request over an unprivileged ICMP socket (ping(8) does the same)."""
        v6 = ":" in address
        with self.socket(
            _family(address), socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
        ) as sender:
            loop = asyncio.get_running_loop()
            sender.connect((address, 0))
            await loop.sock_sendall(sender, struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0, 1) + b"reef lab")
            await loop.sock_recv(sender, 1500)
        return "answered"

    async def mail(self, address: str) -> str:
        stream = self.socket(_family(address), socket.SOCK_STREAM)
        try:
            await asyncio.get_running_loop().sock_connect(stream, (address, 25))
            reader, writer = await asyncio.open_connection(sock=stream)
        except BaseException:
            stream.close()
            raise
        try:
            greeting = await reader.readline()
            writer.write(b"QUIT\r\n")
            await reader.read(100)
        finally:
            writer.close()
        return greeting.decode("ascii", "replace").strip()

    async def scan(self, address: str, ports: Sequence[int], *, source: str = "") -> str:
        """Try many ports at once; the open ones. Raises OSError when none is."""
        tries = [asyncio.wait_for(self.connect(address, port, source=source), PATIENCE / 4) for port in ports]
        answers = await asyncio.gather(*tries, return_exceptions=True)
        found = [port for port, answer in zip(ports, answers, strict=True) if answer == "connected"]
        if not found:
            raise OSError(f"none of {len(ports)} ports is open")
        return f"open: {found}"

    async def scan_and_come_in(self, source: str) -> str:
        """Scan the gateway, then look at its web site. Raises OSError as soon as that is over too."""
        with contextlib.suppress(OSError):
            return await self.scan(GATEWAY4, SWEPT, source=source)
        return await self._until_stopped(source, f"{len(SWEPT)} ports, and now no answer from the web site either")

    async def look_for_a_way_in(self, source: str) -> str:
        """Ask the web site for a page to log in at, then look at it. Raises OSError as soon as that is over too."""
        await self.get(GATEWAY4, 80, SITE, path=LOG_IN, source=source)
        return await self._until_stopped(source, "the page came, and now nothing comes any more")

    async def _until_stopped(self, source: str, words: str) -> str:
        loop = asyncio.get_running_loop()
        until = loop.time() + STOPPED
        while loop.time() < until:
            try:
                await asyncio.wait_for(self.get(GATEWAY4, 80, SITE, source=source), PATIENCE / 2)
            except TimeoutError:
                raise OSError(words) from None
            await asyncio.sleep(PATIENCE / 10)
        return "the web site still answers"

    async def flood(self, source: str, destination: str, port: int) -> str:
        """More SYNs than anybody needs, in bursts. Always raises OSError: nothing comes back."""
        with self.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            sent = 0
            for burst in range(BURSTS):
                for number in range(FLOOD // BURSTS):
                    own = 10_000 + burst * FLOOD // BURSTS + number
                    with contextlib.suppress(BlockingIOError):  # the line is full
                        packet = _packet(source, destination, _syn(source, destination, port, own))
                        sender.sendto(packet, (destination, 0))
                        sent += 1
                await asyncio.sleep(FLOOD_SECONDS / BURSTS)
        raise OSError(f"{sent} in {FLOOD_SECONDS:g} s")

    async def plug_in(self) -> str:
        """The cable into the switch; then see who is there."""
        await asyncio.to_thread(plug_in, self._namespace, "eth0")
        while True:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self.ping(MANAGEMENT), PATIENCE / 4)

    def spoof(self, source: str, destination: str, port: int) -> None:
        """Send a TCP SYN whose source address is a lie."""
        segment = _syn(source, destination, port)
        if ":" in source:
            with self.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
                sender.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL, <linux/in6.h>
                header = struct.pack("!IHBB", 6 << 28, len(segment), socket.IPPROTO_TCP, 64)
                packed = [socket.inet_pton(socket.AF_INET6, text) for text in (source, destination)]
                sender.sendto(header + b"".join(packed) + segment, (destination, 0))
            return
        with self.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            sender.sendto(_packet(source, destination, segment), (destination, 0))


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _packet(source: str, destination: str, segment: bytes) -> bytes:
    """An IPv4 packet; the kernel fills the checksum of the header in."""
    ends = socket.inet_aton(source), socket.inet_aton(destination)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 1, 0, 64, socket.IPPROTO_TCP, 0, *ends)
    return header + segment


def _syn(source: str, destination: str, port: int, own: int = 40000) -> bytes:
    """A TCP SYN with a right checksum (RFC 9293 3.1), so that nothing but the policy has a reason to drop it."""
    family = _family(source)
    header = struct.pack("!HHIIBBHHH", own, port, 1, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    pseudo += struct.pack("!II", len(header), socket.IPPROTO_TCP)
    total = sum(struct.unpack(f"!{len(pseudo + header) // 2}H", pseudo + header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]


class Deed(NamedTuple):
    """What is done, whether it is meant to succeed, how, the seconds until it counts as failed, and whether a person
    who looks on wants to know of it."""

    what: str
    meant: bool
    how: Callable[[], Awaitable[str]]
    patience: float = PATIENCE
    grave: bool = False


def office(person: Person) -> Sequence[Deed]:
    return (
        Deed("http to www.example.org", True, lambda: person.browse("www.example.org", "A", tls=False)),
        Deed("https to www.example.org", True, lambda: person.browse("www.example.org", "A", tls=True)),
        Deed("ping dns.example.org", True, lambda: person.ping(DNS4)),
        Deed("https to www.example.org, IPv6", True, lambda: person.browse("www.example.org", "AAAA", tls=True)),
        Deed("own web site by its outer address", True, lambda: person.get(GATEWAY4, 80, SITE)),
        Deed("mail straight to mail.example.org", False, lambda: person.mail("198.51.100.25")),
        Deed("telnet to www.example.org", False, lambda: person.connect("198.51.100.80", 23)),
    )


def server(person: Person) -> Sequence[Deed]:
    return (
        Deed("ssh into the LAN", False, lambda: person.connect(LAN1, 22)),
        Deed("updates over https", True, lambda: person.browse("updates.example.org", "A", tls=True)),
    )


def partner(person: Person) -> Sequence[Deed]:
    return (
        Deed("the ministry's web site", True, lambda: person.browse("www.health.example", "A", tls=False)),
        Deed("the ministry's web site, IPv6", True, lambda: person.browse("www.health.example", "AAAA", tls=True)),
        Deed("http to www.example.org", True, lambda: person.browse("www.example.org", "A", tls=False)),
        Deed("ssh to the ministry's web site", False, lambda: person.connect(GATEWAY4, 2222)),
    )


def attacker(person: Person) -> Sequence[Deed]:
    async def lie(source: str, destination: str) -> str:
        person.spoof(source, destination, 80)
        raise OSError("sent; no answer can come back")

    scanners, intruders, probers = map(itertools.cycle, (SCANNERS, INTRUDERS, PROBERS))
    return (
        Deed(
            "a scan of the gateway", False, lambda: person.scan_and_come_in(next(scanners)), 2 * STOPPED, grave=True
        ),
        Deed(
            "an exploit against the web site",
            False,
            lambda: person.get(GATEWAY4, 80, SITE, path="/../etc/passwd", source=next(intruders)),
            grave=True,
        ),
        Deed(
            "a flood of SYNs to the web site", False, lambda: person.flood(FLOODER, GATEWAY4, 80), STOPPED, grave=True
        ),
        Deed(
            "a look for a way to log in to the web site",
            False,
            lambda: person.look_for_a_way_in(next(probers)),
            2 * STOPPED,
            grave=True,
        ),
        Deed("ssh to the gateway", False, lambda: person.connect(GATEWAY4, 22)),
        Deed("a LAN host, straight through", False, lambda: person.connect(LAN1, 80)),
        Deed("spoofed source from the LAN", False, lambda: lie("10.20.0.99", DMZ)),
        Deed("database of the web server", False, lambda: person.connect(GATEWAY4, 5432)),
        Deed("a LAN host over IPv6", False, lambda: person.connect("2001:db8:20:1::11", 80)),
        Deed("spoofed source from the LAN, IPv6", False, lambda: lie("2001:db8:20:1::99", "2001:db8:20:2::10")),
        Deed("telnet to the gateway, IPv6", False, lambda: person.connect(GATEWAY6, 23)),
        Deed("a look at some ports of the gateway", False, lambda: person.scan(GATEWAY4, SCANNED)),
    )


def visitor(person: Person) -> Sequence[Deed]:
    return (Deed("a small computer in the LAN", True, person.plug_in, STOPPED),)


HABITS: dict[Habit, Callable[[Person], Sequence[Deed]]] = {
    "office": office,
    "server": server,
    "partner": partner,
    "attacker": attacker,
    "visitor": visitor,
}


async def live(person: Person, habit: Habit, pace: float, tell: Callable[[Attempt], None]) -> None:
    """Go through the deeds of the habit again and again, `pace` seconds between them, until cancelled."""
    await asyncio.sleep(LATER.get(habit, 0) * pace)
    for deed in itertools.cycle(HABITS[habit](person)):
        tell(await attempt(person.host, deed))
        await asyncio.sleep(pace)


async def attempt(host: str, deed: Deed) -> Attempt:
    reached = False
    try:
        words = await asyncio.wait_for(deed.how(), deed.patience)
        reached = True
    except TimeoutError:
        words = "no answer"
    except OSError as error:
        words = error.strerror or str(error)
    return Attempt(host, deed.what, deed.meant, reached, words, deed.grave)
