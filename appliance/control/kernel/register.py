"""The register of lines (R2): an interface that carries traffic and stands in no zone is itself an alert.

Whatever enters there is denied, as everything that no rule allows; but there must be no line that nobody answers for.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.control.kernel.rtnetlink import Line

AGAIN = 3600.0  # seconds until a line that goes on is told again


def unregistered(lines: Iterable[Line], interfaces: frozenset[str]) -> tuple[Line, ...]:
    """The lines that are up, received packets, and belong to none of the zones' `interfaces`. Pure.

    The ports of a bridge that is in a zone belong to it, and so does what a VLAN of a zone stands on.
    """
    known = tuple(lines)
    ours = {line.index for line in known if line.name in interfaces}
    carriers = {line.below for line in known if line.index in ours}
    return tuple(
        line
        for line in known
        if line.up
        and line.received
        and not line.loopback
        and line.index not in ours
        and line.index not in carriers
        and line.master not in ours
    )


def words(line: Line) -> str:
    return (
        f"interface {line.name} carries traffic ({line.received} packets received) and is in no zone of the policy: "
        "an unregistered line. Unplug it, or give it a zone and, if it leads outside, an officer under `connections`"
    )


class Register:
    """Remembers what was told, so that each line is told when it appears and then once an hour."""

    def __init__(self) -> None:
        self.unregistered: tuple[Line, ...] = ()
        self._told: dict[int, tuple[float, int]] = {}  # interface number: when, and what it had received

    def look(self, lines: Iterable[Line], interfaces: frozenset[str], now: float) -> tuple[Line, ...]:
        """Take in how the lines are (`now` monotonic seconds); those that are to be told of."""
        self.unregistered = unregistered(lines, interfaces)
        present = {line.index for line in self.unregistered}
        self._told = {index: told for index, told in self._told.items() if index in present}
        due = tuple(line for line in self.unregistered if self._due(line, now))
        self._told.update((line.index, (now, line.received)) for line in due)
        return due

    def _due(self, line: Line, now: float) -> bool:
        told = self._told.get(line.index)
        return told is None or (now - told[0] >= AGAIN and line.received > told[1])
