"""Seeds of mail, file transfer, voice and host configuration: conversations, one shape each."""

from __future__ import annotations

CLIENT, SERVER = 0, 1
Piece = tuple[int, bytes]

_MAIL = (
    b'From: a\r\nTo: b, c\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nhttp://e=\r\nx/ =3D\r\n--x\r\n"
    b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=utf-8''a%20b\r\n\r\n"
    b"aGVsbG8=\r\n--x--\r\n.\r\n"
)
_DHCP = (b"\2\1\6\0\0\0\x12\x34" + bytes(20) + b"\2\0\0\0\0\1").ljust(236, b"\0") + b"\x63\x82\x53\x63"
_OPTIONS = (
    b"\x35\1\5\x33\4\0\0\x0e\x10\1\4\xff\xff\xff\0\3\4\x0a\0\0\1\x0c\4host\x3c\3abc\x3d\7\1\2\0\0\0\0\1\x37\2\1\3\xff"
)

SEEDS: dict[tuple[str, str], list[Piece]] = {
    ("smtp", "mail"): [
        (SERVER, b"220 m\r\n"),
        (CLIENT, b"EHLO c\r\n"),
        (SERVER, b"250-m\r\n250-PIPELINING\r\n250 ok\r\n"),
        (CLIENT, b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n"),
        (SERVER, b"250 ok\r\n250 ok\r\n354 go\r\n"),
        (CLIENT, _MAIL),
        (SERVER, b"250 ok\r\n"),
        (CLIENT, b"QUIT\r\n"),
        (SERVER, b"221 bye\r\n"),
    ],
    ("smtp", "chunks"): [
        (SERVER, b"220 m\r\n"),
        (CLIENT, b"EHLO c\r\nMAIL FROM:<a>\r\nBDAT 10\r\nSubject: abBDAT 5 LAST\r\n\r\nabc"),
        (SERVER, b"250 ok\r\n"),
        (CLIENT, b"RSET\r\nSTARTTLS\r\n"),
        (SERVER, b"250 ok\r\n220 go\r\n"),
    ],
    ("ftp", "passive"): [
        (SERVER, b"220 (x)\r\n"),
        (CLIENT, b"USER a\r\nPASS b\r\n"),
        (SERVER, b"331 pw\r\n230-in\r\n230 in\r\n"),
        (CLIENT, b"PASV\r\n"),
        (SERVER, b"227 Passive (10,0,0,2,4,1)\r\n"),
        (CLIENT, b"RETR f\r\n"),
        (SERVER, b"150 opening\r\n226 done\r\n"),
    ],
    ("ftp", "active"): [
        (CLIENT, b"PORT 10,0,0,1,4,1\r\nSTOR f\r\nEPRT |2|::1|500|\r\nEPSV\r\nAUTH TLS\r\n"),
        (SERVER, b"200 ok\r\n226 ok\r\n200 ok\r\n229 Ok (|||600|)\r\n234 go\r\n"),
    ],
    ("sip", "invite"): [
        (CLIENT, b"INVITE sip:a SIP/2.0\r\nVia: x\r\n y\r\nf: z\r\nl: 2\r\n\r\nhi"),
        (SERVER, b"SIP/2.0 100 Trying\r\n\r\nSIP/2.0 200 OK\r\nl:1\r\n\r\nx"),
    ],
    ("dhcp", "ack"): [(SERVER, _DHCP + _OPTIONS)],
}


def seeds() -> dict[tuple[str, str], bytes]:
    """Target and name of each seed, as fuzz_dialogue.h reads it."""
    return {
        key: b"".join((way << 15 | len(text)).to_bytes(2, "little") + text for way, text in pieces)
        for key, pieces in SEEDS.items()
    }
