"""Captures for the inspection bench: web pages, TLS, DNS, and real captures again and again with other addresses.

The same bytes on every machine but for the TLS keys. Checksums of the transport layer are not filled in: engines are
told to ignore them, as they are for captures from machines that leave them to the network card.
"""

from __future__ import annotations

import gzip
import random
import ssl
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

MSS = 1448
START = 1_767_225_600  # 2026-01-01
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
ETHERNET = bytes.fromhex("020000000001020000000002 0800".replace(" ", ""))
SYN, ACK, PSH, FIN = 2, 16, 8, 1


class Capture:
    """A pcap file under construction; a packet every eight microseconds."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._file.write(HEADER)
        self._microseconds = 0
        self.size = len(HEADER)

    def packet(self, frame: bytes) -> None:
        self._microseconds += 8
        seconds, rest = divmod(self._microseconds, 1_000_000)
        self._file.write(struct.pack("<IIII", START + seconds, rest, len(frame), len(frame)))
        self._file.write(frame)
        self.size += 16 + len(frame)

    def close(self) -> None:
        self._file.close()


def ipv4(protocol: int, source: int, destination: int, rest: bytes) -> bytes:
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(rest), 0, 0x4000, 64, protocol, 0, source, destination)
    total = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ETHERNET + header[:10] + struct.pack(">H", ~total & 0xFFFF) + header[12:] + rest


class Connection:
    """One TCP connection, both ends."""

    def __init__(self, capture: Capture, client: int, server: int, client_port: int, server_port: int) -> None:
        self._capture = capture
        self._ends = ((client, client_port), (server, server_port))
        self._next = [1000, 5000]
        self._segment(0, SYN)
        self._next[0] += 1
        self._segment(1, SYN | ACK)
        self._next[1] += 1
        self._segment(0, ACK)

    def _segment(self, side: int, flags: int, payload: bytes = b"") -> None:
        (source, source_port), (destination, destination_port) = self._ends[side], self._ends[1 - side]
        acknowledged = self._next[1 - side] if flags & ACK else 0
        header = struct.pack(
            ">HHIIBBHHHIII", source_port, destination_port, self._next[side], acknowledged, 0x80, flags, 65535, 0, 0,
            0x0101080A, 1, 1,
        )  # fmt: skip
        self._capture.packet(ipv4(6, source, destination, header + payload))

    def send(self, side: int, data: bytes) -> None:
        for at in range(0, len(data), MSS):
            piece = data[at : at + MSS]
            self._segment(side, ACK | PSH if at + MSS >= len(data) else ACK, piece)
            self._next[side] += len(piece)
            if at // MSS % 2:
                self._segment(1 - side, ACK)

    def close(self) -> None:
        self._segment(0, FIN | ACK)
        self._next[0] += 1
        self._segment(1, FIN | ACK)
        self._next[1] += 1
        self._segment(0, ACK)


# --- web ---------------------------------------------------------------------------------------------------

TEXT = (
    "the of and to in is you that it he was for on are as with his they at be this have from or one "
    "had by word but not what all were we when your can said there use an each which she do how "
    "their if will up other about out many then them these so some her would make like him into time "
    "has look two more write go see number no way could people my than first water been call who oil "
    "its now find long down day did get come made may part ministry health permit form"
)
WORDS = tuple(TEXT.split())


def page(random_: random.Random, size: int) -> bytes:
    parts, length = ["<!DOCTYPE html><html><head><title>"], 0
    while length < size:
        words = " ".join(random_.choices(WORDS, k=12))
        link = f"/{random_.choice(WORDS)}/{random_.randrange(10**5)}.html"
        marks = f'class="c{random_.randrange(400)}" id="n{random_.randrange(10**6)}"'
        part = f'<div {marks}><a href="{link}">{words}</a></div>\n'
        parts.append(part)
        length += len(part)
    return "".join(parts).encode()


def script(random_: random.Random, size: int) -> bytes:
    parts, length = [], 0
    while length < size:
        name = f"{random_.choice(WORDS)}{random_.randrange(1000)}"
        part = (
            f"function {name}(a,b){{var c=document.getElementById('{random_.choice(WORDS)}');"
            f"if(a>b){{return c.{random_.choice(WORDS)}(a-{random_.randrange(999)});}}}}\n"
        )
        parts.append(part)
        length += len(part)
    return "".join(parts).encode()


def objects(random_: random.Random) -> list[tuple[str, str, bytes]]:
    """(path, header lines, body) of two hundred things on web servers."""
    made = []
    for number in range(200):
        kind = number % 10
        size = int(random_.lognormvariate(9.6, 1.0)) + 400
        if kind < 4:
            body = page(random_, size)
            path, header = f"/{random_.choice(WORDS)}/page{number}.html", "Content-Type: text/html; charset=utf-8\r\n"
            if kind < 3:
                body, header = gzip.compress(body, 6, mtime=0), header + "Content-Encoding: gzip\r\n"
        elif kind < 7:
            body = script(random_, size)
            path, header = f"/static/{random_.choice(WORDS)}{number}.js", "Content-Type: application/javascript\r\n"
            if kind < 6:
                body, header = gzip.compress(body, 6, mtime=0), header + "Content-Encoding: gzip\r\n"
        else:
            body = b"\xff\xd8\xff\xe0" + random_.randbytes(2 * size)
            path, header = f"/images/{random_.choice(WORDS)}{number}.jpg", "Content-Type: image/jpeg\r\n"
        made.append((path, header, body))
    return made


AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1",
)


def write_web(path: Path, megabytes: int) -> None:
    random_ = random.Random(1)
    capture, things, flow = Capture(path), objects(random_), 0
    while capture.size < megabytes * 1_000_000:
        flow += 1
        connection = Connection(capture, 0x0A140000 + flow % 60000, 0xC6336400 + flow % 250, 1024 + flow % 60000, 80)
        agent, host = random_.choice(AGENTS), f"www.{random_.choice(WORDS)}{flow % 900}.example"
        for _request in range(random_.randrange(1, 9)):
            target, header, body = random_.choice(things)
            connection.send(0, (
                f"GET {target}?v={random_.randrange(10**6)} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n"
                "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n"
                "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n"
                f"Referer: http://{host}/{random_.choice(WORDS)}\r\nCookie: session={random_.randrange(10**12):x}\r\n"
                "Connection: keep-alive\r\n\r\n"
            ).encode())  # fmt: skip
            chunked = random_.random() < 0.3
            length = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {len(body)}\r\n"
            answer = (
                "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: nginx/1.26.1\r\n"
                f"{header}{length}Cache-Control: max-age=3600\r\nConnection: keep-alive\r\n\r\n"
            ).encode()
            if chunked:
                pieces = (body[at : at + 8192] for at in range(0, len(body), 8192))
                answer += b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            else:
                answer += body
            connection.send(1, answer)
        connection.close()
    capture.close()


# --- TLS ---------------------------------------------------------------------------------------------------


def handshakes(count: int) -> list[list[tuple[int, bytes]]]:
    """Real handshakes, half of them TLS 1.2: lists of (side, bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365",
             "-keyout", key, "-out", certificate, "-subj", "/C=BZ/O=Ministry of Health/CN=www.health.example"],
            check=True, capture_output=True,
        )  # fmt: skip
        made = []
        for number in range(count):
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(certificate, key)
            client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client.check_hostname = False
            client.verify_mode = ssl.CERT_NONE
            if number % 2:
                client.maximum_version = ssl.TLSVersion.TLSv1_2
            client.set_alpn_protocols(["h2", "http/1.1"])
            made.append(_handshake(client, server, f"www.{WORDS[number % len(WORDS)]}{number}.example"))
    return made


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> list[tuple[int, bytes]]:
    wires = [ssl.MemoryBIO(), ssl.MemoryBIO()]  # what each side wrote
    forward = [ssl.MemoryBIO(), ssl.MemoryBIO()]  # what each side reads
    said: list[tuple[int, bytes]] = []
    done = [False, False]
    ends = [
        client.wrap_bio(forward[0], wires[0], server_hostname=name),
        server.wrap_bio(forward[1], wires[1], server_side=True),
    ]
    while not all(done):
        for side in (0, 1):
            try:
                ends[side].do_handshake()
                done[side] = True
            except ssl.SSLWantReadError:
                pass
            data = wires[side].read()
            if data:
                said.append((side, data))
                forward[1 - side].write(data)
    return said


def write_tls(path: Path, megabytes: int) -> None:
    random_ = random.Random(2)
    capture, openings, flow = Capture(path), handshakes(64), 0
    noise = random_.randbytes(1 << 22)
    while capture.size < megabytes * 1_000_000:
        flow += 1
        connection = Connection(capture, 0x0A150000 + flow % 60000, 0xCB007100 + flow % 250, 1024 + flow % 60000, 443)
        for side, data in random_.choice(openings):
            connection.send(side, data)
        for _exchange in range(random_.randrange(1, 6)):
            connection.send(0, _records(noise, random_, random_.randrange(200, 900)))
            connection.send(1, _records(noise, random_, int(random_.lognormvariate(9.8, 1.2)) + 300))
        connection.close()
    capture.close()


def _records(noise: bytes, random_: random.Random, size: int) -> bytes:
    """Application data of so many bytes, in records of at most 16 KiB."""
    records = []
    while size > 0:
        length = min(size, 16384)
        at = random_.randrange(len(noise) - length)
        records.append(b"\x17\x03\x03" + length.to_bytes(2, "big") + noise[at : at + length])
        size -= length
    return b"".join(records)


# --- DNS ---------------------------------------------------------------------------------------------------


def write_dns(path: Path, megabytes: int) -> None:
    random_ = random.Random(3)
    capture, query = Capture(path), 0
    while capture.size < megabytes * 1_000_000:
        query += 1
        client, port, server = 0x0A160000 + query % 500, 1024 + query // 12 % 60000, 0x0A160A0A
        labels = (
            random_.choice(("www", "mail", "cdn", "api", "img")),
            f"{random_.choice(WORDS)}{query % 5000}",
            "example",
        )
        name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
        question = name + struct.pack(">HH", random_.choice((1, 1, 1, 28)), 1)
        identifier = query & 0xFFFF
        asked = struct.pack(">HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + question
        answers = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 300, 4) + random_.randbytes(4)
            for _ in range(random_.randrange(1, 4))
        )
        answered = struct.pack(">HHHHHH", identifier, 0x8180, 1, len(answers) // 16, 0, 0) + question + answers
        for source, destination, ports, message in (
            (client, server, (port, 53), asked), (server, client, (53, port), answered),
        ):  # fmt: skip
            header = struct.pack(">HHHH", *ports, 8 + len(message), 0)
            capture.packet(ipv4(17, source, destination, header + message))
    capture.close()


# --- real captures -----------------------------------------------------------------------------------------


def frames_of(path: Path) -> Iterator[bytes]:
    """Ethernet frames of a little-endian pcap file; nothing of any other."""
    data = path.read_bytes()
    if len(data) < 24 or data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") or data[20] != 1:
        return
    at = 24
    while at + 16 <= len(data):
        captured, length = struct.unpack_from("<II", data, at + 8)
        if captured == length and at + 16 + captured <= len(data):
            yield data[at + 16 : at + 16 + captured]
        at += 16 + captured


def write_real(path: Path, megabytes: int, sources: list[Path]) -> None:
    """Each round has client and server addresses of its own, so that its flows are new ones."""
    capture, round_ = Capture(path), 0
    frames = [frame for source in sources for frame in frames_of(source)]
    while frames and capture.size < megabytes * 1_000_000:
        for frame in frames:
            if frame[12:14] == b"\x08\x00" and len(frame) >= 34:
                mixed = bytearray(frame)
                for at in (28, 32):
                    mixed[at] = (mixed[at] + round_) & 0xFF
                total = sum(struct.unpack_from(">10H", mixed, 14)) - struct.unpack_from(">H", mixed, 24)[0]
                total = (total & 0xFFFF) + (total >> 16)
                struct.pack_into(">H", mixed, 24, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
                frame = bytes(mixed)
            capture.packet(frame)
        round_ += 1
    capture.close()


PARTS = ("web", "tls", "dns", "real")


def captures(folder: Path, peers: Path, *, scale: float) -> dict[str, Path]:
    """Part -> its capture under `folder`, made where it is not there yet. 765 MB at scale 1.

    `peers` holds the real captures; without it that part is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"web": 330, "tls": 215, "dns": 20, "real": 200}
    sources = sorted((peers / "suricata-verify" / "tests").glob("*/*.pcap"))
    made = {}
    for part in PARTS:
        if part == "real" and not sources:
            continue
        path = folder / f"{part}-{scale:g}.pcap"
        if not path.exists():
            growing, size = path.with_suffix(".part"), max(1, round(sizes[part] * scale))
            if part == "real":
                write_real(growing, size, sources)
            else:
                {"web": write_web, "tls": write_tls, "dns": write_dns}[part](growing, size)
            growing.replace(path)
        made[part] = path
    return made
