"""What a gateway can look for: addresses, names, URLs, digests, fingerprints, senders; in one form each.

`values_of` takes from a pattern those of which any one is enough, or says why the gateway cannot act on it.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from appliance.indicators.pattern import Both, Comparison, Either, Joined, Observation, Pattern

MOST_VALUES = 1_000  # of one indicator

Kind = Literal[
    "address", "network", "domain", "url", "sha256", "sha1", "md5", "certificate", "ja3", "ja3s", "ja4", "sender"
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]


class Value(msgspec.Struct, frozen=True, gc=False, order=True):
    """`text` is canonical: compressed addresses, lower-case names in A-labels, lower-case hexadecimal digits."""

    kind: Kind
    text: str


class ValueRefused(ValueError):
    """Not a value of its kind; the text says what is wrong with it."""


_FOUR = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_JA4 = re.compile(r"[tqd][\ds]{1}[\dsd]{1,3}[id]\d{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}", re.ASCII)
_SENDER = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}", re.ASCII)
_DIGITS: dict[str, tuple[int, ...]] = {
    "sha256": (64,), "sha1": (40,), "md5": (32,), "certificate": (40, 64), "ja3": (32,), "ja3s": (32,),
}  # fmt: skip
MAX_URL = 2_048
MAX_NAME = 253


def value(kind: Kind, text: str) -> Value:
    """A value in its canonical form. Raises `ValueRefused`."""
    text = text.strip()
    if len(text) > MAX_URL:
        raise ValueRefused(f"{text[:40]!r}…: {len(text):,} characters; {MAX_URL:,} are taken at most")
    if kind in ("address", "network"):
        return _placed(text)
    if kind == "domain":
        return Value("domain", _name(text))
    if kind == "url":
        return Value("url", _url(text))
    if kind == "sender":
        return Value("sender", _sender(text))
    if kind == "ja4":
        lowered = text.lower()
        if _JA4.fullmatch(lowered) is None:
            raise ValueRefused(f"{text!r} is no JA4 fingerprint like t13d1516h2_8daaf6152771_b186095e22b6")
        return Value("ja4", lowered)
    return Value(kind, _digits(kind, text))


def _placed(text: str) -> Value:
    """An address, or a network of more than one."""
    try:
        if _FOUR.fullmatch(text):  # most of them, and ten times as fast
            return Value("address", socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text)))
        if "/" not in text:
            return Value("address", str(ip_address(text)))
        network = ip_network(text, strict=False)
    except (ValueError, OSError):
        raise ValueRefused(f"{text!r} is neither an address nor a network like 192.0.2.0/24") from None
    if network.prefixlen == network.max_prefixlen:
        return Value("address", str(network.network_address))
    return Value("network", str(network))


def number_of(address: Value) -> tuple[int, int]:
    """The version of an address, and the address as a number."""
    if ":" in address.text:
        return 6, int(ip_address(address.text))
    return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, address.text), "big")


def network_of(found: Value) -> IPv4Network | IPv6Network:
    """Of an address or a network."""
    return ip_network(found.text)


def _name(text: str) -> str:
    name = text.rstrip(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueRefused(f"{text!r} is no domain name") from None
    labels = name.split(".")
    if len(name) > MAX_NAME or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueRefused(f"{text!r} is no domain name of two labels or more")
    if labels[-1].isdigit():
        raise ValueRefused(f"{text!r} is no domain name; an address is said as one")
    return name


def _url(text: str) -> str:
    """`scheme://host[:port]/path?query`, the fragment gone: it is never sent."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueRefused(f"{text!r} is no URL") from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https", "ftp") or not parts.hostname:
        raise ValueRefused(f"{text!r} is no URL of http, https or ftp with a host")
    host = parts.hostname.lower()
    try:
        ip_address(host)
        shown = f"[{host}]" if ":" in host else host
    except ValueError:
        shown = _name(host)
    usual = {"http": 80, "https": 443, "ftp": 21}[scheme]
    where = shown if port in (None, usual) else f"{shown}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{where}{parts.path or '/'}{query}"


def _sender(text: str) -> str:
    """An address of mail; the part before the @ keeps its case (RFC 5321, 2.4)."""
    local, at, domain = text.rpartition("@")
    if not at or _SENDER.fullmatch(local) is None:
        raise ValueRefused(f"{text!r} is no address of mail")
    return f"{local}@{_name(domain)}"


def _digits(kind: str, text: str) -> str:
    plain = text.lower().replace(":", "") if kind == "certificate" else text.lower()
    if len(plain) not in _DIGITS[kind] or not all(digit in "0123456789abcdef" for digit in plain):
        sizes = " or ".join(map(str, _DIGITS[kind]))
        raise ValueRefused(f"{text[:80]!r} is no {kind} of {sizes} hexadecimal digits")
    return plain


# --- from patterns -------------------------------------------------------------------------------------------

_PATHS: dict[tuple[str, str], Kind] = {
    ("ipv4-addr", "value"): "address",
    ("ipv6-addr", "value"): "address",
    ("network-traffic", "src_ref.value"): "address",
    ("network-traffic", "dst_ref.value"): "address",
    ("domain-name", "value"): "domain",
    ("network-traffic", "extensions.http-request-ext.request_header.Host"): "domain",
    ("url", "value"): "url",
    ("file", "hashes.SHA-256"): "sha256",
    ("file", "hashes.SHA256"): "sha256",
    ("file", "hashes.SHA-1"): "sha1",
    ("file", "hashes.SHA1"): "sha1",
    ("file", "hashes.MD5"): "md5",
    ("artifact", "hashes.SHA-256"): "sha256",
    ("x509-certificate", "hashes.SHA-256"): "certificate",
    ("x509-certificate", "hashes.SHA-1"): "certificate",
    ("email-addr", "value"): "sender",
    ("email-message", "from_ref.value"): "sender",
    ("email-message", "sender_ref.value"): "sender",
}
# No object of the standard has these fingerprints; those who send them use a property of such a name.
_LAST: dict[str, Kind] = {
    "ja3": "ja3", "ja3_hash": "ja3", "ja3-fingerprint-md5": "ja3", "ja3s": "ja3s", "ja3s_hash": "ja3s", "ja4": "ja4",
}  # fmt: skip


class NotEnforceable(Exception):
    """A good pattern that no gateway can act on; the text says why."""


def values_of(pattern: Pattern) -> tuple[Value, ...]:
    """The values of which any one is enough. Raises `NotEnforceable`."""
    found: dict[Value, None] = {}
    _observed(pattern, found)
    if len(found) > MOST_VALUES:
        raise NotEnforceable(f"it names {len(found):,} values; {MOST_VALUES:,} are enforced at most")
    return tuple(found)


def _observed(pattern: Pattern, found: dict[Value, None]) -> None:
    if pattern.qualified:
        raise NotEnforceable(f"it asks for {pattern.qualified[0].split()[0]}, which looks back in time")
    if isinstance(pattern, Observation):
        _compared(pattern.of, found)
    elif isinstance(pattern, Joined):
        if pattern.by != "OR":
            raise NotEnforceable(f"it joins observations by {pattern.by}: no single packet shows that")
        for part in pattern.parts:
            _observed(part, found)


def _compared(expression: Comparison | Either | Both, found: dict[Value, None]) -> None:
    if isinstance(expression, Both):
        raise NotEnforceable("it asks for several things at once (AND); only single values are looked for")
    if isinstance(expression, Either):
        for part in expression.parts:
            _compared(part, found)
        return
    kind = _PATHS.get((expression.kind, expression.path)) or _LAST.get(expression.path.rpartition(".")[2])
    if kind is None:
        raise NotEnforceable(f"nothing here looks at {expression.kind}:{expression.path}")
    if expression.negated or expression.operator not in ("=", "IN", "ISSUBSET"):
        word = "NOT" if expression.negated else expression.operator
        raise NotEnforceable(f"{word} is not looked for; = and IN are, and ISSUBSET for networks")
    for constant in expression.constants:
        if not isinstance(constant, str):
            raise NotEnforceable(f"{constant!r} is no text")
        try:
            found[value(kind, constant)] = None
        except ValueRefused as error:
            raise NotEnforceable(str(error)) from None
