"""Which queues of the kernel packets wait in, and how lanes share them. Ruleset, holder and workers agree on it here.

The numbers are the same on every machine, however many processors it has: a compiled ruleset does not depend on them.
"""

from __future__ import annotations

import os
from typing import NamedTuple

CLOSED = range(4)  # what is not judged is dropped
OPEN = range(4, 8)  # what is not judged goes on
_LANES_MAX = 4


class Lane(NamedTuple):
    """The queues of one thread that holds, and one that judges."""

    closed: tuple[int, ...]
    open: tuple[int, ...]


def lanes(processors: int | None = None) -> tuple[Lane, ...]:
    """As many as there are processors, at most four. Both directions of a conversation come by one queue."""
    count = max(1, min(processors or os.cpu_count() or 1, _LANES_MAX))
    return tuple(Lane(tuple(CLOSED[number::count]), tuple(OPEN[number::count])) for number in range(count))
