"""The keys of the flow log's days, as policyd has them from keyd: each is asked for once in a reading of the log."""

from __future__ import annotations

from collections.abc import Callable

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages.impact import FlowKey, FlowKeyIs
from appliance.control.processes import Instance
from appliance.events import flowfile
from appliance.events.flowfile import Block
from crypto.flowkeys import unseal

# The key of a day (days since the epoch); None where it cannot be had.
Ask = Callable[[int], bytes | None]


class DayKeys:
    """What opens the blocks of one reading."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[int, bytes | None] = {}

    def addresses(self, block: Block) -> bytes | None:
        """The addresses of a block; None without its day's key. Raises `FlowFileError` and `SealBroken`."""
        if block.day not in self._known:
            self._known[block.day] = self._ask(block.day)
        key = self._known[block.day]
        if key is None:
            return None
        return flowfile.addresses_of(block, lambda _, closed, beside: unseal(key, closed, beside))


def ask_keyd(instance: Instance) -> Ask:
    """Keys as keyd of this instance has them."""

    def key(day: int) -> bytes | None:
        try:
            return call(instance.socket("keyd"), FlowKey(day), FlowKeyIs, timeout=10).key
        except (DaemonAway, ProtocolError, RefusedError):
            return None

    return key
