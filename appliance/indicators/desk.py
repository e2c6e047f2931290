"""What is done with indicators: taken in, ruled on, in force, ended, overridden, hit. No process, no network.

Every call that changes what is in force returns the changes; who enforces takes them from there. What a call returns
is on disk. Sources that the text does not know any more are in force no longer; what they said stays until it ends.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from appliance.indicators.deciding import Mode, Ruling, ending, ruling
from appliance.indicators.indicator import Indicator, Read
from appliance.indicators.inforce import Changed, InForce, Key
from appliance.indicators.never import Never
from appliance.indicators.store import Came, Hits, Override, Seen, Store
from appliance.indicators.values import Value
from appliance.policy.indicators import IndicatorSettings, Trust
from appliance.searching import Found, Searched

MOST = 500_000  # indicators that are kept; those that come when there are so many are refused
_DAY = 86_400.0
_KEPT_AFTER = 30 * _DAY  # one that ended is remembered so long: a source may send it again
_MOST_OVERRIDES = 100
_NONE: frozenset[Value] = frozenset()


class Taken(msgspec.Struct, frozen=True):
    """What became of a document: how many are new, are another version, were known, were refused and why. `fresh` are
    the new ones and those of another version, and those that a whole list took back."""

    new: int
    changed: int
    known: int
    refused: tuple[tuple[str, str], ...] = ()
    fresh: tuple[Indicator, ...] = ()


class OverrideRefused(Exception):
    """The text says why."""


class Shown(msgspec.Struct, frozen=True):
    """An indicator as people are shown it. `modes` of its values and `why` they are not stronger."""

    source: str
    indicator: Indicator
    seen: float
    ruling: Ruling


class Desk:
    """One thread at a time. `never` and `settings` come from the running generation by `follow`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[Key, Came] = dict(store.all())
        self._overrides = store.overrides()
        self._trusts: dict[str, Trust] = {}
        self._never = Never((), {}, {})
        self._force = InForce()
        self._due: list[tuple[float, Key]] = []
        self._words = Searched[Key](self._text)
        self._words.replace(sorted(self._kept, key=lambda key: self._kept[key].seen))
        self.sources = Counter(source for source, _ in self._kept)  # how many indicators each gave

    # --- what comes -----------------------------------------------------------------------------------

    def take(self, source: str, read: Read, now: float, *, whole: bool = False) -> tuple[Taken, list[Changed]]:
        """A document of a source; where it is the `whole` list, what is not on it any more is taken back.

        Raises `StoreError`; then nothing of it is in force.
        """
        refused = [(one.which, one.why) for one in read.refused]
        fresh: dict[Key, Came] = {}
        new = changed = known = 0
        for indicator in read.indicators:
            key = (source, indicator.id)
            before = fresh.get(key) or self._kept.get(key)
            if before is not None and not self._replaces(source, indicator, before.indicator):
                known += 1
            elif before is not None:
                fresh[key] = Came(indicator, before.seen)
                changed += 1
            elif len(self._kept) + new >= MOST:
                refused.append((indicator.id, f"there are {MOST:,} indicators, as many as there can be"))
            else:
                fresh[key] = Came(indicator, now)
                new += 1
        if whole:
            fresh |= self._absent(source, {indicator.id for indicator in read.indicators}, now)
        self._store.keep(fresh.items())
        for key in fresh:
            if key not in self._kept:
                self._words.put(key)
                self.sources[key[0]] += 1
        self._kept |= fresh
        changes = [one for key in fresh for one in self._rule(key, now)]
        came = tuple(one.indicator for one in fresh.values())
        return Taken(new, changed, known, tuple(refused), came), _last(changes)

    def _absent(self, source: str, present: set[str], now: float) -> dict[Key, Came]:
        """Those of a source that its list does not have any more, as taken back."""
        return {
            key: Came(msgspec.structs.replace(came.indicator, revoked=True, modified=now), came.seen)
            for key, came in self._kept.items()
            if key[0] == source and key[1] not in present and not came.indicator.revoked
        }

    def _replaces(self, source: str, indicator: Indicator, before: Indicator) -> bool:
        """Is it another version? What a list says again is none, but that it begins to last anew now and then."""
        if indicator.modified <= before.modified:
            return False
        moments = {"created": before.created, "modified": before.modified, "since": before.since}
        if msgspec.structs.replace(indicator, **moments) != before:
            return True
        lasting = self._trust(source).lasting
        return bool(lasting) and indicator.modified - before.modified > lasting / 8

    def follow(self, settings: IndicatorSettings, never: Never, now: float) -> list[Changed]:
        """Another generation: everything is ruled on anew."""
        self._trusts = {source.name: source.trust for source in settings.sources}
        self._never = never
        return self._again(now)

    def tick(self, now: float) -> list[Changed]:
        """What begins and ends with time. To be called now and then."""
        changes: list[Changed] = []
        while self._due and self._due[0][0] <= now:
            key = heapq.heappop(self._due)[1]
            if key in self._kept:
                changes += self._rule(key, now)
        ended = [value for value, one in self._overrides.items() if one.until <= now]
        if ended:
            self._store.override((), ended)
            for value in ended:
                del self._overrides[value]
            changes += self._again(now, only=frozenset(ended))
        return _last(changes)

    def tidy(self, now: float) -> int:
        """Forget what ended or was taken back long ago; how many that were. Raises `StoreError`."""
        gone = []
        for key, came in self._kept.items():
            until = ending(came.indicator, self._trust(key[0]), came.seen)
            old = came.indicator.revoked and came.indicator.modified + _KEPT_AFTER < now
            if old or (until and until + _KEPT_AFTER < now):
                gone.append(key)
        self._store.keep((), gone)
        for key in gone:
            del self._kept[key]
            self._words.drop(key)
            self.sources[key[0]] -= 1
        return len(gone)

    def rest(self) -> None:
        """To be called when there is nothing to do. Raises `StoreError`."""
        self._store.rest()
        self._words.warm()

    # --- overrides ------------------------------------------------------------------------------------

    def override(
        self, value: Value, person: str, why: str, until: float, now: float
    ) -> tuple[Override, list[Changed]]:
        """Block what is never blocked. The first person's word waits for a second. Raises `OverrideRefused`."""
        before = self._overrides.get(value)
        if before is None:
            if not self._never.why(value):
                raise OverrideRefused(f"{value.text} is on no list of what is never blocked: nothing to override")
            if len(self._overrides) >= _MOST_OVERRIDES:
                raise OverrideRefused(f"there are {_MOST_OVERRIDES:,} overrides; take some back")
            made = Override(value, person, why, now, until)
        elif before.second:
            raise OverrideRefused(f"{value.text} is overridden already, by {before.first} and {before.second}")
        elif before.first == person:
            raise OverrideRefused(f"{person} asked for it; another person must agree")
        else:
            made = msgspec.structs.replace(before, second=person, agreed=now)
        self._store.override([made])
        self._overrides[value] = made
        return made, self._again(now, only=frozenset({value})) if made.second else []

    def restore(self, value: Value, now: float) -> list[Changed]:
        """Take an override back; anybody may. Raises `OverrideRefused`."""
        if value not in self._overrides:
            raise OverrideRefused(f"{value.text} is not overridden")
        self._store.override((), [value])
        del self._overrides[value]
        return self._again(now, only=frozenset({value}))

    def overrides(self) -> tuple[Override, ...]:
        return tuple(self._overrides.values())

    # --- hits -----------------------------------------------------------------------------------------

    def hit(self, counted: Iterable[tuple[Value, Hits]], place: int | None = None) -> list[tuple[Value, Mode]]:
        """Values that were seen; those that are in force are counted, and returned with their mode."""
        found = [(value, hits) for value, hits in counted if self._force.mode(value) is not Mode.NONE]
        seen: dict[Key, Hits] = {}
        for value, hits in found:
            for key in self._force.holders(value):
                seen[key] = hits if key not in seen else _both(seen[key], hits)
        self._store.hit(found, seen.items(), place)
        return [(value, self._force.mode(value)) for value, _ in found]

    def place(self) -> int:
        return self._store.place()

    def sightings(self, now: float, every: float, limit: int) -> list[tuple[Seen, Indicator]]:
        """Counts of indicators that are to be told: at once when they are new, then `every` so many seconds."""
        gone = Indicator("")
        found = self._store.untold(now - every, limit)
        return [(one, self._kept[one.key].indicator if one.key in self._kept else gone) for one in found]

    def told(self, seen: Iterable[Seen], now: float) -> None:
        self._store.told(seen, now)

    def hits(self, value: Value) -> Hits | None:
        return self._store.hits(value)

    # --- what is remembered of others ------------------------------------------------------------------

    def remember(self, name: str, text: str) -> None:
        """For example where the reading of a source stands."""
        self._store.remember(name, text)

    def remembered(self, name: str) -> str:
        return self._store.remembered(name)

    # --- what is there --------------------------------------------------------------------------------

    def in_force(self) -> Iterator[tuple[Value, Mode]]:
        return self._force.all()

    def mode(self, value: Value) -> Mode:
        return self._force.mode(value)

    def naming(self, value: Value, now: float) -> tuple[Shown, ...]:
        """The indicators that name a value in force, the strongest first."""
        return tuple(self._shown(key, now) for key in self._force.holders(value))

    def find(
        self, now: float, *, word: str = "", source: str = "", mode: str = "", after: int = 0, limit: int
    ) -> tuple[tuple[Shown, ...], Found[Key]]:
        """A page of the indicators of a source, with a value of that mode, with a word in their names or values."""
        words = (word, *(_mark(one) for one in (source, mode) if one))
        found = self._words.find(words, after=after, limit=limit)
        return tuple(self._shown(key, now) for key in found.keys), found

    def _text(self, key: Key) -> str:
        indicator = self._kept[key].indicator
        modes = self._force.modes(key) or {Mode.NONE}
        marks = " ".join(_mark(one) for one in (key[0], *(mode.word for mode in modes)))
        return f"{indicator.id} {indicator.name} {' '.join(value.text for value in indicator.values)} {marks}"

    @property
    def looked(self) -> int:
        """Indicators that searches looked at, since the beginning."""
        return self._words.looked

    @property
    def modes(self) -> dict[str, int]:
        """How many values are in force, by the word of their mode."""
        return {mode.word: count for mode, count in self._force.counts.items() if count and mode is not Mode.NONE}

    def __len__(self) -> int:
        return len(self._kept)

    def _shown(self, key: Key, now: float) -> Shown:
        came = self._kept[key]
        return Shown(key[0], came.indicator, came.seen, self._ruling(key, now))

    # --- ruling ---------------------------------------------------------------------------------------

    def _overridden(self, now: float) -> frozenset[Value]:
        return (
            frozenset(value for value, one in self._overrides.items() if one.holds(now)) if self._overrides else _NONE
        )

    def _trust(self, source: str) -> Trust:
        return self._trusts.get(source, Trust())

    def _ruling(self, key: Key, now: float) -> Ruling:
        if key[0] not in self._trusts:
            return Ruling((), (("", "the policy knows its source no more"),))
        came = self._kept[key]
        return ruling(came.indicator, self._trust(key[0]), self._never, self._overridden(now), now, came.seen)

    def _rule(self, key: Key, now: float) -> list[Changed]:
        made = self._ruling(key, now)
        since = self._kept[key].indicator.since
        if since > now:
            heapq.heappush(self._due, (since, key))
        elif made.until > now:
            heapq.heappush(self._due, (made.until, key))
        self._words.changed(key)
        return self._force.put(key, made.modes)

    def _again(self, now: float, only: frozenset[Value] | None = None) -> list[Changed]:
        """Everything, or those indicators that name one of these values."""
        if only is None:
            self._due.clear()
        keys = [key for key, came in self._kept.items() if only is None or not only.isdisjoint(came.indicator.values)]
        return _last(one for key in keys for one in self._rule(key, now))


def _mark(word: str) -> str:
    """A word that is meant whole, as no name and no value has it."""
    return f"\x1f{word}\x1f"


def _last(changes: Iterable[Changed]) -> list[Changed]:
    """Each value once: from what it was first to what it is last."""
    found: dict[Value, Changed] = {}
    for one in changes:
        before = found.get(one.value)
        found[one.value] = one if before is None else Changed(one.value, before.before, one.now)
    return [one for one in found.values() if one.before is not one.now]


def _both(one: Hits, other: Hits) -> Hits:
    return Hits(min(one.first, other.first), max(one.last, other.last), one.count + other.count)
