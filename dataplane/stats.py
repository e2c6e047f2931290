"""What a worker counted, as an event: EVE's type "stats". A fixed few dozen numbers, whatever the traffic."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.events.record import Event, format_time
from ctypes_ext.engine import Counters


def total(counters: Sequence[Counters]) -> Counters:
    """Of several workers."""
    return Counters(**{field: sum(getattr(c, field) for c in counters) for field in Counters.__struct_fields__})


def stats(counters: Counters, memory: int, *, seconds: float, uptime: float, drops: int = 0, host: str = "") -> Event:
    """`memory` is what flows may hold in all; `drops` are packets that never reached the worker."""
    return Event(
        timestamp=format_time(seconds),
        event_type="stats",
        host=host,
        stats={
            "uptime": int(uptime),
            "capture": {"kernel_packets": counters.packets + drops, "kernel_drops": drops},
            "decoder": {"pkts": counters.packets, "bytes": counters.bytes, "invalid": counters.malformed},
            "flow": {
                "total": counters.flows_created,
                "active": counters.flows_active,
                "memcap": counters.flows_refused + counters.flows_evicted,
                "memuse": counters.memory_used,
            },
            "memcap": {
                "pressure": 100 * counters.memory_used // memory,
                "pressure_max": 100 * counters.memory_peak // memory,
            },
            "detect": {"alert": counters.alerts},
        },
    )
