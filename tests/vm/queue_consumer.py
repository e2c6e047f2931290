"""The smallest consumer of nft `queue`: binds queues, judges every packet alike, says how many there were.

usage: queue_consumer.py FIRST-LAST COUNT_FILE [MARK]     (SIGTERM ends it)
MARK is what it writes into the mark of each packet, 0 when nothing is said: what the chains behind the queue read.
It speaks nfnetlink_queue directly (include/uapi/linux/netfilter/nfnetlink_queue.h), so that the test of
the rules needs nothing of the daemon that will stand there.
"""

from __future__ import annotations

import errno
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

NETLINK_NETFILTER = 12
SUBSYSTEM = 3  # NFNL_SUBSYS_QUEUE
PACKET, VERDICT, CONFIG = 0, 1, 2
CFG_COMMAND, CFG_PARAMS = 1, 2
BIND, COPY_PACKET, ACCEPT = 1, 2, 1
PACKET_HEADER, VERDICT_HEADER, MARK = 1, 2, 3
REQUEST, ACK = 1, 4


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def message(kind: int, queue: int, flags: int, body: bytes) -> bytes:
    content = struct.pack("!BBH", 0, 0, queue) + body
    return struct.pack("=IHHII", 16 + len(content), SUBSYSTEM << 8 | kind, REQUEST | flags, 0, 0) + content


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of every netlink message in a datagram."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def packet_id(payload: bytes) -> int:
    """The id of a queued packet: NFQA_PACKET_HDR among its attributes."""
    rest = payload[4:]
    while len(rest) >= 4:
        length, kind = struct.unpack_from("=HH", rest)
        if kind & 0x7FFF == PACKET_HEADER:
            return int(struct.unpack_from("!I", rest, 4)[0])
        rest = rest[(length + 3) & ~3 :]
    raise ValueError("a queued packet without its header")


def bind(link: socket.socket, queue: int) -> None:
    """Claim a queue and ask for whole packets; `OSError` when somebody else has it."""
    for body in (
        attribute(CFG_COMMAND, struct.pack("!BBH", BIND, 0, socket.AF_INET)),
        attribute(CFG_PARAMS, struct.pack("!IB", 65535, COPY_PACKET)),
    ):
        link.send(message(CONFIG, queue, ACK, body))
        for kind, payload in messages(link.recv(65536)):
            if kind == 2 and (error := -struct.unpack_from("=i", payload)[0]):
                raise OSError(error, f"queue {queue}: {errno.errorcode.get(error, error)}")


def main() -> int:
    first, last = (int(part) for part in sys.argv[1].split("-"))
    count_file = Path(sys.argv[2])
    mark = attribute(MARK, struct.pack("!I", int(sys.argv[3], 0) if len(sys.argv) > 3 else 0))
    partial = count_file.with_suffix(".partial")
    count = 0

    def say() -> None:
        """Write the count whole: a reader sees the old number or the new one."""
        partial.write_text(str(count))
        partial.rename(count_file)

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as link:
        link.bind((0, 0))
        for queue in range(first, last + 1):
            bind(link, queue)
        say()
        while True:
            for kind, payload in messages(link.recv(1 << 17)):
                if kind == (SUBSYSTEM << 8 | PACKET):
                    queue = struct.unpack_from("!H", payload, 2)[0]
                    verdict = attribute(VERDICT_HEADER, struct.pack("!II", ACCEPT, packet_id(payload)))
                    count += 1
                    say()
                    link.send(message(VERDICT, queue, 0, verdict + mark))


if __name__ == "__main__":
    sys.exit(main())
