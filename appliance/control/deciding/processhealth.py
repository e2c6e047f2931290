"""Since when each process is as it is. Pure."""

from __future__ import annotations

from appliance.control.messages.gateway import ProcessHealth


class Healths:
    """Remembers of each process what it was when it was asked last."""

    def __init__(self) -> None:
        self._known: dict[str, ProcessHealth] = {}

    def now(self, name: str, words: str, at: float) -> ProcessHealth:
        """How it is at `at` (seconds since the epoch); `words` say what is wrong, "" nothing."""
        before = self._known.get(name)
        alive = not words
        # What it was when it was asked for the first time it was for as long as anybody knows.
        since = 0.0 if before is None else before.since if before.alive == alive else at
        found = self._known[name] = ProcessHealth(name, alive, words, since)
        return found
