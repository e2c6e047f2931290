"""Who is banned, in memory: the entries by their addresses, found by what holds an address or by words, a million of
them too. Pure.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import chain

from appliance.control.messages.gateway import BanEntry
from appliance.policy import addresses
from appliance.policy.addresses import BITS, AddressError
from appliance.policy.model import Range
from appliance.searching import Found, Searched

_AUTOMATIC = ("detection ", "signature ")
_SPARE = 1_000


class BanRegister:
    """Entries by the shortest way to write their addresses. What has ended goes with `end`."""

    def __init__(self) -> None:
        self._entries: dict[str, BanEntry] = {}
        self._ends: list[tuple[float, str]] = []  # a heap; what was renewed or taken back stands there still
        self._spans: dict[str, Range] = {}  # of ranges that are no prefix
        self._words = Searched[str](self._text)
        self.automatic = 0  # entries that nobody asked for

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> BanEntry:
        return self._entries[name]

    def all(self) -> Iterable[BanEntry]:
        """The oldest first."""
        return self._entries.values()

    def put(self, entries: Iterable[BanEntry]) -> None:
        """In the place of what has the same address."""
        for entry in entries:
            name = entry.address
            if name in self._entries:
                self.pop(name)
            self._entries[name] = entry
            self._words.put(name)
            self.automatic += entry.by.startswith(_AUTOMATIC)
            if "-" in name:
                self._spans[name] = addresses.literal(name)
            if entry.until:
                heapq.heappush(self._ends, (entry.until, name))
        if len(self._ends) > 2 * len(self._entries) + _SPARE:  # bans are renewed more often than they end
            self._ends = [(entry.until, name) for name, entry in self._entries.items() if entry.until]
            heapq.heapify(self._ends)

    def pop(self, name: str) -> BanEntry:
        entry = self._entries.pop(name)
        self._spans.pop(name, None)
        self._words.drop(name)
        self.automatic -= entry.by.startswith(_AUTOMATIC)
        return entry

    def end(self, now: float) -> None:
        """What ended until `now` is no more."""
        while self._ends and self._ends[0][0] <= now:
            until, name = heapq.heappop(self._ends)
            entry = self._entries.get(name)
            if entry is not None and entry.until == until:
                self.pop(name)

    def warm(self) -> bool:
        """Be ready for who searches, a little at a time. Whether something was left to do."""
        return self._words.warm()

    @property
    def looked(self) -> int:
        """Entries that searches looked at, since the beginning."""
        return self._words.looked

    # --- finding --------------------------------------------------------------------------------------

    def find(self, word: str, after: int, limit: int) -> tuple[tuple[BanEntry, ...], Found[str]]:
        """A page of those that a word finds, newest first; those that hold the address `word` come before."""
        first = self.holding(word) if word else []
        found = self._words.find((word,) if word else (), after=after, limit=limit)
        others = [name for name in found.keys if name not in first]
        shown = tuple(self._entries[name] for name in chain(() if after else first, others))
        return shown, found._replace(total=max(found.total, len(shown)))

    def holding(self, word: str) -> list[str]:
        """The entries that hold all of an address or a network, the narrowest first."""
        try:
            wanted = addresses.literal(word)
        except AddressError:
            return []
        spans = [
            name
            for name, span in self._spans.items()
            if span.version == wanted.version and span.first <= wanted.first and wanted.last <= span.last
        ]
        return [name for name in around(wanted) if name in self._entries] + spans

    def _text(self, name: str) -> str:
        entry = self._entries[name]
        return f"{name} {entry.by} {entry.owner} {entry.reason}"


def around(wanted: Range) -> Iterator[str]:
    """Every prefix that holds all of a range, as it is written, the longest first."""
    bits = BITS[wanted.version]
    for low in range((wanted.first ^ wanted.last).bit_length(), bits + 1):
        first = wanted.first >> low << low
        yield addresses.words_of(Range(wanted.version, first, first | ((1 << low) - 1)))
