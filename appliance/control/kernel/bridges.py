"""The kernel's side of bridges: what becomes of frames between two lines while nobody inspects them.

Who inspects reads the frames of both lines before any table sees them (`dataplane/bridging.py`), and sends on what
passes. Behind that stands the table `netdev reef_bridge`: nothing of a bridge ever reaches the kernel's own stack. Of
a bridge that is fail-closed it drops everything, always; of one that is fail-open it sends everything to the other
line. While inspection carries such a bridge, a table of verdictd stands before it and drops (`dataplane/carried.py`):
that one belongs to the netlink socket of a process, so it is gone, and the kernel carries the frames, when that
process dies or gives up whoever inspects.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from appliance.control.kernel.netlink import NetlinkError, attribute_map, string
from appliance.control.kernel.nfnetlink import NFPROTO_NETDEV, NFTABLES, Netfilter, body
from appliance.control.kernel.readback import MSG_GETTABLE
from appliance.control.kernel.rtnetlink import Link, Routing
from appliance.control.messages.gateway import BridgeState
from appliance.policy.compiling.bundle import BRIDGE_TABLE, BridgeInfo, carried_table
from ctypes_ext.nftables import Nftables, NftablesError

Log = Callable[[str], None]
_NAME, _USE = 1, 3
_FRESH = f"add table netdev {BRIDGE_TABLE}\ndelete table netdev {BRIDGE_TABLE}\n"


def commands(bridges: Iterable[BridgeInfo]) -> str:
    """The table as nft commands, in place of whatever is there; with no bridges, none. Pure."""
    lines = []
    for bridge in bridges:
        for side, (here, there) in enumerate((bridge.between, bridge.between[::-1])):
            chain = f"netdev {BRIDGE_TABLE} {bridge.name}_{side}"
            hook = f'type filter hook ingress device "{here}" priority 0; policy drop;'
            lines.append(f"add chain {chain} {{ {hook} }}")
            if bridge.open:
                lines.append(f'add rule {chain} counter fwd to "{there}"')
    return _FRESH + (f"add table netdev {BRIDGE_TABLE}\n" + "\n".join([*lines, ""]) if lines else "")


class Bridges:
    """The bridges of the running generation: their table, and their lines as they must be."""

    def __init__(self, netfilter: Netfilter, routing: Routing, log: Log) -> None:
        self._netfilter = netfilter
        self._routing = routing
        self._log = log
        self._bridges: tuple[BridgeInfo, ...] = ()
        # As the table has them, with their interfaces' numbers.
        self._held: tuple[tuple[BridgeInfo, int, int], ...] = ()
        self._said = ""

    def check(self, bridges: Sequence[BridgeInfo]) -> None:
        """Have the kernel say whether it takes them. Raises `NftablesError`."""
        links = self._routing.links()
        if present := [bridge for bridge in bridges if links.keys() >= set(bridge.between)]:
            Nftables().run(commands(present), dry_run=True)

    def follow(self, bridges: Sequence[BridgeInfo]) -> None:
        """These are the bridges from now on; lines that are of none any more are as they were."""
        gone = {name for bridge in self._bridges for name in bridge.between}
        self._bridges = tuple(bridges)
        gone -= {name for bridge in bridges for name in bridge.between}
        links = self._routing.links()
        for link in (links[name] for name in gone if name in links):
            self._routing.listen(link.index, promiscuous=False)
        self._settle()

    def settle(self) -> None:
        """Put right what is not as it must be: a line came or was made anew, or somebody wrote the table."""
        if self._bridges:
            self._settle()

    def _settle(self) -> None:
        links = self._routing.links()
        present = [bridge for bridge in self._bridges if links.keys() >= set(bridge.between)]
        wanted = tuple((bridge, links[bridge.between[0]].index, links[bridge.between[1]].index) for bridge in present)
        try:
            self._listen(present, links)
            if wanted != self._held or self._chains() != 2 * len(present):
                Nftables().run(commands(present))
                self._held = wanted
            self._said = ""
        except (NetlinkError, NftablesError) as error:
            self._held = ()
            if str(error) != self._said:
                self._said = str(error)
                self._log(f"the bridges are not as they must be: {error}")

    def states(self) -> tuple[BridgeState, ...]:
        """How each is now."""
        links = self._routing.links() if self._bridges else {}
        return tuple(self._state(bridge, links) for bridge in self._bridges)

    def words(self) -> list[str]:
        """What a person should know of them, for `reef doctor`."""
        found = [f"the bridges are not as they must be: {self._said}"] if self._said else []
        return found + [f"bridge {state.name}: {state.words}" for state in self.states() if state.words]

    def _state(self, bridge: BridgeInfo, links: dict[str, Link]) -> BridgeState:
        missing = [name for name in bridge.between if name not in links]
        state: Literal["inspected", "passes", "closed", "no interface"]
        if missing:
            state, words = "no interface", f"no interface {', '.join(missing)}; nothing passes"
        elif self._chains(carried_table(bridge.name)) == len(bridge.between):
            state, words = "inspected", ""
        elif bridge.open:
            state, words = "passes", "inspection is away, every frame passes uninspected (fail-open)"
        else:
            state, words = "closed", "inspection is away, nothing passes (fail-closed)"
        unavailable: Literal["fail-open", "fail-closed"] = "fail-open" if bridge.open else "fail-closed"
        return BridgeState(bridge.name, bridge.between, bridge.inspect, unavailable, state, words)

    def _listen(self, present: Iterable[BridgeInfo], links: dict[str, Link]) -> None:
        """Up, and taking frames for whomever: a card passes on only what is for itself, else."""
        for link in (links[name] for bridge in present for name in bridge.between):
            if not (link.up and link.promiscuous):
                self._routing.listen(link.index, promiscuous=True)

    def _chains(self, table: str = BRIDGE_TABLE) -> int:
        """How many chains a table has; 0 without it."""
        try:
            _, data = self._netfilter.get(NFTABLES | MSG_GETTABLE, body(string(_NAME, table), NFPROTO_NETDEV))
        except NetlinkError as error:
            if error.errno != errno.ENOENT:
                raise
            return 0
        return int.from_bytes(attribute_map(data).get(_USE, b""), "big")
