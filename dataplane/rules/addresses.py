"""Addresses and ports of a rule's header: groups, negation, ranges, variables, as sorted disjoint ranges."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache

from dataplane.rules.problem import Refused

Range = tuple[int, int]
Ranges = tuple[Range, ...]
_DEPTH_MAX = 16

FOUR_MAX, SIX_MAX, PORT_MAX = (1 << 32) - 1, (1 << 128) - 1, 65535


class Addresses:
    """A set of addresses. `any` is everything."""

    __slots__ = ("any", "four", "negated", "six")

    def __init__(self, four: Ranges, six: Ranges, negated: bool = False) -> None:
        self.four = four
        self.six = six
        self.any = four == ((0, FOUR_MAX),) and six == ((0, SIX_MAX),)
        self.negated = negated  # a ! stands in it


ANY = Addresses(((0, FOUR_MAX),), ((0, SIX_MAX),))


def joined(ranges: Iterable[Range]) -> Ranges:
    """Sorted and disjoint; what touches is one."""
    out: list[list[int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1][1] = max(out[-1][1], last)
        else:
            out.append([first, last])
    return tuple((first, last) for first, last in out)


def without(ranges: Ranges, taken: Ranges) -> Ranges:
    """What of `ranges` is not in `taken`; both sorted and disjoint."""
    out: list[Range] = []
    for first, last in ranges:
        for cut_first, cut_last in taken:
            if cut_last < first or first > last:
                continue
            if cut_first > last:
                break
            if cut_first > first:
                out.append((first, cut_first - 1))
            first = cut_last + 1
        if first <= last:
            out.append((first, last))
    return tuple(out)


def split(text: str) -> list[str]:
    """The elements of a group at its top level. Raises `Refused`."""
    out: list[str] = []
    depth, start = 0, 0
    for index, character in enumerate(text):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if depth < 0:
                raise Refused(f"a ] has no [ before it: {text}")
        elif character == "," and depth == 0:
            out.append(text[start:index].strip())
            start = index + 1
    if depth:
        raise Refused(f"a ] is missing: {text}")
    out.append(text[start:].strip())
    if "" in out:
        raise Refused(f"an element is empty: [{text}]")
    return out


@lru_cache(maxsize=8192)
def _address(text: str) -> tuple[bool, int, int]:
    """One address, network or range: is it IPv6, first, last."""
    try:
        if "-" in text:
            first, last = (ipaddress.ip_address(end.strip()) for end in text.split("-", 1))
            if first.version != last.version or int(first) > int(last):
                raise Refused(f"{text} is not a range from the lower to the higher address")
            return first.version == 6, int(first), int(last)
        if "/" in text:
            network = ipaddress.ip_network(text, strict=False)
            return network.version == 6, int(network.network_address), int(network.broadcast_address)
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(f"{text!r} is not an address, network or range") from None
    return address.version == 6, int(address), int(address)


class Header:
    """Reads addresses and ports with one set of variables; what was read once is kept."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._addresses: dict[str, Addresses] = {}
        self._ports: dict[str, Ranges] = {}

    def addresses(self, text: str) -> Addresses:
        """Raises `Refused`."""
        found = self._addresses.get(text)
        if found is None:
            four, six, negated = self._group(text, 0)
            if not four and not six:
                raise Refused(f"no address is left in {text}")
            found = self._addresses[text] = Addresses(four, six, negated)
        return found

    def _group(self, text: str, depth: int) -> tuple[Ranges, Ranges, bool]:
        """What is in a group less what it negates, for IPv4 and IPv6; and whether a ! stands in it."""
        if depth > _DEPTH_MAX:
            raise Refused(f"groups within groups go deeper than {_DEPTH_MAX}: {text}")
        yes: tuple[list[Range], list[Range]] = ([], [])
        no: tuple[list[Range], list[Range]] = ([], [])
        negations, positive = False, False
        for element in split(text):
            negated = element[:1] == "!"
            word = element[1:].strip() if negated else element
            if word[:1] == "!":
                raise Refused(f"two ! stand before {word[1:]}")
            four, six, inside = self._element(word, depth)
            if negated and len(four) == len(six) == 1 and Addresses(four, six).any:
                raise Refused(f"!{word} is no address at all")
            positive = positive or not negated
            negations = negations or negated or inside
            side = no if negated else yes
            side[0].extend(four)
            side[1].extend(six)
        if not positive:  # only negations: everything else
            yes = ([(0, FOUR_MAX)], [(0, SIX_MAX)])
        return without(joined(yes[0]), joined(no[0])), without(joined(yes[1]), joined(no[1])), negations

    def _element(self, word: str, depth: int) -> tuple[Ranges, Ranges, bool]:
        if word.lower() == "any":
            return ANY.four, ANY.six, False
        if word[:1] in ("[", "$"):
            return self._group(self._variable(word) if word[0] == "$" else word[1:-1], depth + 1)
        is_six, first, last = _address(word)
        return ((), ((first, last),), False) if is_six else (((first, last),), (), False)

    def _variable(self, word: str) -> str:
        value = self._variables.get(word[1:])
        if value is None:
            raise Refused(f"the variable {word} is not set")
        value = value.strip()
        return value[1:-1] if value[:1] == "[" and value[-1:] == "]" and _one_group(value) else value

    def ports(self, text: str) -> Ranges:
        """Raises `Refused`."""
        found = self._ports.get(text)
        if found is None:
            found = self._ports[text] = self._port_group(text, 0)
            if not found:
                raise Refused(f"no port is left in {text}")
        return found

    def _port_group(self, text: str, depth: int) -> Ranges:
        if depth > _DEPTH_MAX:
            raise Refused(f"groups within groups go deeper than {_DEPTH_MAX}: {text}")
        yes: list[Range] = []
        no: list[Range] = []
        positive = False
        for element in split(text):
            negated = element[:1] == "!"
            word = element[1:].strip() if negated else element
            positive = positive or not negated
            if word.lower() == "any":
                if negated:
                    raise Refused("!any is no port at all")
                yes.append((0, PORT_MAX))
            elif word[:1] in ("[", "$"):
                inner = self._variable(word) if word[0] == "$" else word[1:-1]
                (no if negated else yes).extend(self._port_group(inner, depth + 1))
            else:
                (no if negated else yes).append(_port(word))
        if not positive:  # only negations: everything else
            yes = [(0, PORT_MAX)]
        return without(joined(yes), joined(no))


def _one_group(text: str) -> bool:
    """Is the first [ closed by the last ]?"""
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth == 0:
            return index == len(text) - 1
    return False


def _port(word: str) -> Range:
    first, colon, last = word.partition(":")
    try:
        low = int(first) if first.strip() or not colon else 0
        high = (int(last) if last.strip() else PORT_MAX) if colon else low
    except ValueError:
        raise Refused(f"{word!r} is not a port or a range FIRST:LAST") from None
    if not 0 <= low <= PORT_MAX or not 0 <= high <= PORT_MAX:
        raise Refused(f"ports are 0 to {PORT_MAX}: {word}")
    if low > high:
        raise Refused(f"the range {word} goes from high to low")
    return low, high
