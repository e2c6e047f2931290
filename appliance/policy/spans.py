"""Many ranges of addresses, each with a reason, to be asked often: what meets one of them, and why. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from appliance.policy.model import Range

_VERSIONS = (4, 6)


class Spans:
    """Ranges that overlap become one; the widest of those that begin first gives its reason."""

    def __init__(self, ranges: Iterable[tuple[Range, str]]) -> None:
        self._spans: dict[int, list[tuple[int, int, str]]] = {version: [] for version in _VERSIONS}
        for part, why in sorted(ranges, key=lambda one: (one[0].version, one[0].first, -one[0].last)):
            spans = self._spans[part.version]
            if spans and part.first <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], part.last), spans[-1][2])
            else:
                spans.append((part.first, part.last, why))
        self._firsts = {version: [span[0] for span in found] for version, found in self._spans.items()}
        self._lasts = {version: [span[1] for span in found] for version, found in self._spans.items()}

    def why(self, version: int, first: int, last: int) -> str:
        """The reason of the first that these addresses meet; "" when they meet none."""
        at = bisect_left(self._lasts[version], first)
        if at < bisect_right(self._firsts[version], last):
            return self._spans[version][at][2]
        return ""
