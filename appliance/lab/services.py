"""What the lab's hosts serve: web pages, names, mail. Each takes sockets that were opened inside its host."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import msgspec

UDP_LIMIT = 1232  # what a DNS answer over UDP may have, DNS flag day 2020
TTL = 30


def listening(kind: socket.SocketKind, port: int) -> socket.socket:
    """A socket of this namespace for both families."""
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        listener.listen(128)
    listener.setblocking(False)
    return listener


class Web:
    """HTTP/1.1: says who serves and whom it sees; `/bytes/<n>` answers n bytes."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
            pass  # the client left, or speaks something else
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        request, *headers = head.decode("latin-1").split("\r\n")
        words = request.split(" ")
        path = words[1] if len(words) == 3 else "/"
        keep = not any(line.lower() == "connection: close" for line in headers)
        client = str(writer.get_extra_info("peername")[0]).removeprefix("::ffff:")
        body = f"{self._name} serves {path} to {client}\n".encode()
        if path.startswith("/bytes/") and path.removeprefix("/bytes/").isdigit():
            body = b"coral reef" * (int(path.removeprefix("/bytes/")) // 10 + 1)
            body = body[: int(path.removeprefix("/bytes/"))]
        writer.write(
            b"HTTP/1.1 200 OK\r\nServer: reef-lab\r\nContent-Type: text/plain\r\n"
            + f"Content-Length: {len(body)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
            + (b"" if words[0] == "HEAD" else body)
        )
        await writer.drain()
        return keep


class Mail:
    """As much SMTP as a client needs to hand a message over (RFC 5321); the message is thrown away."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(f"220 {self._name} ESMTP\r\n".encode())
            while line := await asyncio.wait_for(reader.readline(), 60):
                verb = line[:4].upper()
                if verb == b"QUIT":
                    writer.write(b"221 Bye\r\n")
                    break
                if verb == b"DATA":
                    writer.write(b"354 End with a line that is a dot\r\n")
                    await writer.drain()
                    while await asyncio.wait_for(reader.readline(), 60) not in (b".\r\n", b""):
                        pass
                known = verb in {b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP"}
                writer.write(b"250 OK\r\n" if known else b"502 Not here\r\n")
                await writer.drain()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # the client left, or sent a line longer than the stream's limit
        finally:
            writer.close()


class Names(asyncio.DatagramProtocol):
    """An authoritative DNS server for the names in a JSON file (name -> addresses), over UDP and TCP.

    The file is read again when it changes, so that a test can let the answers change, vanish, grow or lie.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp = (0, 0)
        self._names: dict[str, tuple[str, ...]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport is no subclass of DatagramTransport before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self.answer(data, UDP_LIMIT)
        if reply and self._transport:
            self._transport.sendto(reply, addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """DNS over TCP: each message has its length before it (RFC 1035 4.2.2)."""
        try:
            while True:
                length = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), 30), "big")
                reply = self.answer(await reader.readexactly(length), 65535)
                if not reply:
                    break
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    def answer(self, query: bytes, limit: int) -> bytes:
        """The answer to a query in wire format; b"" for what is not a query."""
        try:
            message = dns.message.from_wire(query)
        except dns.exception.DNSException:
            return b""
        if len(message.question) != 1 or message.flags & dns.flags.QR:
            return b""
        reply = dns.message.make_response(message)
        reply.flags |= dns.flags.AA | dns.flags.RA
        question = message.question[0]
        addresses = self._load().get(question.name.to_text(omit_final_dot=True).lower())
        if addresses is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            wanted = {dns.rdatatype.A: ".", dns.rdatatype.AAAA: ":"}.get(question.rdtype)
            found = [address for address in addresses if wanted and wanted in address]
            if found:
                reply.answer.append(dns.rrset.from_text_list(question.name, TTL, "IN", question.rdtype, found))
        try:
            return reply.to_wire(max_size=limit)
        except dns.exception.TooBig:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            return reply.to_wire(max_size=limit)

    def _load(self) -> dict[str, tuple[str, ...]]:
        status = self._file.stat()
        if (status.st_mtime_ns, status.st_ino) != self._stamp:
            self._names = msgspec.json.decode(self._file.read_bytes(), type=dict[str, tuple[str, ...]])
            self._stamp = (status.st_mtime_ns, status.st_ino)
        return self._names
