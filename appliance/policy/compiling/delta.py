"""The change between two rulesets as one nftables batch.

nftables applies a batch as one transaction: packets see the old table or the new one. What both rulesets have
is not touched, so counters go on counting, live sets keep their elements, and the batch is as long as the change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from appliance.policy.compiling.ruleset import Chain, Flowtable, Ruleset, Set

# Elements of one command: keeps lines readable in an error of nft.
BATCH = 500
_REFERENCE = re.compile(r"@([A-Za-z][A-Za-z0-9_./-]*)")


def delta(old: Ruleset | None, new: Ruleset) -> str:
    """The batch that makes `new` of `old`; "" when they are equal. None is a kernel that may hold any older table."""
    if old is None:
        return repair(new)
    if old.table != new.table:
        raise ValueError(f"tables {old.table} and {new.table} are different tables")
    return "\n".join([*_change(old, new), ""]) if old != new else ""


def repair(
    new: Ruleset,
    *,
    counters: Mapping[str, tuple[int, int]] | None = None,
    elements: Mapping[str, Iterable[str]] | None = None,
) -> str:
    """The batch that puts `new` in place of whatever the table holds now.

    `counters` (name -> packets, bytes) and `elements` of live sets (name -> keys) are carried over.
    """
    kept = counters or {}
    table = new.table
    lines = [f"table inet {table}", f"delete table inet {table}", render(new, counters=kept).rstrip("\n")]
    for name, keys in (elements or {}).items():
        if name in new.sets and new.sets[name].live:
            lines += _add_elements(table, name, dict.fromkeys(keys, ""))
    return "\n".join([*lines, ""])


def render(ruleset: Ruleset, *, counters: Mapping[str, tuple[int, int]] | None = None) -> str:
    """The whole table, laid out to be read and loadable."""
    values = counters or {}
    lines = [f"table inet {ruleset.table} {{"]
    for name in ruleset.counters:
        packets, octets = values.get(name, (0, 0))
        lines.append(f"\tcounter {name} {{ packets {packets} bytes {octets}; }}")
    for name, flowtable in ruleset.flowtables.items():
        lines += [f"\tflowtable {name} {{", *(f"\t\t{line}" for line in _flowtable(flowtable)), "\t}"]
    # Chains are declared first: maps name them before their rules stand below.
    lines += [f"\tchain {name} {{ }}" for name, chain in ruleset.chains.items() if not chain.base]
    for name, declared in ruleset.sets.items():
        lines.append(f"\t{_kind(declared)} {name} {{")
        lines += [f"\t\t{line}" for line in _declaration(declared)]
        if declared.elements and not _by_command(declared):
            listed = ",\n\t\t\t".join(_element(key, value) for key, value in declared.elements.items())
            lines.append(f"\t\telements = {{\n\t\t\t{listed}\n\t\t}}")
        lines.append("\t}")
    for name, chain in ruleset.chains.items():
        lines.append(f"\tchain {name} {{")
        if chain.base:
            lines.append(f"\t\t{chain.base}")
        lines += [f"\t\t{rule}" for rule in chain.rules]
        lines.append("\t}")
    lines.append("}")
    for name, declared in ruleset.sets.items():
        if _by_command(declared):
            lines += _add_elements(ruleset.table, name, declared.elements)
    return "\n".join([*lines, ""])


def refill(table: str, name: str, declared: Set) -> str:
    """The statements that give a set exactly its elements, whatever it holds."""
    return "\n".join([f"flush set inet {table} {name}", *_add_elements(table, name, declared.elements)])


def emptied(ruleset: Ruleset) -> str:
    """The batch that makes the flowtables anew: what they held goes past the rules again."""
    table = ruleset.table
    users = [name for name, chain in ruleset.chains.items() if any("flow add @" in rule for rule in chain.rules)]
    lines = [f"flush chain inet {table} {name}" for name in users]
    for name, flowtable in ruleset.flowtables.items():
        lines += [f"delete flowtable inet {table} {name}", _add_flowtable(table, name, flowtable)]
    lines += [f"add rule inet {table} {name} {rule}" for name in users for rule in ruleset.chains[name].rules]
    return "\n".join([*lines, ""])


def _by_command(declared: Set) -> bool:
    """nft before 1.0.7 reads a date only as such in `add element`, not in a declaration."""
    return "meta time" in declared.key and bool(declared.elements)


def _kind(declared: Set) -> str:
    return "map" if declared.data else "set"


def _declaration(declared: Set) -> Iterator[str]:
    yield f"{declared.key} : {declared.data};" if declared.data else f"{declared.key};"
    if declared.flags:
        yield f"flags {', '.join(declared.flags)};"
    yield from declared.options


def _flowtable(flowtable: Flowtable) -> Iterator[str]:
    yield f"hook ingress priority {flowtable.priority};"
    if flowtable.devices:
        yield f"devices = {{ {', '.join(flowtable.devices)} }};"
    yield "counter;"


def _add_flowtable(table: str, name: str, flowtable: Flowtable) -> str:
    return f"add flowtable inet {table} {name} {{ {' '.join(_flowtable(flowtable))} }}"


def _element(key: str, value: str) -> str:
    return f"{key} : {value}" if value else key


def _add_elements(table: str, name: str, elements: Mapping[str, str]) -> Iterator[str]:
    yield from _elements("add", table, name, [_element(key, value) for key, value in elements.items()])


def _elements(verb: str, table: str, name: str, listed: list[str]) -> Iterator[str]:
    for start in range(0, len(listed), BATCH):
        yield f"{verb} element inet {table} {name} {{ {', '.join(listed[start : start + BATCH])} }}"


def _change(old: Ruleset, new: Ruleset) -> Iterator[str]:
    """Declare, fill, refill chains, then take away what nothing refers to any more."""
    table = new.table
    # A set whose declaration changed, or a chain whose hook did, is another one of the same name.
    remade_sets = {
        name
        for name, declared in new.sets.items()
        if name in old.sets
        and (not _declared_alike(old.sets[name], declared) or _better_anew(old.sets[name], declared))
    }
    remade_chains = {
        name for name, chain in new.chains.items() if name in old.chains and old.chains[name].base != chain.base
    }
    gone_sets = [name for name in old.sets if name not in new.sets or name in remade_sets]
    gone_chains = [name for name in old.chains if name not in new.chains or name in remade_chains]
    gone_flowtables = [name for name, flowtable in old.flowtables.items() if new.flowtables.get(name) != flowtable]
    changed = [
        name
        for name, chain in new.chains.items()
        if name in old.chains
        and name not in remade_chains
        and (chain.rules != old.chains[name].rules or _names_any(chain.rules, remade_sets))
    ]
    # First nothing refers any more to what goes.
    for name in (*gone_chains, *changed):
        if old.chains[name].rules:
            yield f"flush chain inet {table} {name}"
    for name, declared in old.sets.items():
        if name in gone_sets:
            if declared.data and declared.elements and not _concatenated(declared):
                yield f"flush map inet {table} {name}"
            continue
        wanted = new.sets[name]
        if declared.live or declared.elements == wanted.elements:
            continue
        removed = [key for key, value in declared.elements.items() if wanted.elements.get(key) != value]
        yield from _elements("delete", table, name, removed)
    for name in gone_sets:
        yield f"delete {_kind(old.sets[name])} inet {table} {name}"
    for name in gone_chains:
        yield f"delete chain inet {table} {name}"
    for name in gone_flowtables:
        yield f"delete flowtable inet {table} {name}"
    wanted_counters = set(new.counters)
    for name in old.counters:
        if name not in wanted_counters:
            yield f"delete counter inet {table} {name}"
    # Then what is new, and at last the rules that name it.
    had_counters = set(old.counters)
    for name in new.counters:
        if name not in had_counters:
            yield f"add counter inet {table} {name}"
    for name, flowtable in new.flowtables.items():
        if old.flowtables.get(name) != flowtable:
            yield _add_flowtable(table, name, flowtable)
    for name, chain in new.chains.items():
        if name not in old.chains or name in remade_chains:
            yield f"add chain inet {table} {name}{_base(chain)}"
    for name, declared in new.sets.items():
        if name not in old.sets or name in remade_sets:
            yield f"add {_kind(declared)} inet {table} {name} {{ {' '.join(_declaration(declared))} }}"
            yield from _add_elements(table, name, declared.elements)
        elif not declared.live and declared.elements != old.sets[name].elements:
            before = old.sets[name].elements
            added = {key: value for key, value in declared.elements.items() if before.get(key) != value}
            yield from _add_elements(table, name, added)
    refilled = set(changed)
    for name, chain in new.chains.items():
        if name not in old.chains or name in remade_chains or name in refilled:
            for rule in chain.rules:
                yield f"add rule inet {table} {name} {rule}"


def _base(chain: Chain) -> str:
    return f" {{ {chain.base} }}" if chain.base else ""


def _names_any(rules: tuple[str, ...], sets: set[str]) -> bool:
    return bool(sets) and any(name in sets for rule in rules for name in _REFERENCE.findall(rule))


def _concatenated(declared: Set) -> bool:
    """Whether the kernel keeps it as intervals of several fields (pipapo)."""
    return "interval" in declared.flags and " . " in declared.key


def _better_anew(old: Set, new: Set) -> bool:
    """Taking one element out of such a set costs the kernel a walk over all of them (some 5 µs each), putting one in
    some 30 µs: ten thousand taken out one by one are minutes, a set made anew is a second."""
    if not _concatenated(new) or new.live or old.elements == new.elements:
        return False
    removed = sum(1 for key, value in old.elements.items() if new.elements.get(key) != value)
    return removed * len(old.elements) > 6 * len(new.elements) + 2_000


def _declared_alike(one: Set, other: Set) -> bool:
    return (one.key, one.data, one.flags, one.options, one.live) == (
        other.key,
        other.data,
        other.flags,
        other.options,
        other.live,
    )
