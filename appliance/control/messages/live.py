"""The messages about what lives between generations: connections, and sets that are filled meanwhile."""

from __future__ import annotations

from typing import Literal

import msgspec


class Recall(msgspec.Struct, frozen=True, tag=True):
    """Give inspection again what it handed back, because it looks for something else now."""


class Recalled(msgspec.Struct, frozen=True, tag=True):
    """`flows` are inspected again, found and marked within `seconds`."""

    flows: int
    seconds: float


class Flows(msgspec.Struct, frozen=True, tag=True):
    """The connections that the kernel knows; `rule`, `host` (an address or a network), `port`, `id` and `hosts` (any
    of these addresses, networks and ranges) narrow them where given. In the kernel's order, or those that carried or
    began most first; without the first `skip`."""

    limit: int = 1000
    rule: str = ""
    host: str = ""
    id: int = 0
    port: int = 0
    order: Literal["", "biggest", "newest"] = ""
    skip: int = 0
    hosts: tuple[str, ...] = ()


class Flow(msgspec.Struct, frozen=True):
    """One connection. `source`/`destination` as the first packet had them; `reply_*` as answers have them (NAT).

    `id` is the kernel's number of it, the events' `flow_id`.
    `rule` is the id of the rule that decided it, "" while none did; `age` in seconds, -1 where the kernel keeps no
    time stamps; `timeout` seconds until it is forgotten. `inspection` is "" where its rule asks for none, "judged"
    while its packets wait for a verdict, "handed back" once the kernel forwards it by itself.
    """

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    reply_source: str
    reply_source_port: int
    reply_destination: str
    reply_destination_port: int
    state: str
    rule: str
    packets: tuple[int, int]  # original, reply
    bytes: tuple[int, int]
    age: int
    timeout: int
    id: int = 0
    inspection: Literal["", "judged", "handed back"] = ""


class FlowList(msgspec.Struct, frozen=True, tag=True):
    generation: int
    total: int
    flows: tuple[Flow, ...]


class Sets(msgspec.Struct, frozen=True, tag=True):
    """The live sets of the running generation; `name` gives the elements of one, "" only their sizes."""

    name: str = ""
    limit: int = 1000


class LiveSet(msgspec.Struct, frozen=True):
    """`kind` dns, person, group, ban or pinhole; `names` what fills it; `error` why the last filling failed."""

    name: str
    kind: str
    names: tuple[str, ...]
    size: int
    elements: tuple[str, ...] = ()
    filled_at: float = 0.0
    error: str = ""


class SetList(msgspec.Struct, frozen=True, tag=True):
    sets: tuple[LiveSet, ...]


class SetUpdate(msgspec.Struct, frozen=True, tag=True):
    """Add to and remove from a live set. Elements are addresses or CIDRs in text."""

    name: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: bool = False  # the set shall hold exactly `add`
    error: str = ""  # nothing to change: why the set could not be filled anew


class SetUpdated(msgspec.Struct, frozen=True, tag=True):
    name: str
    added: int
    removed: int
