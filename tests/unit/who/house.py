"""A desk with its policy, its clock, and ears for what it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.console.who.desk import At, Desk
from appliance.console.who.store import NAME, Store
from appliance.policy.console import ConsoleSettings, Person

AMARA = Person("amara", "Amara Diaz", "amara@health.example", ("editor",), ("lan",))
BEN = Person("ben", "Ben Cho", "ben@health.example", ("approver",))
ANA = Person("ana", "Ana Ruiz", "ana@health.example", ("administrator",), break_glass=True)
SETTINGS = ConsoleSettings(
    listen=("lan",), port=8444, name="gateway.example", idle=1800, session=43_200, people=(AMARA, BEN, ANA)
)
ORIGIN = "https://gateway.example:8444"
HERE = At("10.0.0.5", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
THERE = At("192.0.2.77", "curl/8.0")


class Ears:
    """What was told."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.alerts: list[tuple[int, str]] = []
        self.entries: list[tuple[str, str, str, dict[str, str]]] = []  # actor, action, object, detail

    def __call__(self, words: str) -> None:
        self.words.append(words)

    def alert(self, signature: int, category: str, words: str, interface: str = "") -> None:
        self.alerts.append((signature, words))

    def audit(self, actor: str, action: str, object_: str, **more: Any) -> None:
        self.entries.append((actor, action, object_, more.get("detail") or {}))

    def actions(self) -> list[str]:
        return [action for _, action, _, _ in self.entries]


class House:
    """`now` is both clocks."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.folder = folder
        self.ears = Ears()
        self.desk = self.open()
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def open(self) -> Desk:
        """Another desk over the same database, as after a restart."""
        store = Store(self.folder / NAME, self.clock)
        self.desk = Desk(store, self.ears, clock=self.clock, ticks=self.clock)
        self.desk.renew(SETTINGS)
        return self.desk

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
