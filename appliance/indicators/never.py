"""What is never blocked, whoever says so: own networks, resolvers, everybody, the services everybody needs.

Lists are data files in the format of MISP's warning lists (`name`, `type` cidr, string or hostname, `list`). A
network is spared too when it only holds such an address: 0.0.0.0/0 holds them all. Two people together can override.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from appliance.indicators.values import Value, ValueRefused, network_of, number_of, value
from appliance.policy.model import Range
from appliance.policy.spans import Spans

Network = IPv4Network | IPv6Network
WIDEST = {4: 8, 6: 24}  # no indicator blocks more than that at once
MAX_LIST = 64 << 20


class ListError(Exception):
    """A warning list that cannot be read; the text says which and why."""


class WarningList(msgspec.Struct, frozen=True):
    """`entries` as they stand in the file, unread."""

    name: str
    type: str = "string"
    entries: tuple[str, ...] = msgspec.field(name="list", default=())


# Digests of nothing: the empty file is everybody's.
EMPTY = {
    "d41d8cd98f00b204e9800998ecf8427e": "the empty file",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709": "the empty file",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "the empty file",
}
# Nobody's to block: RFC 6890 and what is of every network.
SPECIAL = (
    ("0.0.0.0/8", "this network"), ("127.0.0.0/8", "loopback"), ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"), ("255.255.255.255/32", "broadcast"), ("::/127", "unspecified and loopback"),
    ("fe80::/10", "link-local"), ("ff00::/8", "multicast"),
)  # fmt: skip


def warning_list(document: bytes) -> WarningList:
    """Raises `ListError`."""
    if len(document) > MAX_LIST:
        raise ListError(f"{len(document):,} bytes; a warning list of {MAX_LIST:,} is read at most")
    try:
        return msgspec.json.decode(document, type=WarningList)
    except msgspec.DecodeError as error:
        raise ListError(f"not a MISP warning list: {error}") from error


class Never:
    """Asked once for each value. Networks lie sorted and disjoint or nested; a name is asked by itself."""

    def __init__(
        self, networks: Iterable[tuple[Network, str]], names: dict[str, str], digests: dict[str, str]
    ) -> None:
        self._names = names
        self._digests = EMPTY | digests
        ranges = ((Range(one.version, int(one[0]), int(one[-1])), why) for one, why in networks)
        self._spans = Spans(ranges)

    def why(self, found: Value) -> str:
        """Why this is never blocked; "" when it may be."""
        if found.kind == "address":
            version, number = number_of(found)
            return self._spans.why(version, number, number)
        if found.kind == "network":
            return self._placed(network_of(found))
        if found.kind == "domain":
            return self._named(found.text)
        if found.kind == "url":
            host, _, path = found.text.partition("://")[2].partition("/")
            return self._named(host.partition(":")[0]) if not path else ""
        return self._digests.get(found.text, "")

    def _placed(self, network: Network) -> str:
        version = network.version
        if network.prefixlen < WIDEST[version]:
            return f"{network} is wider than /{WIDEST[version]}"
        return self._spans.why(version, int(network[0]), int(network[-1]))

    def _named(self, name: str) -> str:
        """The very name, with www. or without; what stands below it may be somebody else's."""
        return self._names.get(name.removeprefix("www."), "")


def never(
    lists: Iterable[WarningList], own: Iterable[tuple[Network, str]] = (), names: Iterable[tuple[str, str]] = ()
) -> tuple[Never, tuple[str, ...]]:
    """Everything together, and in words what of the lists was not understood."""
    networks = [(ip_network(text), why) for text, why in SPECIAL]
    networks += list(own)
    known = {name.removeprefix("www."): why for name, why in names}
    digests: dict[str, str] = {}
    problems = []
    for one in lists:
        if one.type not in ("cidr", "string", "hostname"):
            problems.append(f"{one.name}: lists of the type {one.type} are not used")
            continue
        bad = 0
        for entry in one.entries:
            why = f"on the list “{one.name}”"
            found = _entry(entry, one.type)
            if found is None:
                bad += 1
            elif found.kind in ("address", "network"):
                networks.append((network_of(found), why))
            elif found.kind == "domain":
                known.setdefault(found.text.removeprefix("www."), why)
            else:
                digests.setdefault(found.text, why)
        if bad:
            problems.append(f"{one.name}: {bad} of {len(one.entries)} entries are neither address, name nor digest")
    return Never(networks, known, digests), tuple(problems)


def _entry(text: str, kind: str) -> Value | None:
    """What an entry of a list names."""
    text = text.strip().lstrip(".")
    if kind == "cidr":
        tried = ("network",)
    elif kind == "hostname":
        tried = ("domain",)
    else:
        tried = ("network", "domain", "sha256", "sha1", "md5")  # type: ignore[assignment]
    for one in tried:
        try:
            return value(one, text)  # type: ignore[arg-type]
        except ValueRefused:
            continue
    return None
