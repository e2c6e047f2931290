"""Seeds of SMB and DCERPC: `python -m tests.fuzz.c.seeds_smb`."""

from __future__ import annotations

import struct
from uuid import UUID

SPOOLSS = UUID("12345678-1234-abcd-ef00-0123456789ab")


def said(*pieces: tuple[int, bytes]) -> bytes:
    """A dialogue for fuzz_dialogue.h: 0 the client, 1 the server."""
    return b"".join(struct.pack("<H", who << 15 | len(piece)) + piece for who, piece in pieces)


def fragment(kind: int, body: bytes, flags: int = 3, call: int = 1) -> bytes:
    return struct.pack("<BBBBIHHI", 5, 0, kind, flags, 0x10, 16 + len(body), 0, call) + body


BIND = fragment(
    11, struct.pack("<HHIB3xHBx", 4280, 4280, 0, 1, 0, 1) + SPOOLSS.bytes_le + struct.pack("<HH", 1, 0) + bytes(20)
)
BIND_ANSWER = fragment(12, struct.pack("<HHIH4s2xB3xHH20x", 4280, 4280, 1, 4, b"135\0", 1, 0, 0))
CALL = struct.pack("<IHH", 8, 0, 10)
REQUEST = fragment(0, CALL + b"stubdata", 1) + fragment(0, CALL + b"more", 2)
RESPONSE = fragment(2, struct.pack("<IHBx", 4, 0, 0) + b"done")


def frame(message: bytes) -> bytes:
    return struct.pack("!I", len(message)) + message


def second(command: int, body: bytes, number: int, *, answer: bool = False, following: int = 0) -> bytes:
    """A message of SMB 2."""
    head = b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ16x", 64, 0, 0, command, 1, int(answer), following, number, 0, 5, 7)
    return head + body


def first(command: int, words: bytes, data: bytes, *, answer: bool = False) -> bytes:
    """A message of SMB 1, in Unicode."""
    head = b"\xffSMB" + struct.pack("<BIBHH8xHHHHH", command, 0, 0x80 if answer else 0, 0x8001, 0, 0, 5, 1, 7, 3)
    return head + bytes([len(words) // 2]) + words + struct.pack("<H", len(data)) + data


def text(name: str) -> bytes:
    return name.encode("utf-16-le")


def tree(name: str, share: int, number: int) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    path = text(name)
    return (
        (0, frame(second(3, struct.pack("<HHHH", 9, 0, 72, len(path)) + path, number))),
        (1, frame(second(3, struct.pack("<HBBIII", 16, share, 0, 0, 0, 0), number, answer=True))),
    )


def smb2() -> bytes:
    name, handle = text("a.exe"), bytes(range(16))
    create = struct.pack("<H42xHHII", 57, 120, len(name), 0, 0) + name
    write = struct.pack("<HHIQ", 49, 112, 8, 0) + handle + bytes(16) + b"MZ\x90\0data"
    read = struct.pack("<HBBIQ", 49, 0, 0, 4, 0) + handle + bytes(16)
    opened = struct.pack("<H62x", 89) + handle + bytes(8)
    data = struct.pack("<HBBIII", 17, 80, 0, 4, 0, 0) + b"read"
    close = struct.pack("<HHI", 24, 0, 0) + handle
    return said(
        *tree("\\\\host\\share", 1, 1),
        (0, frame(second(5, create, 2))),
        (1, frame(second(5, opened, 2, answer=True))),
        (0, frame(second(9, write, 3))),
        (1, frame(second(9, struct.pack("<H14x", 17), 3, answer=True))),
        (0, frame(second(8, read, 4))),
        (1, frame(second(8, data, 4, answer=True))),
        (0, frame(second(6, close, 5))),
    )


def pipe() -> bytes:
    def transceive(data: bytes, number: int, *, answer: bool) -> bytes:
        if answer:
            body = struct.pack("<HHI16xIIIIII", 49, 0, 0x11C017, 0, 0, 112, len(data), 0, 0)
        else:
            body = struct.pack("<HHI16xIIIIIIII", 57, 0, 0x11C017, 120, len(data), 0, 0, 0, 0, 1, 0)
        return frame(second(11, body + data, number, answer=answer))

    return said(
        *tree("\\\\host\\IPC$", 2, 1),
        (0, transceive(BIND, 2, answer=False)),
        (1, transceive(BIND_ANSWER, 2, answer=True)),
        (0, transceive(REQUEST, 3, answer=False)),
        (1, transceive(RESPONSE, 3, answer=True)),
    )


def smb1() -> bytes:
    connect = first(0x75, struct.pack("<BBHHH", 0xFF, 0, 0, 0, 1), b"\0" + text("\\\\host\\share\0") + b"?????\0")
    connected = first(0x75, struct.pack("<BBHH", 0xFF, 0, 0, 0), b"A:\0", answer=True)
    name = text("a.exe\0")
    words = struct.pack("<BBHBHIIIQIIIIIB", 0xFF, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0, 1, 0, 2, 0)
    create = first(0xA2, words, b"\0" + name)
    created = first(0xA2, struct.pack("<BBHBH", 0xFF, 0, 0, 0, 9) + bytes(61), b"", answer=True)
    write = first(0x2F, struct.pack("<BBHHIIHHHHHI", 0xFF, 0, 0, 9, 0, 0, 0, 0, 0, 8, 64, 0), b"\0MZ\x90\0data")
    close = first(0x04, struct.pack("<HI", 9, 0), b"")
    return said(
        (0, frame(connect)),
        (1, frame(connected)),
        (0, frame(create)),
        (1, frame(created)),
        (0, frame(write)),
        (0, frame(close)),
    )


def smb_seeds() -> dict[tuple[str, str], bytes]:
    """(target, name) -> dialogue."""
    return {
        ("smb", "smb1"): smb1(),
        ("smb", "smb2"): smb2(),
        ("smb", "pipe"): pipe(),
        ("dcerpc", "call"): said((0, BIND), (1, BIND_ANSWER), (0, REQUEST), (1, RESPONSE)),
    }
