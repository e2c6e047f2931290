"""Alerts as they come, for everybody who looks: one reader asks alertd, the ring of live events sends it on.

It asks in the name of somebody who looks on at that moment, since the console may know nothing of its own; while
nobody looks nothing is asked, and then it goes on where it ended. Each event says behind which number it tells of
everything: a page that has not everything up to there asks for its list anew, so nothing is lost between the two.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from appliance.console.alertrows import AlertRow, row
from appliance.console.context import Console
from appliance.console.problems import Problem
from appliance.console.streams import Watcher
from appliance.control.messages.alerts import AlertCounts, AlertCountsAre, AlertsBehind, AlertsCame

_WAIT = 5.0  # seconds that alertd holds a question open
_PATIENCE = 10.0  # more than it is held open
_LOOK = 0.25  # seconds between looks whether somebody looks
_GAP = 0.5  # seconds between two events: a flood of alerts is no flood of events
_AGAIN = 1.0
_ABOUT_THEM = ("nobody", "not-allowed")  # what says nothing about alertd


class AlertsLive(msgspec.Struct, frozen=True):
    """`alerts`, oldest first: all that came behind number `after` and up to `through`; `hour` and `day` of them came
    in the last hour and day. While alerts are not known `away` says why, and `as_of` is when they were known last
    (seconds since the epoch; 0: never)."""

    after: int
    through: int
    alerts: tuple[AlertRow, ...] = ()
    hour: int = 0
    day: int = 0
    away: str = ""
    as_of: float = 0.0


class AlertLine:
    """The reader. For one event loop."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        self._console = console
        self._clock = clock
        self._through = -1  # unknown: nothing was asked yet
        self._counted = (0, 0)
        self._away = ""
        self._as_of = 0.0

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            watcher = self._console.live.watcher("alert")
            if watcher is None:
                await asyncio.sleep(_LOOK)
                continue
            try:
                came, counted = await self._ask(watcher)
            except Problem as problem:
                self._lost(problem)
                await asyncio.sleep(_AGAIN)
                continue
            self._tell(came, counted)
            await asyncio.sleep(_GAP if came.alerts else 0)

    async def _ask(self, watcher: Watcher) -> tuple[AlertsCame, tuple[int, int]]:
        ask, who = self._console.asking.ask, (watcher.person, watcher.session)
        came = await ask(*who, AlertsBehind(self._through, _WAIT), AlertsCame, "alertd", _PATIENCE)
        counts = await ask(*who, AlertCounts(0), AlertCountsAre, "alertd", _PATIENCE)
        return came, (counts.hour, counts.day)

    def _lost(self, problem: Problem) -> None:
        """Said once. That this person may not look any more says nothing about alertd."""
        if problem.code not in _ABOUT_THEM and not self._away:
            self._away = problem.words
            place, (hour, day) = self._through, self._counted
            said = AlertsLive(place, place, (), hour, day, self._away, self._as_of)
            self._console.live.publish("alert", said, state=True)

    def _tell(self, came: AlertsCame, counted: tuple[int, int]) -> None:
        begins, back = self._through < 0, bool(self._away)
        # What was skipped is behind what the page has: it will ask for it.
        after = came.alerts[0].number - 1 if came.skipped else came.through if begins else self._through
        rows = tuple(one for kept in came.alerts if (one := row(kept)) is not None)
        news = rows or begins or back or counted != self._counted
        self._through, self._counted, self._away, self._as_of = came.through, counted, "", self._clock()
        if news:
            said = AlertsLive(after, came.through, rows, *counted, "", self._as_of)
            self._console.live.publish("alert", said, state=True)
