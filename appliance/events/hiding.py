"""Where an event says who a host is, and what stands there instead. Pure but for the key that it is given.

It works on the bytes of the line: every address in it that is a host's of the zones in question is replaced, wherever
it stands: the ends of the connection, answers of DNS, `xff`, words for people, names for reverse look-up. To read
lines and write them again would take three times as long and lose how the engine wrote them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from crypto import pseudonyms

Address = IPv4Address | IPv6Address
Remember = Callable[[str, str], None]  # a pseudonym, what it stands for

_OCTETS = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_REVERSE = re.compile(rb"(" + _OCTETS + rb")\.in-addr\.arpa|((?:[0-9a-f]\.){31}[0-9a-f])\.ip6\.arpa", re.IGNORECASE)
# What is looked for is searched by its first dot or colon: a line has few of these and many digits, and to try each
# digit takes ten times as long. So each of the following matches what stands behind the first number.
_PAIR = rb"[0-9A-Fa-f]{2}"
# Not behind a backslash of JSON, `\b` or `\f`: a digit in the letter's place would be no JSON any more.
_MAC = re.compile(
    rb":(?<=" + _PAIR + rb":)(?<![0-9A-Fa-f:]" + _PAIR + rb":)(?<!(?<!\\)\\" + _PAIR + rb":)"
    rb"(?:" + _PAIR + rb":){4}" + _PAIR + rb"(?![0-9A-Fa-f:])"
)
_MAC_BEFORE = 2  # digits
# Not what is the time of a day.
_SIX = re.compile(rb":(?<!-[0-9]{2}T[0-9]{2}:)[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{0,40}(?:\.[0-9]{1,3}){0,3}")
_SIX_BEFORE = 4
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
# What both have and most lines have not but in their time: a quick look before a slow one.
_COLONS = re.compile(rb":(?<!T[0-9][0-9]:)[0-9A-Fa-f]{0,4}:")
_FOUR = re.compile(rb"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9]|\.[0-9])(/[0-9]{1,2}(?![0-9]))?")
_FOUR_BEFORE = 3
_DIGITS = frozenset(b"0123456789")
_DIGIT_OR_DOT = frozenset(b"0123456789.")
_COMMUNITY = re.compile(rb'("community_id":")([^"\\]+)(?=")')
_PACKET = re.compile(rb'("packet":")([A-Za-z0-9+/=]+)(?=")')
_PAYLOAD = re.compile(rb'("payload":")([A-Za-z0-9+/=]+)(?=")')
_LINK_LOCAL = IPv6Network("fe80::/10")
_MOST_KNOWN = 100_000  # words that it keeps the answer for


def _before(text: bytes, end: int, most: int, digits: frozenset[int], start: int = 0) -> int:
    """Where the digits before `end` begin, at most so many of them."""
    begin = end
    while begin > start and end - begin < most and text[begin - 1] in digits:
        begin -= 1
    return begin


def _number_before(text: bytes, dot: int) -> int:
    """Where the number before this dot begins, if an IPv4 address may begin there; else the dot itself."""
    begin = _before(text, dot, _FOUR_BEFORE, _DIGITS)
    return dot if begin and text[begin - 1] in _DIGIT_OR_DOT else begin


class Hosts:
    """Whose addresses are hidden: those in networks of `zones`, where no longer network of another zone has them. The
    gateway's own are not; link-local ones, which no network tells apart, always are."""

    def __init__(self, zones: Iterable[str], networks: Mapping[str, Iterable[str]], own: Iterable[str]) -> None:
        hidden = frozenset(zones)
        self._networks = sorted(
            ((ip_network(text), zone in hidden) for zone, texts in networks.items() for text in texts),
            key=lambda one: (-one[0].prefixlen, not one[1]),
        )
        self._own = frozenset(ip_address(one.partition("/")[0]) for one in own)
        self._whole = frozenset(str(network) for network, _ in self._networks)

    def has(self, address: Address) -> bool:
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address in self._own:
            return False
        if address in _LINK_LOCAL:
            return True
        return next((hidden for network, hidden in self._networks if address in network), False)

    def is_network(self, text: str) -> bool:
        """`10.20.0.0/16`, where that is a zone's: it names nobody."""
        return text in self._whole


class Hider:
    """Under one key. `remember` is called with each pseudonym that is given, at least once."""

    def __init__(self, hosts: Hosts, key: bytes, remember: Remember) -> None:
        self._hosts = hosts
        self._key = key
        self._remember = remember
        self._known: dict[bytes, bytes | None] = {}

    def hide(self, line: bytes, ends: tuple[str, str]) -> bytes:
        """The line without them; `ends` are the addresses of its connection."""
        found = self._words(line)
        if any(self._of(end.encode()) is not None for end in ends if end):
            found = _COMMUNITY.sub(lambda match: match[1] + self._flow(match[2]), found)
            if b'"packet":"' in found:
                found = _PACKET.sub(rb"\1", found)  # it begins with the addresses
        if b'"payload":"' not in found:
            return found
        return _PAYLOAD.sub(lambda match: match[1] + self._payload(match[2]), found)

    def _words(self, text: bytes) -> bytes:
        found = _REVERSE.sub(self._reverse, text) if b".arpa" in text.lower() else text
        if _COLONS.search(found):
            # What it put in is no host's of a zone's: fd00::/8 with random bits.
            found = self._sixes(self._macs(found))
        return self._fours(found)

    def _of(self, text: bytes) -> bytes | None:
        """The pseudonym of an address; None: it is none, or not to be hidden."""
        if text in self._known:
            return self._known[text]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[text] = made = self._make(text)
        return made

    def _make(self, text: bytes) -> bytes | None:
        try:
            address = ip_address(text.decode())
        except ValueError:
            return None
        if not self._hosts.has(address):
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        pseudonym = pseudonyms.of_address(self._key, address)
        self._remember(pseudonym, str(address))
        return pseudonym.encode()

    def _fours(self, text: bytes) -> bytes:
        parts: list[bytes] = []
        copied = looked = 0  # so far into `parts`, and so far addresses
        for match in _FOUR.finditer(text):
            dot, end = match.span()
            begin = _number_before(text, dot)
            if begin == dot or begin < looked:
                continue
            looked = end
            if match[1] is not None and self._hosts.is_network(text[begin:end].decode()):
                continue
            stop = end if match[1] is None else match.start(1)
            made = self._of(text[begin:stop])
            if made is not None:
                parts += (text[copied:begin], made)
                copied = stop
        return b"".join((*parts, text[copied:])) if parts else text

    def _sixes(self, text: bytes) -> bytes:
        parts: list[bytes] = []
        copied = 0
        for match in _SIX.finditer(text):
            colon, end = match.span()
            begin = _before(text, colon, _SIX_BEFORE, _HEXADECIMAL, copied)
            parts += (text[copied:begin], self._six(text[begin:end]))
            copied = end
        return b"".join((*parts, text[copied:])) if parts else text

    def _macs(self, text: bytes) -> bytes:
        parts: list[bytes] = []
        copied = 0
        for match in _MAC.finditer(text):
            begin, end = match.start() - _MAC_BEFORE, match.end()
            parts += (text[copied:begin], self._mac(text[begin:end]))
            copied = end
        return b"".join((*parts, text[copied:])) if parts else text

    def _six(self, text: bytes) -> bytes:
        """Around an address in words may stand what looks like a part of it: `face:fd12::1`, `fd12::1:`."""
        made = self._of(text)
        if made is not None:
            return made
        head, _, rest = text.partition(b":")
        front, _, tail = text.rpartition(b":")
        for before, part, after in ((b"", front, b":" + tail), (head + b":", rest, b"")):
            made = self._of(part)
            if made is not None:
                return before + made + after
        return text

    def _reverse(self, match: re.Match[bytes]) -> bytes:
        if match[1] is not None:
            address = b".".join(reversed(match[1].split(b".")))
        else:
            digits = match[2].replace(b".", b"")[::-1]
            address = b":".join(digits[at : at + 4] for at in range(0, 32, 4))
        made = self._of(address)
        return match[0] if made is None else ip_address(made.decode()).reverse_pointer.encode()

    def _mac(self, text: bytes) -> bytes:
        made = self._known.get(text)
        if made is None:
            pseudonym = pseudonyms.of_mac(self._key, text.decode())
            self._remember(pseudonym, text.decode().lower())
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[text] = made = pseudonym.encode()
        return made

    def _flow(self, text: bytes) -> bytes:
        return pseudonyms.of_flow(self._key, text.decode("utf-8", "replace")).encode()

    def _payload(self, text: bytes) -> bytes:
        """Nothing, where a host is named in it: what was on the wire is not rewritten."""
        try:
            plain = base64.b64decode(text, validate=True)
        except ValueError:
            return b""
        return b"" if self._words(plain) != plain else text
