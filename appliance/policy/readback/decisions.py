"""How a deed of the kernel's table reads as a decision of the policy: which rule it was, by counter, mark and log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.policy.compiling.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAG_REVISIT,
    FLAGS_QUEUE,
    MARK_GENERATION,
    MARK_RULE,
    QUEUES_CLOSED,
    QUEUES_OPEN,
    generation_mark,
)
from appliance.policy.compiling.hooks import QueueWay
from appliance.policy.decide import DEFAULT, SPOOFED
from appliance.policy.logprefix import parse
from appliance.policy.readback.execute import Item
from appliance.policy.readback.expected import LOOPBACK, Case, Decided
from appliance.policy.readback.packets import Place
from appliance.policy.readback.steps import Deed

NO_RULE = "no rule"
_TRANSLATES = frozenset({"snat", "dnat", "masquerade", "redirect"})
_QUEUES: Mapping[tuple[str, ...], str] = {
    (f"{first}+{last - first + 1}", words): said
    for (first, last), words, said in ((QUEUES_CLOSED, "", "fail-closed"), (QUEUES_OPEN, "bypass", "fail-open"))
}
_DENIED = {"r_default": DEFAULT, "r_invalid": "invalid"}


class Identities:
    """Reads deeds of one generation. `numbers` are those of its rules, by id; `timed` the rules that end by
    themselves."""

    def __init__(
        self, numbers: Mapping[str, int], timed: frozenset[str], generation: int, queue: QueueWay = ""
    ) -> None:
        self._ids = {number: rule for rule, number in numbers.items()}
        self._timed = timed
        self._stamp = generation_mark(generation)
        self._queue = queue
        self._known: dict[Deed, Decided] = {}
        self._cases: dict[int, Case] = {}
        self._kept: list[Item] = []

    def cases(self, items: Iterable[Item], place: Place) -> list[Case]:
        """The items of a place as cases, the same ones for the same items."""
        found: list[Case] = []
        known = self._cases
        for item in items:
            case = known.get(id(item))
            if case is None or (case.decided is not None and case.decided.rule == LOOPBACK):
                decided = None if item.deed is None else self.decided(item.deed, place)
                case = known[id(item)] = Case(item.product, item.literals, decided, item.skip)
                self._kept.append(item)
            found.append(case)
        return found

    def decided(self, deed: Deed, place: Place) -> Decided:
        known = self._known.get(deed)
        if known is None:
            known = self._known[deed] = self._decided(deed)
        if known.rule == NO_RULE and known.action == "allow" and LOOPBACK in (place.entering, place.leaving):
            return Decided("allow", LOOPBACK)
        return known

    def _decided(self, deed: Deed) -> Decided:
        if deed.verdict in _TRANSLATES:
            return Decided(_translation(deed), self._translator(deed))
        rule = self._rule(deed)
        if deed.verdict == "drop":
            return Decided("deny", rule)
        if deed.verdict == "reject":
            return Decided("reject", rule)
        inspected = self._inspected(deed)
        value, sure = deed.mark
        revisited = rule in self._timed and bool(value & sure & FLAG_REVISIT)
        if rule != NO_RULE and (value & MARK_GENERATION != self._stamp or ~sure & MARK_GENERATION):
            rule += ", whose connections count as not decided"
        return Decided("allow", rule, inspected, revisited)

    def _inspected(self, deed: Deed) -> str:
        """How an accepted packet comes to inspection; what it may not say of a packet that is wrong is said."""
        marked = deed.tag[0] & deed.tag[1] & FLAGS_QUEUE if deed.tag is not None else 0
        if deed.verdict == "queue":
            found = _QUEUES.get(deed.target, f"by queues {' '.join(deed.target).strip()}")
        elif marked and self._queue == "xt-queue":
            found = "fail-closed" if marked & FLAG_QUEUE_CLOSED else "fail-open"
        else:
            return "with the mark of what is queued, and no queue" if marked else ""
        return found if deed.tag == deed.mark else f"{found}, without the connection's mark"

    def translation(self, deed: Deed) -> Decided:
        """A deed of a chain of kind nat."""
        if deed.verdict == "accept":
            return Decided("no translation", self._translator(deed))
        return Decided(_translation(deed), self._translator(deed))

    @staticmethod
    def _translator(deed: Deed) -> str:
        return " and ".join(name.removeprefix("n_") for name in deed.counters)

    def _rule(self, deed: Deed) -> str:
        """The rule that a deed names; more than one name where its counter, its mark and its log disagree."""
        names: dict[str, None] = {}
        for counter in deed.counters:
            if counter in _DENIED:
                names[_DENIED[counter]] = None
            elif counter.startswith("r_"):
                names[counter.removeprefix("r_")] = None
            elif counter.startswith("spoof_"):
                names[SPOOFED] = None
        number = deed.mark[0] & MARK_RULE
        if deed.verdict in ("accept", "queue") and number:
            names[self._ids.get(number, f"the number {number} of no rule")] = None
        for prefix in deed.prefixes:
            said = parse(prefix)
            names[said.rule if said is not None else f"the log prefix {prefix!r}"] = None
        return " and ".join(names) or NO_RULE


def _translation(deed: Deed) -> str:
    """The words of `translation.py`."""
    address, port, *more = (*deed.target, "", "")[: max(2, len(deed.target))]
    if deed.verdict not in _TRANSLATES:
        return deed.verdict
    words = deed.verdict + (f" to {address}" if address else "")
    if port and address:
        words += f":{port}"
    elif port:
        first, last = (int(end, 16) for end in port.split("-"))
        words += f" to ports {first}-{last}"
    return " ".join([words, *more])
