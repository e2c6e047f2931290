"""Who guesses waits: per address, and per name. Pure but for the clock it is given.

An address that failed often is not listened to for a while, longer each time; half of what is held against it is
forgotten every ten minutes. A name that many addresses guess at is never locked: each try is answered later, eight
seconds at most, so the right person from another address still comes in. Passkeys and certificates cannot be guessed
and are never made to wait. What is remembered is bounded; who is evicted was heard of longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

FREE = 5.0  # failures before anybody waits
LONGEST = 60.0  # seconds that an address is not listened to
SLOWEST = 8.0  # seconds until a try for a name is answered
_HALF = 600.0  # seconds in which half is forgotten
_MOST = 4096


class _Held:
    """A number that decays, and until when nobody listens."""

    __slots__ = ("at", "level", "until")

    def __init__(self, now: float) -> None:
        self.level, self.at, self.until = 0.0, now, 0.0

    def now(self, now: float) -> float:
        self.level *= 0.5 ** (max(0.0, now - self.at) / _HALF)
        self.at = now
        return self.level


class Guessing:
    """Failures by address and by name. `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Held] = OrderedDict()
        self._names: OrderedDict[str, _Held] = OrderedDict()

    def waits(self, address: str) -> float:
        """Seconds for which a try from there is refused unheard; 0.0: none."""
        held = self._addresses.get(network_of(address))
        return max(0.0, held.until - self._clock()) if held is not None else 0.0

    def slow(self, name: str) -> float:
        """Seconds that a try for this name takes, right or wrong, whether or not there is such a name."""
        held = self._names.get(name[:64])
        beyond = held.now(self._clock()) - FREE if held is not None else 0.0
        return min(SLOWEST, 0.5 * beyond) if beyond > 0 else 0.0

    def failed(self, address: str, name: str) -> float:
        """Somebody there was wrong; gives how long that address now waits."""
        now = self._clock()
        _held(self._names, name[:64], now).level += 1
        held = _held(self._addresses, network_of(address), now)
        held.level += 1
        beyond = held.level - FREE
        wait: float = min(LONGEST, 2.0**beyond) if beyond > 0 else 0.0
        held.until = now + wait
        return wait

    def right(self, address: str, name: str) -> None:
        """Somebody there was right. What others hold against the name stays: they still guess."""
        self._addresses.pop(network_of(address), None)
        held = self._names.get(name[:64])
        if held is not None:
            held.level = held.now(self._clock()) / 2

    @property
    def remembered(self) -> int:
        return len(self._addresses) + len(self._names)


def _held(among: OrderedDict[str, _Held], key: str, now: float) -> _Held:
    held = among.pop(key, None) or _Held(now)
    held.now(now)
    among[key] = held
    while len(among) > _MOST:
        among.popitem(last=False)
    return held


def network_of(address: str) -> str:
    """Whose failures are counted together: an IPv4 address, an IPv6 network of 64 bits."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)
