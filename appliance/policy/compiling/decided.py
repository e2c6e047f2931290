"""Packets of decided connections: they pass only between the two zones that the decision was about.

A connection's mark holds the number of its pair of zones, without their order, because answers travel the other
way. The chain of a pair of zones writes it, in the same statement that takes the generation away: until a rule has
accepted it again a connection is not decided, so a number is never read with a generation that it was not
decided in. A packet that agrees with a decided connection but comes by a line of another zone is decided like a new
one, by the zones that it really crosses; first it must pass anti-spoofing there.

Numbers follow from the order of the zones alone, so that neither an edited rule nor a zone at the end changes one.
The mark has room for 127: every pair of 14 zones and the gateway. In a larger policy only pairs that rules name are
numbered, and what is left shares 0. So do pinholes. Packets of connections with pair 0 are asked for
their source one by one; it costs them a look-up of the route.

The sets name interfaces that are there. One that is not, or that was made anew and is not yet in them (applyd sees to
that), has no packets of decided connections: each of them is decided anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from appliance.policy.compiling.bundle import MARK_FLAGS, MARK_GENERATION, MARK_PAIR, MARK_RULE, MAX_PAIR, pair_mark
from appliance.policy.compiling.ruleset import Chain, Set
from appliance.policy.model import GATEWAY, Policy

Pair = tuple[str, str]
# What begins a decision: generation, flags and pair go, the number stays and says that the connection is not new.
BEGUN = f"ct mark set ct mark and {MARK_RULE:#010x}"
# The interfaces that a packet has in a hook. By number: names take the kernel three times as long to compare.
LINES = {"input": ("iif",), "output": ("oif",), "forward": ("iif", "oif")}


class Decided:
    """The numbers of the pairs of zones, the interfaces that belong to each, and what the hooks do with them.

    `ruled` are the pairs that rules name, `stamp` the generation's bits of the mark, `flowtable` its name or "".
    """

    def __init__(self, policy: Policy, ruled: Collection[Pair], stamp: int, flowtable: str = "") -> None:
        self._zones = [GATEWAY, *(zone for zone in policy.zones if zone != GATEWAY)]
        self._place = {zone: place for place, zone in enumerate(self._zones)}
        self._interfaces = {name: policy.zones[name].interfaces for name in self._zones if name != GATEWAY}
        self._stamp = stamp
        self._flowtable = flowtable
        self._ruled = {self._unordered(pair) for pair in ruled} - {(GATEWAY, GATEWAY)}
        every = list(self._every())
        if len(every) > MAX_PAIR:
            every = [pair for pair in every if pair in self._ruled]
        self._number = {pair: number for number, pair in enumerate(every[:MAX_PAIR], start=1)}

    def _every(self) -> Iterator[Pair]:
        """Every pair; those of a further zone stand behind all that were there without it."""
        for place, second in enumerate(self._zones[1:], start=1):
            for first in self._zones[: place + 1]:
                yield first, second

    def _unordered(self, pair: Pair) -> Pair:
        first, second = sorted(pair, key=self._place.__getitem__)
        return first, second

    def begun(self, pair: Pair) -> str:
        """The statement with which the decision about a packet between these zones begins."""
        number = self._number.get(self._unordered(pair), 0)
        return f"{BEGUN} or {pair_mark(number):#010x}" if number else BEGUN

    def sets(self) -> dict[str, Set]:
        """For each hook, which pair's packets may have which interfaces."""
        elements: dict[str, list[str]] = {hook: [] for hook in LINES}
        for pair, number in self._number.items():
            if pair not in self._ruled:
                continue
            mark = f"{pair_mark(number):#010x}"
            first, second = pair
            if first == GATEWAY:
                for hook in ("input", "output"):
                    elements[hook] += [f'{mark} . "{line}"' for line in self._interfaces[second]]
                continue
            for one, other in dict.fromkeys((pair, (second, first))):
                elements["forward"] += [
                    f'{mark} . "{entering}" . "{leaving}"'
                    for entering in self._interfaces[one]
                    for leaving in self._interfaces[other]
                ]
        return {
            _set(hook): Set(
                key=" . ".join(["type mark", *("iface_index" for _ in LINES[hook])]),
                options=(f"size {_room(len(listed))};",),
                elements=dict.fromkeys(listed, ""),
            )
            for hook, listed in elements.items()
        }

    def at_once(self, hook: str) -> str:
        """The first rule of a hook: most packets end here."""
        verdict = "goto to_flowtable" if hook == "forward" and self._flowtable else "accept"
        return f"{self._generation(MARK_FLAGS)} {_between(hook)} {verdict}"

    def chains(self) -> dict[str, Chain]:
        if not self._flowtable:
            return {}
        offload = f"ct state established meta l4proto {{ tcp, udp }} flow add @{self._flowtable}"
        return {"to_flowtable": Chain((offload, "accept"))}

    def again(self, hook: str) -> list[str]:
        """The other packets of decided connections. What returns from `flagged` is decided anew."""
        return [*self._unnumbered(hook), f"{self._generation()} {_between(hook)} jump flagged"]

    def _unnumbered(self, hook: str) -> Iterator[str]:
        """Connections with pair 0: each packet is asked for its source, but for the gateway's own."""
        if hook != "forward" and self._ruled <= self._number.keys():
            return
        if hook != "output":
            yield f"{self._generation(MARK_PAIR)} iifname vmap @antispoofing"
        yield f"{self._generation(MARK_PAIR | MARK_FLAGS)} accept"
        yield f"{self._generation(MARK_PAIR)} jump flagged"

    def _generation(self, clear: int = 0) -> str:
        """This generation has decided, and the bits of `clear` are not set."""
        return f"ct mark and {MARK_GENERATION | clear:#010x} == {self._stamp:#010x}"


def _between(hook: str) -> str:
    return f"ct mark and {MARK_PAIR:#010x} . {' . '.join(LINES[hook])} @{_set(hook)}"


def _room(elements: int) -> int:
    """The size of a set: one that is declared is found in faster. In steps, so that it seldom changes."""
    return max(64, 1 << elements.bit_length())


def _set(hook: str) -> str:
    return f"decided_{hook}"
