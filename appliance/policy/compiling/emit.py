"""Values as nftables writes them: addresses, intervals, keys, names."""

from __future__ import annotations

from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop

from appliance.policy.boxes import FULL_ADDRESS, Interval
from appliance.policy.model import AddressSet, Range

# The family words of nftables by IP version: in `ct original ip saddr`, and in `type ipv4_addr`.
IP = {4: "ip", 6: "ip6"}
ADDRESS_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}
BITS = {4: 32, 6: 128}
VERSIONS = (4, 6)


def address(value: int, version: int) -> str:
    if version == 4:
        return inet_ntop(AF_INET, value.to_bytes(4, "big"))
    return inet_ntop(AF_INET6, value.to_bytes(16, "big"))


def addresses(interval: Interval, version: int) -> str:
    """One address, a prefix where the interval is one, or first-last."""
    first, last = interval
    if first == last:
        return address(first, version)
    size = last - first + 1
    if size & (size - 1) == 0 and first & (size - 1) == 0:
        return f"{address(first, version)}/{BITS[version] - size.bit_length() + 1}"
    return f"{address(first, version)}-{address(last, version)}"


def numbers(interval: Interval) -> str:
    first, last = interval
    return str(first) if first == last else f"{first}-{last}"


def braces(elements: Iterable[str]) -> str:
    """An anonymous set, or the element itself when there is only one."""
    listed = list(elements)
    return listed[0] if len(listed) == 1 else "{ " + ", ".join(listed) + " }"


def quoted(names: Iterable[str]) -> str:
    return braces(f'"{name}"' for name in names)


def whole(where: AddressSet, version: int) -> bool:
    """Whether every address of `version` is in `where`."""
    first, last = FULL_ADDRESS[version]
    return not where.dynamic and Range(version, first, last) in where.ranges


def spoken(where: AddressSet, version: int) -> list[str]:
    """The ranges of one version, each as text."""
    return [addresses((part.first, part.last), version) for part in where.ranges if part.version == version]


def member_set(name: str, version: int) -> str:
    """The kernel set of a `Dynamic` for one version."""
    return f"{name}_v{version}"
