"""What runs, as policyd knows it: the running generation with its policy, and what this kernel can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from appliance.control import daemon
from appliance.control.deciding.candidate import Origin, Workshop
from appliance.control.deciding.numbering import Numbers
from appliance.control.ipc import call_async
from appliance.control.messages.gateway import (
    Doctor,
    DoctorReport,
    History,
    HistoryList,
    NameBook,
    Names,
    Request,
    Show,
    Shown,
    Status,
    StatusReport,
)
from appliance.control.processes import Instance
from appliance.policy.compiling.bundle import Bundle, generation_mark
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError

T = TypeVar("T")


class Running:
    """The running generation as this process knows it: its policy, and the bundle where it compiled it itself."""

    def __init__(self, generation: int, policy: Policy | None, bundle: Bundle | None) -> None:
        self.generation = generation
        self.policy = policy
        self.bundle = bundle


class Present:
    """Asks applyd what runs, and reads it when it is another generation than `running`, the last one seen."""

    def __init__(
        self,
        instance: Instance,
        workshop: Workshop,
        numbers: Numbers,
        log: daemon.Log,
        changed: Callable[[Running], None],
    ) -> None:
        """`changed` is told whenever another generation runs."""
        self.running = Running(0, None, None)
        self._applyd = instance.socket("applyd")
        self._workshop = workshop
        self._numbers = numbers
        self._log = log
        self._changed = changed
        self._capabilities: frozenset[str] | None = None

    async def ask(self, request: Request, reply: type[T]) -> T:
        """What applyd answers. Raises what `call_async` does."""
        return await call_async(self._applyd, request, reply, timeout=120)

    async def current(self) -> Running:
        """The running generation; read and parsed anew when it is not the one this process knows."""
        generation = (await self.ask(Status(), StatusReport)).running
        if generation != self.running.generation:
            policy = await self.read_policy(generation) if generation else None
            self.know(Running(generation, policy, None))
            if generation:
                book = await self.ask(Names(), NameBook)
                self._numbers.learn((*book.rules, *(bridge.rule for bridge in book.bridges)))
        return self.running

    async def policy(self) -> Policy | None:
        return (await self.current()).policy

    def know(self, running: Running) -> None:
        """Another generation runs."""
        self.running = running
        self._changed(running)

    async def read_policy(self, generation: int) -> Policy | None:
        shown = await self.ask(Show(generation), Shown)
        try:
            return self._workshop.read(shown.text, f"generation {generation}", shown.files, shown.inherited).policy
        except PolicyError as error:
            self._log(f"generation {generation} no longer parses, plans name everything: {error}")
            return None

    async def origin(self, running: Running, author: str, reason: str) -> Origin:
        newest = (await self.ask(History(1), HistoryList)).generations
        last = newest[0].generation if newest else 0
        number = max(last, running.generation) + 1
        if generation_mark(number) == generation_mark(running.generation):
            number += 1  # after 14 that failed: connections could not tell it from the running one
        return Origin(number, running.generation, author, reason)

    async def capabilities(self) -> frozenset[str]:
        if self._capabilities is None:
            report = await self.ask(Doctor(), DoctorReport)
            self._capabilities = frozenset(found.name for found in report.capabilities if found.available)
        return self._capabilities
