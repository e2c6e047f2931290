"""Reading a table as the kernel would, for every first packet at once.

A chain becomes a row of items: so many packets, under such conditions, meet this deed; or go on further down. Jumps,
verdict maps and maps of values are followed; what a chain does is found once for all who come to it alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.policy.readback import expressions as nft
from appliance.policy.readback.expressions import Verdict
from appliance.policy.readback.kernel import KernelChain, KernelTable
from appliance.policy.readback.packets import EVERY, Place, Product
from appliance.policy.readback.registers import Literals
from appliance.policy.readback.steps import FULL_MARK, MARK, NOTHING_SET, TAG, WORD, Deed, State, Steps, altered

DEPTH = 24  # nested jumps; the kernel allows 16
ITEMS = 3_000_000  # of one place, before the reader gives up
_DECISIONS = {nft.ACCEPT: "accept", nft.DROP: "drop"}


class TooMuch(Exception):
    """The table is too tangled to be followed: says where."""


class Item(msgspec.Struct, gc=False):
    """`deed` None: goes on `skip` items further instead."""

    product: Product
    literals: Literals
    deed: Deed | None
    skip: int = 0


class Block(msgspec.Struct):
    """What a chain does. `closed`: nothing comes out at its end; `loose` are the bits of the mark that may be others
    for what does."""

    items: list[Item]
    closed: bool
    loose: int = 0


class Way(msgspec.Struct):
    """A chain while it is read: its items, the places of those that leave it, the mark it was entered with."""

    mark: tuple[int, int]
    items: list[Item] = []
    places: list[int] = []
    loose: int = 0
    left: bool = False  # whether somebody comes out at its end

    def leave(self, product: Product, literals: Literals, mark: tuple[int, int]) -> None:
        self.places.append(len(self.items))
        self.items.append(Item(product, literals, None))
        self.out(mark)

    def out(self, mark: tuple[int, int]) -> None:
        self.left = True
        self.loose |= (mark[0] ^ self.mark[0]) & mark[1] | self.mark[1] & ~mark[1]


class Reader(Steps):
    """Reads the chains of one table."""

    def __init__(
        self, table: KernelTable, live: frozenset[str], links: Mapping[str, int], *, own: bool = False
    ) -> None:
        super().__init__(table, live, links, own=own)
        # By chain and state: at which ends of the place (fields of `Place`) it was asked what, and what came of it.
        self._blocks: dict[object, list[tuple[tuple[int, ...], tuple[object, ...], Block]]] = {}
        self._deeds: dict[object, Deed | None] = {}

    def read(self, base: KernelChain, place: Place) -> list[Item]:
        """The items of a base chain at a place; its policy is the last. Raises `TooMuch`, `Malformed`."""
        self._place = place
        block = self.block(base.name, State(), 0)
        policy = "accept" if base.hook is not None and base.hook.policy else "drop"
        end = Deed(policy, mark=(0, FULL_MARK & ~block.loose))
        return block.items if block.closed else [*block.items, Item(EVERY, NOTHING_SET, end)]

    def judged(self, base: KernelChain, place: Place, mark: int, tag: int) -> list[Deed | None]:
        """What a base chain does with a packet of a connection with `mark` that has `tag` itself; None where the
        chain's policy decides. More than one deed where it asks for more than the marks."""
        self._place = place
        block = self.block(base.name, State(mark=(mark, FULL_MARK), tag=(tag, FULL_MARK)), 0)
        return [*(item.deed for item in block.items), *([] if block.closed else [None])]

    # --- chains -------------------------------------------------------------------------------------

    def block(self, name: str, state: State, depth: int) -> Block:
        """What chain `name` does with the packets of `state`."""
        if depth > DEPTH:
            raise TooMuch(f"{self.table}: jumps deeper than {DEPTH} at chain {name}")
        straight = self._straight(name, state)
        if straight is not None:
            return Block([Item(state.product, state.literals, straight)], closed=True)
        return self._kept(name, state, depth)

    def _straight(self, name: str, state: State) -> Deed | None:
        """What a chain does that asks a packet for nothing but its mark: most chains of rules. None for others."""
        key = (name, state.mark, state.counters, state.prefixes, state.tag)
        if key in self._deeds:
            return self._deeds[key]
        self._deeds[key] = None  # while it is being found; a kernel has no loops
        chain = self.table.chains.get(name)
        found = None if chain is None else self._walk(chain, state)
        self._deeds[key] = found
        return found

    def _walk(self, chain: KernelChain, state: State) -> Deed | None:
        mark, counters, prefixes, tag = state.mark, state.counters, state.prefixes, state.tag
        for rule in chain.rules:
            value: tuple[int, int] | None = None
            for each in rule:
                if isinstance(each, nft.Count) and each.kind == "counter":
                    if each.name:
                        counters = (*counters, each.name)
                elif isinstance(each, nft.Load) and each.field == MARK:
                    value = mark
                elif isinstance(each, nft.Bitwise) and value is not None and len(each.mask) == WORD:
                    keep, turn = int.from_bytes(each.mask, "little"), int.from_bytes(each.xor, "little")
                    value = ((value[0] & keep) ^ turn, value[1] | ~keep & FULL_MARK)
                elif isinstance(each, nft.Store) and value is not None and each.field == MARK:
                    mark = (value[0] & value[1], value[1])
                elif isinstance(each, nft.Store) and value is not None and each.field == TAG and self._own:
                    tag = (value[0] & value[1], value[1])
                elif isinstance(each, nft.Queue) and each.source < 0:
                    words = (f"{each.first}+{each.total}", "bypass" if each.bypass else "")
                    return Deed("queue", counters, prefixes, mark, words, tag)
                elif isinstance(each, nft.Log):
                    prefixes = (*prefixes, each.prefix)
                elif isinstance(each, nft.Compare) and value is not None and len(each.data) == WORD:
                    wanted = int.from_bytes(each.data, "little")
                    if value[1] != FULL_MARK or each.operator not in ("==", "!="):
                        return None
                    if (value[0] == wanted) != (each.operator == "=="):
                        break
                elif isinstance(each, nft.Decide):
                    verdict = each.verdict
                    if verdict.code in _DECISIONS:
                        return Deed(_DECISIONS[verdict.code], counters, prefixes, mark, tag=tag)
                    if verdict.code != nft.GOTO:
                        return None
                    return self._straight(verdict.chain, State(EVERY, NOTHING_SET, mark, counters, prefixes, tag=tag))
                else:
                    return None
        return None

    def _kept(self, name: str, state: State, depth: int) -> Block:
        """The block of a chain, found once for all who come to it alike and at places that do not matter to it."""
        place = self._place
        key = (
            name, place.version, state.product, state.literals, state.mark, state.counters, state.prefixes, state.tag
        )  # fmt: skip
        known = self._blocks.setdefault(key, [])
        for asked, ends, block in known:
            if all(place[end] == value for end, value in zip(asked, ends, strict=True)):
                self._asked.update(asked)
                return block
        chain = self.table.chains.get(name)
        if chain is None:
            raise nft.Malformed(f"{self.table}: a jump to the chain {name}, which is not there")
        before, self._asked = self._asked, set()
        block = self._chain(chain, 0, state, depth)
        asked_of = tuple(sorted(self._asked))
        known.append((asked_of, tuple(place[end] for end in asked_of), block))
        self._asked = before | self._asked
        return block

    def _chain(self, chain: KernelChain, begin: int, state: State, depth: int) -> Block:
        way = Way(state.mark, [], [])
        closed = False
        for number in range(begin, len(chain.rules)):
            following = self._rule(chain, number, state, depth, way)
            if following is None:
                closed = not way.left
                break
            state = following
            if state.verdict is not None:  # everything that is left returns
                way.out(state.mark)
                break
            if len(way.items) > ITEMS:
                raise TooMuch(f"{self.table}: chain {chain.name} has more than {ITEMS} cases")
        else:
            way.out(state.mark)
        end = len(way.items)
        while way.places and way.places[-1] == end - 1:  # nothing lies between it and the end
            end = way.places.pop()
        del way.items[end:]
        for place in way.places:
            way.items[place].skip = end - place
        return Block(way.items, closed, way.loose)

    def _rule(self, chain: KernelChain, number: int, state: State, depth: int, way: Way) -> State | None:
        """Read one rule. The state for the next one; None when nothing gets there; with a verdict, it returns."""
        for end in self.ends(chain, number, state):
            every = end.product == state.product and end.literals == state.literals
            verdict = end.verdict
            if end.deed is None and verdict is not None and verdict.code in _DECISIONS:
                end.deed = Deed(_DECISIONS[verdict.code], end.counters, end.prefixes, end.mark, tag=end.tag)
            if end.deed is not None:
                way.items.append(Item(end.product, end.literals, end.deed))
                if every:
                    return None
            elif verdict is None or verdict.code in (nft.CONTINUE, nft.BREAK):
                state = _after(state, end, every)
            elif verdict.code in (nft.JUMP, nft.GOTO):
                inner = self.block(verdict.chain, _entering(end), depth + 1)
                way.items += inner.items
                if inner.closed:
                    if every:
                        return None
                    continue
                mark = (end.mark[0] & ~inner.loose, end.mark[1] & ~inner.loose)
                if verdict.code == nft.JUMP:
                    end.mark, end.counters, end.prefixes = mark, state.counters, state.prefixes
                    state = _after(state, end, every)
                elif every:
                    return _returning(state, mark)
                else:
                    way.leave(end.product, end.literals, mark)
            elif verdict.code == nft.RETURN:
                if every:
                    return _returning(state, end.mark)
                state = self._return(chain, number, state, end, depth, way)
            else:
                self.strange(chain.name, f"verdict {verdict.code}")
        return state

    def _return(self, chain: KernelChain, number: int, state: State, end: State, depth: int, way: Way) -> State:
        """Some packets leave the chain here; the state of those that go on."""
        extra = end.literals - state.literals
        if len(extra) != 1:
            way.leave(end.product, end.literals, end.mark)
            return state
        ((asked, holds),) = extra
        other = altered(state, end.product, state.literals | {(asked, not holds)})
        way.out(end.mark)
        if end.product == state.product:
            return other
        # Of these packets those go on for which the condition does not hold; then all of them leave.
        rest = self._chain(chain, number + 1, other, depth)
        way.items += rest.items
        way.loose |= rest.loose
        way.leave(end.product, state.literals, end.mark)
        return state


def _entering(end: State) -> State:
    """What a chain is entered with: nothing of the registers is read in another chain."""
    return State(end.product, end.literals, end.mark, end.counters, end.prefixes, tag=end.tag)


def _returning(state: State, mark: tuple[int, int]) -> State:
    found = altered(state, state.product, state.literals)
    found.mark = mark
    found.verdict = Verdict(nft.RETURN)
    return found


def _after(state: State, end: State, every: bool) -> State:
    """The state behind a rule without a verdict: what it did to all, or may have done to some."""
    found = altered(state, state.product, state.literals)
    found.registers = {}
    if every:
        found.mark, found.counters, found.prefixes = end.mark, end.counters, end.prefixes
    elif end.mark != state.mark:
        alike = ~(end.mark[0] ^ state.mark[0]) & end.mark[1] & state.mark[1]
        found.mark = (state.mark[0] & alike, alike)
    return found
