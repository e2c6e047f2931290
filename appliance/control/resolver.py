"""Which DNS answers are believed, and what a set of names stands for: pure, without a socket.

The last good answer of a name stays until there is a better one: no answer, an empty one, too much or a lie
changes nothing but is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from appliance.policy.model import Dynamic

Address = IPv4Address | IPv6Address

LEAST_SECONDS = 10  # an answer is believed at least so long, whatever its TTL
RETRY_SECONDS = 15  # after a failure


class Answer(msgspec.Struct, frozen=True):
    """What the servers said of one name. `error` in words where they did not say anything usable."""

    addresses: tuple[str, ...] = ()
    ttl: int = 0
    error: str = ""


class Known(msgspec.Struct):
    """A name: its last good answer, and when to ask again (monotonic seconds)."""

    addresses: tuple[str, ...] = ()
    good: bool = False
    due: float = 0.0
    error: str = ""


class Filling(msgspec.Struct, frozen=True):
    """What a live set shall hold. Not `complete`: a name of it has no answer yet, so nothing may be taken out.

    With an `error` and no addresses to give, the set stays as it is.
    """

    name: str
    addresses: tuple[str, ...]
    complete: bool
    error: str = ""

    @property
    def change(self) -> bool:
        return self.complete or bool(self.addresses)


def lie(address: str, own: Iterable[str]) -> str:
    """Why nobody's name may stand for this address, "" when it may: R1, a name must never open the gateway itself."""
    try:
        parsed: Address = ip_address(address)
    except ValueError:
        return f"{address} is not one address"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return f"{address} is IPv4 in disguise"
    kinds = (
        (parsed.is_loopback, "a loopback address"),
        (parsed.is_link_local, "a link-local address"),
        (parsed.is_multicast, "a multicast address"),
        (parsed.is_unspecified, "the unspecified address"),
        (parsed.is_reserved or address == "255.255.255.255", "a reserved address"),
        (isinstance(parsed, IPv4Address) and int(parsed) >> 24 == 0, "an address of this network (0/8)"),
        (address in set(own), "an address of this gateway itself"),
    )
    return next((f"{address} is {words}" for is_it, words in kinds if is_it), "")


class Book:
    """What is known of every name, and what that makes of every set."""

    def __init__(self, kept: dict[str, tuple[str, ...]] | None = None) -> None:
        self._known = {name: Known(addresses, good=True) for name, addresses in (kept or {}).items()}
        self._wanted: dict[str, Dynamic] = {}

    def want(self, dynamics: Iterable[Dynamic]) -> None:
        """The sets of the running generation; names that no set has any more are forgotten."""
        self._wanted = {dynamic.name: dynamic for dynamic in dynamics if dynamic.kind == "dns"}
        named = {name for dynamic in self._wanted.values() for name in dynamic.names}
        self._known = {name: self._known.get(name) or Known() for name in sorted(named)}

    def due(self, now: float) -> tuple[str, ...]:
        """The names to ask for now."""
        return tuple(name for name, known in self._known.items() if known.due <= now)

    def learn(self, name: str, answer: Answer, now: float, own: Iterable[str]) -> tuple[str, ...]:
        """Take an answer; the names of the sets it may change."""
        known = self._known.get(name)
        if known is None:
            return ()
        sets = tuple(dynamic for dynamic in self._wanted.values() if name in dynamic.names)
        error = answer.error or self._refusal(name, answer, sets, own)
        known.error = error
        if error:
            known.due = now + RETRY_SECONDS
        else:
            longest = min((dynamic.refresh for dynamic in sets), default=answer.ttl)
            known.due = now + max(LEAST_SECONDS, min(answer.ttl, longest))
            known.addresses, known.good = tuple(sorted(set(answer.addresses), key=_order)), True
        return tuple(dynamic.name for dynamic in sets)

    def _refusal(self, name: str, answer: Answer, sets: tuple[Dynamic, ...], own: Iterable[str]) -> str:
        if not answer.addresses:
            return f"{name} has no address"
        for dynamic in sets:
            others = {address for other in dynamic.names if other != name for address in self._known[other].addresses}
            count = len(others | set(answer.addresses))
            if count > dynamic.cap:
                return f"{name} would give {dynamic.name} {count} addresses, at most {dynamic.cap} are allowed"
        for address in answer.addresses:
            words = lie(address, own)
            if words:
                return f"{name} is answered with a lie: {words}"
        return ""

    def filling(self, name: str) -> Filling:
        """What the set of that name shall hold now."""
        dynamic = self._wanted[name]
        known = [self._known[member] for member in dynamic.names]
        addresses = sorted({address for each in known for address in each.addresses}, key=_order)
        errors = [each.error for each in known if each.error]
        return Filling(name, tuple(addresses), all(each.good for each in known), "; ".join(errors[:5]))

    def fillings(self) -> tuple[Filling, ...]:
        return tuple(self.filling(name) for name in self._wanted)

    def kept(self) -> dict[str, tuple[str, ...]]:
        """The last good answers, for the next start."""
        return {name: known.addresses for name, known in self._known.items() if known.good}


def _order(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)
