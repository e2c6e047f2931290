"""Which boxes no packet ever reaches, because a box of an earlier rule has all of them.

A rule that nothing can make return decides every packet of its boxes. A later box that lies in one of these is
not emitted; it costs neither room nor a level.

Boxes are compared with those of the text, whether these are emitted or not: a change of one rule reaches the later
boxes that meet it and nothing beyond them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.policy.compiling.levels import Index, Item, contains


class Cover:
    """The boxes of one section, and which of them are reached."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[Item, ...]] = {}
        self._index = Index()
        self._reached: dict[str, tuple[Item, ...]] = {}

    def change(
        self, removed: Iterable[str], added: Mapping[str, tuple[Item, ...]], order: Mapping[str, int]
    ) -> dict[str, tuple[Item, ...]]:
        """Take rules out and put rules in; returns what is reached of every rule of which that is not what it was."""
        changed: dict[str, tuple[Item, ...]] = {}
        moved: list[Item] = []
        for rule in removed:
            items = self._items.pop(rule, ())
            if items:
                changed[rule] = ()
                del self._reached[rule]
            for item in items:
                self._index.take(item)
            moved += items
        cold = not self._items
        fresh = sum(map(len, added.values()))
        for rule, items in added.items():
            self._items[rule] = items
            moved += items
            for item in items:
                self._index.put(item, bulk=fresh > 64)
        stale = set(added)
        if not cold:
            for item in moved:
                if item.certain:
                    stale.update(other.rule for other in self._index.meeting(item.box))
        for rule in sorted(stale, key=order.__getitem__):
            reached = tuple(item for item in self._items[rule] if not self._covered(item, order))
            if rule in added or reached != self._reached[rule]:
                self._reached[rule] = changed[rule] = reached
        return changed

    def _covered(self, item: Item, order: Mapping[str, int]) -> bool:
        position = order[item.rule]
        return any(
            other.certain and order[other.rule] < position and contains(other.box, item.box)
            for other in self._index.meeting(item.box)
        )
