"""What is in force: for each value the strongest mode of all indicators that name it, and what a change changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from appliance.indicators.deciding import Mode
from appliance.indicators.values import Value

Key = tuple[str, str]  # source and id of an indicator


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A value whose mode is another now."""

    value: Value
    before: Mode
    now: Mode


class InForce:
    """Two sources may name the same value: it stays in force until the last one lets go of it."""

    def __init__(self) -> None:
        self._holders: dict[Value, dict[Key, Mode]] = {}
        self._held: dict[Key, tuple[Value, ...]] = {}
        self.counts: Counter[Mode] = Counter()  # values in force, by mode

    def __len__(self) -> int:
        return len(self._holders)

    def put(self, key: Key, modes: Iterable[tuple[Value, Mode]]) -> list[Changed]:
        """What an indicator is good for now, instead of what it was before; nothing takes it back."""
        wanted = {value: mode for value, mode in modes if mode is not Mode.NONE}
        if key not in self._held and self._holders.keys().isdisjoint(wanted):  # nobody named these: most of a list
            for value, mode in wanted.items():
                self._holders[value] = {key: mode}
            if wanted:
                self._held[key] = tuple(wanted)
                self.counts.update(wanted.values())
            return [Changed(value, Mode.NONE, mode) for value, mode in wanted.items()]
        touched = dict.fromkeys((*self._held.get(key, ()), *wanted))
        changed = []
        for value in touched:
            holders = self._holders.setdefault(value, {})
            before = max(holders.values(), default=Mode.NONE)
            if value in wanted:
                holders[key] = wanted[value]
            else:
                holders.pop(key, None)
            now = max(holders.values(), default=Mode.NONE)
            if not holders:
                del self._holders[value]
            if now is not before:
                self.counts[before] -= 1
                self.counts[now] += 1
                changed.append(Changed(value, before, now))
        if wanted:
            self._held[key] = tuple(wanted)
        else:
            self._held.pop(key, None)
        return changed

    def modes(self, key: Key) -> set[Mode]:
        """How strong an indicator's own values are, because of it."""
        return {self._holders[value][key] for value in self._held.get(key, ())}

    def mode(self, value: Value) -> Mode:
        return max(self._holders.get(value, {}).values(), default=Mode.NONE)

    def holders(self, value: Value) -> tuple[Key, ...]:
        """The indicators that name a value, the strongest first."""
        held = self._holders.get(value, {})
        return tuple(sorted(held, key=lambda key: (-held[key], key)))

    def all(self) -> Iterator[tuple[Value, Mode]]:
        for value, holders in self._holders.items():
            yield value, max(holders.values())
