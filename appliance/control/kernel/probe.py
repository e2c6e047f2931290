"""One packet sent on purpose, so that the kernel can be watched deciding about it.

It goes in where packets of its sender come in: a frame handed to the receive path of the entering interface, or, from
the gateway itself, a raw socket. Who sends it is root, in the gateway's network namespace.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.control.ipc import server_of
from appliance.policy.decide import Packet
from ctypes_ext.inject import inject
from ctypes_ext.sandbox import CLONE_NEWNET, setns

SIOCGIFHWADDR = 0x8927
ARPHRD_ETHER = 1
SENDER = bytes.fromhex("020000001111")  # a locally administered address; nobody answers it
TTL = 64
ICMP_IDENTIFIER = 0x5245
_CASTAGNOLI = 0x82F63B78


class ProbeError(Exception):
    """The packet cannot be sent; the words say why."""


def build(packet: Packet) -> bytes:
    """The packet from its IP header on, with its checksums."""
    payload = _payload(packet)
    size = 4 if packet.version == 4 else 16
    source, destination = packet.source.to_bytes(size, "big"), packet.destination.to_bytes(size, "big")
    if packet.protocol in (6, 17, 58):
        pseudo = source + destination + struct.pack("!II", len(payload), packet.protocol)
        at = {6: 16, 17: 6, 58: 2}[packet.protocol]
        payload = _with_checksum(payload, at, pseudo)
    elif packet.protocol == 1:
        payload = _with_checksum(payload, 2, b"")
    if packet.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), packet.protocol, TTL) + source + destination + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0x5246, 0, TTL, packet.protocol, 0)
    return _with_checksum(head + source + destination, 10, b"") + payload


def _payload(packet: Packet) -> bytes:
    ports = struct.pack("!HH", packet.source_port, packet.destination_port)
    match packet.protocol:
        case 6:
            return ports + struct.pack("!IIBBHHH", 1000, 0, 5 << 4, 2, 64240, 0, 0)  # SYN
        case 17:
            return ports + struct.pack("!HH", 12, 0) + b"reef"
        case 136:  # the checksum covers the header only
            return ports + struct.pack("!HH", 8, 0) + b"reef"
        case 1 | 58:
            return struct.pack("!BBHHH", packet.icmp_type, packet.icmp_code, 0, ICMP_IDENTIFIER, 1) + b"reef"
        case 132:
            init = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65535, 1, 1, 1)
            whole = ports + struct.pack("!II", 0, 0) + init
            return ports + struct.pack("!I", 0) + struct.pack("<I", _crc32c(whole)) + init
        case _:
            return b"\0" * 16


def _with_checksum(data: bytes, at: int, pseudo: bytes) -> bytes:
    """`data` with the Internet checksum (RFC 1071) of it and a pseudo header at offset `at`."""
    covered = pseudo + data + b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + struct.pack("!H", (~total & 0xFFFF) or 0xFFFF) + data[at + 2 :]


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def send(packet: Packet, applyd: Path) -> None:
    """Send it in the network namespace of the process that answers at `applyd`. Raises `ProbeError`."""
    _there(applyd, lambda: send_here(packet))


def check(packet: Packet, applyd: Path) -> None:
    """Whether it could be sent there, before anybody waits for it. Raises `ProbeError`."""
    _there(applyd, lambda: _hardware_address(packet.entering) if packet.entering else None)


def _there(applyd: Path, work: Callable[[], object]) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        # Only this thread changes its namespace, and it ends here.
        try:
            _enter(applyd)
            work()
        except (OSError, ProbeError) as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        error = failed[0]
        if isinstance(error, PermissionError):
            raise ProbeError("only root may send a packet of somebody else's; --follow waits for a real one")
        raise error if isinstance(error, ProbeError) else ProbeError(f"the packet cannot be sent: {error}")


def _enter(applyd: Path) -> None:
    pid = server_of(applyd)
    own = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(own, CLONE_NEWNET)
    finally:
        os.close(own)


def send_here(packet: Packet) -> None:
    """Send it in the network namespace of this thread. Raises OSError, `ProbeError`."""
    data = build(packet)
    if packet.entering:
        kind = 0x0800 if packet.version == 4 else 0x86DD
        frame = _hardware_address(packet.entering) + SENDER + struct.pack("!H", kind) + data
        inject(socket.if_nametoindex(packet.entering), frame.ljust(60, b"\0"))
        return
    family, protocol = (socket.AF_INET, socket.IPPROTO_RAW) if packet.version == 4 else (socket.AF_INET6, 255)
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        target = socket.inet_ntop(family, packet.destination.to_bytes(4 if packet.version == 4 else 16, "big"))
        try:
            raw.sendto(data, (target, 0))
        except PermissionError:
            return  # what the output hook denies is refused to the sender: that is an answer, too


def _hardware_address(interface: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16s24x", interface.encode())
        answer = fcntl.ioctl(any_socket.fileno(), SIOCGIFHWADDR, request)
    if struct.unpack_from("=H", answer, 16)[0] != ARPHRD_ETHER:
        raise ProbeError(f"{interface} is no Ethernet line, so no packet can be put into it; --follow waits for one")
    return answer[18:24]
