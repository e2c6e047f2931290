"""How often somebody may ask. Pure."""

from __future__ import annotations


class Bucket:
    """A token bucket: `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._filled = burst, now

    def take(self, now: float) -> float:
        """0.0 when one was there; else the seconds until there is."""
        passed = max(0.0, now - self._filled)
        self._level = min(self._burst, self._level + passed * self._rate)
        self._filled = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate
