"""What the C core gathered for the detections (`reef/feed.h`), as values. Pure.

It comes from the process that parses what strangers send, so nothing of it is believed: what is no record, or no line
of EVE, is left out and counted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

import msgspec

from dataplane.detections.seen import Conversation, Login, Neighbour, Phase, Question, Seen

RECORD = struct.Struct("=HBBBBBBQQQ16s16sHHIQQII6sBx")
_PHASES: dict[int, Phase] = {1: "answered", 2: "goes-on", 3: "ended", 4: "refused"}
_NEIGHBOUR, _LINE, _LOST, _HTTP = 5, 6, 7, 8
_HOW = {1: "arp", 2: "nd", 3: "mdns", 4: "asks"}
_NOBODY = frozenset({401, 407})
_MOVED = range(300, 400)

# NTSTATUS of logins that failed: logon failure, wrong password, no such user, account restriction, expired,
# disabled, locked out ([MS-ERREF] 2.3.1).
_SMB_FAILED = frozenset({"0xc000006d", "0xc000006a", "0xc0000064", "0xc000006e", "0xc0000071", "0xc0000072",
                         "0xc0000234"})  # fmt: skip
_KRB_FAILED = frozenset({"KDC_ERR_PREAUTH_FAILED", "KDC_ERR_C_PRINCIPAL_UNKNOWN", "KDC_ERR_CLIENT_REVOKED"})
_IKE_BEGINS = frozenset({2, 4, 34})  # main mode, aggressive mode, IKE_SA_INIT
_NO_SPI = "0000000000000000"


class _Query(msgspec.Struct):
    rrname: str = ""
    rrtype: str = ""


class _Dns(msgspec.Struct):
    type: str = ""
    rrname: str = ""
    rrtype: str = ""
    rcode: str = ""
    queries: list[_Query] = []


class _Dhcp(msgspec.Struct):
    type: str = ""
    dhcp_type: str = ""
    client_mac: str = ""
    assigned_ip: str = ""
    hostname: str = ""


class _Sip(msgspec.Struct):
    code: str = ""
    method: str = ""


class _Ftp(msgspec.Struct):
    completion_code: list[str] = []


class _Smb(msgspec.Struct):
    status_code: str = ""


class _Krb(msgspec.Struct):
    cname: str = ""
    error_code: str = ""


class _Ike(msgspec.Struct):
    init_spi: str = ""
    resp_spi: str = ""
    exchange_type: int = 0


class _Line(msgspec.Struct):
    dns: _Dns | None = None
    dhcp: _Dhcp | None = None
    sip: _Sip | None = None
    ftp: _Ftp | None = None
    smb: _Smb | None = None
    krb5: _Krb | None = None
    ike: _Ike | None = None


class Feed:
    """Reads what `ctypes_ext.engine.Feed` gives. `apps` are the names of protocols by number."""

    def __init__(self, apps: Sequence[str]) -> None:
        self.apps = tuple(apps)
        self._decode = msgspec.json.Decoder(_Line).decode
        self.lost = 0  # records that the writer lost
        self.damaged = 0

    def read(self, data: bytes) -> Iterator[Seen]:
        at, end = 0, len(data)
        while end - at >= RECORD.size:
            (size, kind, version, protocol, app, flags_sent, flags_received, time_ns, start_ns, flow, client, server,
             client_port, port, interface, sent, received, packets_sent, packets_received, mac, how,
             ) = RECORD.unpack_from(data, at)  # fmt: skip
            if not RECORD.size <= size <= end - at:
                break
            time = time_ns / 1e9
            if version == 4:
                client, server = client[:4], server[:4]
            if kind in _PHASES:
                name = self.apps[app] if app < len(self.apps) else ""
                yield Conversation(
                    _PHASES[kind], time, start_ns / 1e9, protocol, client, client_port, server, port, flow, name,
                    sent, received, packets_sent, packets_received, flags_sent, flags_received,
                )  # fmt: skip
            elif kind == _LINE:
                yield from self._line(data[at + RECORD.size : at + size].rstrip(b"\0"), time, client, server, port)
            elif kind == _HTTP:
                yield Login(time, "http", client, server, port, sent in _NOBODY)
                if received:
                    yield Login(time, "web login", client, server, port, sent not in _MOVED)
            elif kind == _NEIGHBOUR and how in _HOW:
                name = data[at + RECORD.size : at + size].rstrip(b"\0").decode("ascii", "replace")
                server = server[:4] if _HOW[how] == "asks" else b""
                yield Neighbour(time, interface, _HOW[how], mac.hex(":"), client if version else b"", name, server)
            elif kind == _LOST:
                self.lost += sent
            else:
                self.damaged += 1
            at += size
        if at != end:
            self.damaged += 1

    def _line(self, text: bytes, time: float, client: bytes, server: bytes, port: int) -> Iterator[Seen]:
        try:
            line = self._decode(text)
        except ValueError:  # msgspec.DecodeError is one
            self.damaged += 1
            return
        if line.dns is not None:
            yield from _dns(line.dns, time, client, server)
        elif line.dhcp is not None:
            yield from _dhcp(line.dhcp, time)
        else:
            yield from _login(line, time, client, server, port)


def _dns(dns: _Dns, time: float, client: bytes, server: bytes) -> Iterator[Seen]:
    rcode = "" if dns.type in ("query", "request") else dns.rcode or "NOERROR"
    asked = dns.queries or [_Query(dns.rrname, dns.rrtype)]
    for query in asked:
        yield Question(time, client, server, query.rrname, query.rrtype, rcode)


def _dhcp(dhcp: _Dhcp, time: float) -> Iterator[Seen]:
    """Who asked, and which address it was given."""
    try:
        given = ip_address(dhcp.assigned_ip).packed if dhcp.dhcp_type == "ack" and dhcp.assigned_ip else b""
    except ValueError:
        given = b""
    if _is_mac(dhcp.client_mac):
        yield Neighbour(time, 0, "dhcp", dhcp.client_mac, given if any(given) else b"", dhcp.hostname)


def _is_mac(text: str) -> bool:
    parts = text.split(":")
    return len(parts) == 6 and all(len(part) == 2 and set(part) <= set("0123456789abcdefABCDEF") for part in parts)


def _login(line: _Line, time: float, client: bytes, server: bytes, port: int) -> Iterator[Seen]:
    if line.sip is not None and line.sip.code in ("200", "401", "403", "407"):
        yield Login(time, "sip", client, server, port, line.sip.code != "200")
    elif line.ftp is not None and line.ftp.completion_code:
        yield Login(time, "ftp", client, server, port, line.ftp.completion_code[0].startswith("5"))
    elif line.smb is not None:
        failed = line.smb.status_code.lower() in _SMB_FAILED
        if failed or line.smb.status_code == "0x0":
            yield Login(time, "smb", client, server, port, failed)
    elif line.krb5 is not None:
        failed = line.krb5.error_code in _KRB_FAILED
        if failed or not line.krb5.error_code:
            yield Login(time, "kerberos", client, server, port, failed, line.krb5.cname)
    elif line.ike is not None and line.ike.resp_spi == _NO_SPI and line.ike.exchange_type in _IKE_BEGINS:
        # What comes of it is encrypted. A client that gets in does not begin anew every few seconds.
        yield Login(time, "ike", client, server, port, True, certain=False)
