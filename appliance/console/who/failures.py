"""Log-ins that failed, told together: one entry of the trail a minute says how many, for whom, from where. Pure."""

from __future__ import annotations

from collections import Counter

EVERY = 60.0  # seconds between two entries
_MOST = 256  # pairs of a name and an address in one entry; the others are only counted
_SHOWN = 20
MUCH = 20.0  # failures: nobody mistypes so often
_HALF = 1800.0  # seconds in which half of them is forgotten
_QUIET = 3600.0


class Much:
    """Says when so many failed lately that somebody must look, and then not again for an hour."""

    def __init__(self) -> None:
        self._level, self._at = 0.0, 0.0
        self._quiet_until = float("-inf")

    def add(self, failed: int, now: float) -> bool:
        """`now` counts seconds and never goes back."""
        self._level = self._level * 0.5 ** (max(0.0, now - self._at) / _HALF) + failed
        self._at = now
        if self._level < MUCH or now < self._quiet_until:
            return False
        self._quiet_until = now + _QUIET
        return True


class Failures:
    """Counts until it is told to tell."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._more = 0

    def add(self, how: str, name: str, address: str) -> None:
        key = (how, name[:64], address[:64])
        if key in self._counts or len(self._counts) < _MOST:
            self._counts[key] += 1
        else:
            self._more += 1

    def take(self) -> dict[str, str]:
        """What to tell, {} where nothing failed; then it begins anew."""
        if not self._counts:
            return {}
        total = self._counts.total() + self._more
        listed = [
            f"{name or 'nobody named'} from {address} by {how}: {count}"
            for (how, name, address), count in self._counts.most_common(_SHOWN)
        ]
        hidden = total - sum(count for _, count in self._counts.most_common(_SHOWN))
        more = [f"and {hidden} more"] if hidden else []
        self._counts.clear()
        self._more = 0
        return {"failures": f"{total}", "what": "; ".join([*listed, *more])}
