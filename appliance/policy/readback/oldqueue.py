"""The table that queues with the old NFQUEUE target: whether it does what inspection needs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.policy.compiling.bundle import FLAG_QUEUE_CLOSED, FLAG_QUEUE_OPEN, QUEUES_CLOSED, QUEUES_OPEN
from appliance.policy.readback.expressions import Bitwise, Compare, Expression, Load, Target
from appliance.policy.readback.kernel import DORMANT, KernelTable

TABLE = "reef_inspect"
KEY = ("inet", TABLE)
PRIORITY = 50  # behind the filter, before the chain that reads what was judged
TARGET, REVISION, BYPASS = "NFQUEUE", 3, 1
HOOKS = ("input", "forward", "output")
_ACCEPT = 1


def wrong(table: KernelTable) -> Iterator[str]:
    """What of the table is not as it must be, in words."""
    if table.flags & DORMANT:
        yield "it is dormant"
    hooks = {chain.hook.name: chain for chain in table.chains.values() if chain.hook is not None}
    if len(table.chains) != len(HOOKS) or hooks.keys() != set(HOOKS):
        yield "its chains are others"
        return
    for name, chain in hooks.items():
        hook = chain.hook
        if hook is None or (hook.kind, hook.priority, hook.policy) != ("filter", PRIORITY, _ACCEPT):
            yield f"its chain {chain.name} stands elsewhere"
        if chain.rules != _rules():
            yield f"what it does at hook {name} is something else"


def _rules() -> list[list[Expression]]:
    return [
        [
            Load(1, ("meta", "mark")),
            Bitwise(1, 1, flag.to_bytes(4, "little"), bytes(4)),
            Compare(1, "!=", bytes(4)),
            Target(TARGET, REVISION, first, last - first + 1, flags),
        ]
        for flag, (first, last), flags in (
            (FLAG_QUEUE_CLOSED, QUEUES_CLOSED, 0),
            (FLAG_QUEUE_OPEN, QUEUES_OPEN, BYPASS),
        )
    ]
