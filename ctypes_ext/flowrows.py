"""The rows of a block of the flow log, one by one, for those who ask what single rules matched."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from ctypes_ext._replay import ffi, lib
from ctypes_ext.replay import BadColumns, Heads

ACTIONS = ("allow", "deny", "reject")


class FlowRow(NamedTuple):
    """Alike connections of one hour. Addresses as numbers; `destination` and `port` after destination NAT.

    Of ICMP `port` is type << 8 | code. `minute` is when the first of them began, since the epoch.
    """

    rule: str
    from_zone: str
    to_zone: str
    action: str
    protocol: int
    port: int
    version: int
    source: int
    destination: int
    flows: int
    minute: int


def names_any(heads: Heads, rules: Collection[str]) -> bool:
    """Whether a block has rows of one of the rules: the rest of it need not be opened."""
    return any(heads.names[heads.c.run[i].rule] in rules for i in range(heads.c.runs))


def rows(heads: Heads, body: bytes, addresses: bytes, rules: Collection[str]) -> Iterator[FlowRow]:
    """The rows of these rules. Raises `BadColumns` for bytes that are no columns."""
    out = ffi.new("reef_flow_body **")
    status = lib.reef_flow_body_decode(heads.c, body, len(body), addresses, len(addresses), out)
    if status != lib.REEF_OK:
        raise BadColumns(f"columns: {ffi.string(lib.reef_status_text(status)).decode()}")
    decoded = ffi.gc(out[0], lib.reef_flow_body_free)
    try:
        yield from _rows(heads, decoded, rules)
    finally:
        ffi.release(decoded)


def _rows(heads: Heads, decoded: object, rules: Collection[str]) -> Iterator[FlowRow]:
    c = ffi.cast("reef_flow_body *", decoded)
    known: dict[int, tuple[int, int]] = {}

    def address(number: int) -> tuple[int, int]:
        found = known.get(number)
        if found is None:
            version, size = (4, 4) if number < c.addresses4 else (6, 16)
            found = known[number] = (version, int.from_bytes(ffi.buffer(c.address[number], size), "big"))
        return found

    first = 0
    for i in range(heads.c.runs):
        run = heads.c.run[i]
        if heads.names[run.rule] in rules:
            said = (
                heads.names[run.rule],
                heads.names[getattr(run, "from")],
                heads.names[run.to],
                ACTIONS[run.action],
            )
            for row in range(first, first + run.rows):
                version, source = address(c.source[row])
                destination = address(c.destination[row])[1]
                yield FlowRow(
                    *said, run.protocol, run.port, version, source, destination, c.count[row], c.minute[row]
                )
        first += run.rows
