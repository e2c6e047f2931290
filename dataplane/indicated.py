"""Rules that look for indicators: a few for each kind of value, each asking a set that alertd fills while they run.

What is in the sets changes with every indicator that comes; the rules only when a kind is looked for that was not
before, so that files are digested and fingerprints taken only where somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from appliance.events.indicatorline import ALERT, BLOCK, MODES, WATCH, sid_of
from appliance.events.record import INDICATORS
from ctypes_ext.sets import SetChange

Sets = Mapping[tuple[str, str], Iterable[str]]  # (kind, mode) to values

_SAID = {WATCH: "watched", ALERT: "warned of", BLOCK: "blocked"}
_PRIORITY = {WATCH: 4, ALERT: 2, BLOCK: 1}
_FILES = ("http", "smtp", "ftp-data", "smb")
# What a value is looked for in: protocols and buffers, and what it is called.
_WHERE: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "domain": (
        (("dns", "dns.query; to_lowercase"), ("tls", "tls.sni; to_lowercase"), ("http", "http.host; to_lowercase")),
        "a name",
    ),
    "url": ((("http", "http.url"),), "an address of the web"),
    "sha256": (tuple((protocol, "file.sha256") for protocol in _FILES), "a file (SHA-256)"),
    "sha1": (tuple((protocol, "file.sha1") for protocol in _FILES), "a file (SHA-1)"),
    "md5": (tuple((protocol, "file.md5") for protocol in _FILES), "a file (MD5)"),
    "certificate": ((("tls", "tls.cert_fingerprint"),), "a certificate"),
    "ja3": ((("tls", "ja3.hash"),), "a client's fingerprint (JA3)"),
    "ja3s": ((("tls", "ja3s.hash"),), "a server's fingerprint (JA3S)"),
    "ja4": ((("tls", "ja4.hash"),), "a client's fingerprint (JA4)"),
}
_DIGESTS = ("sha256", "sha1", "md5")
# Kinds that come into the rules together: compiling costs seconds, and what they ask of traffic is the same work.
_TOGETHER = (("domain", "url"), _DIGESTS, ("certificate", "ja3", "ja3s", "ja4"))
_ROOM = 1_000_000  # values of one set


def set_name(kind: str, mode: str) -> str:
    return f"reef-indicators-{kind}-{mode}"


def rules(kinds: Iterable[str]) -> str:
    """The text of the rules for these kinds, and for those that cost nothing more beside them."""
    wanted = set(kinds)
    lines = []
    for kind, mode in ((kind, mode) for group in _TOGETHER if wanted & {*group} for kind in group for mode in MODES):
        where, called = _WHERE[kind]
        for place, (protocol, buffer) in enumerate(where):
            asked = f"dataset:isset,{set_name(kind, mode)},type string,hashsize {_ROOM}"
            lines.append(
                f"{'drop' if mode == BLOCK else 'alert'} {protocol} any any -> any any "
                f'(msg:"Indicator: {called} that is {_SAID[mode]}"; {buffer}; {asked}; '
                f"gid:{INDICATORS}; sid:{sid_of(kind, mode, place)}; rev:1; priority:{_PRIORITY[mode]};)\n"
            )
    return "".join(lines)


def value(kind: str, text: str) -> bytes:
    """A value as the buffer of its kind holds it. `text` is canonical (appliance/indicators/values.py)."""
    if kind in _DIGESTS:
        return bytes.fromhex(text)
    if kind == "certificate":
        return ":".join(text[at : at + 2] for at in range(0, len(text), 2)).encode()
    if kind == "url":
        host, _, rest = text.partition("://")[2].partition("/")
        return _without_port(host).encode() + b"/" + unquote_to_bytes(rest)  # as `http.uri` has it
    return text.encode()


def _without_port(host: str) -> str:
    """`http.url` has no port: what is named with one is looked for at every port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def change(kind: str, mode: str, texts: Iterable[str], *, out: bool = False) -> SetChange:
    return SetChange(set_name(kind, mode), (value(kind, text) for text in texts), out=out)
