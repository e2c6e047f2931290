"""The processes of the gateway as they are, told when one of them changes."""

from __future__ import annotations

import msgspec

from appliance.console.streams import Live
from appliance.control.messages.gateway import ProcessHealth, StatusReport


class Health(msgspec.Struct, frozen=True):
    """Every process but the console, since when it is so, at `as_of`. While `away` is not empty policyd does not
    answer, which says why, and of the others nothing newer is known."""

    processes: tuple[ProcessHealth, ...]
    as_of: float
    away: str = ""


class HealthNow:
    """What was told last. For one event loop."""

    def __init__(self) -> None:
        self._policyd = ProcessHealth("policyd", alive=True)
        self._told: Health | None = None

    @property
    def now(self) -> Health | None:
        """None before anything is known."""
        return self._told

    def know(self, status: StatusReport | None, as_of: float, away: str, at: float, live: Live) -> None:
        """Take in what policyd says at `at` (seconds since the epoch), and tell it where a process is not as it
        was."""
        if self._policyd.alive == bool(away):
            self._policyd = ProcessHealth("policyd", not away, away, at)
        if status is None:
            return
        before, self._told = self._told, Health((self._policyd, *status.processes), as_of, away)
        if before is None or _states(before) != _states(self._told):
            live.publish("health", self._told, state=True)


def _states(health: Health) -> list[tuple[str, bool, float]]:
    return [(one.name, one.alive, one.since) for one in health.processes]
