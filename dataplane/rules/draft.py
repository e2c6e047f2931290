"""A rule while it is read: its blocks of conditions and what keywords have said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ctypes_ext.ruleset import BUFFERS, Word
from dataplane.rules import codes
from dataplane.rules.header import apps_of
from dataplane.rules.problem import Refused


class Condition:
    """A row of the table of conditions (struct reef_condition)."""

    __slots__ = ("a", "b", "base", "c", "compare", "d", "e", "flags", "op", "text")

    def __init__(
        self,
        op: int,
        a: int = 0,
        b: int = 0,
        c: int = 0,
        d: int = 0,
        e: int = 0,
        *,
        compare: int = 0,
        base: int = 0,
        flags: int = 0,
        text: bytes = b"",
    ) -> None:
        self.op = op
        self.compare = compare
        self.base = base
        self.flags = flags
        self.a = a
        self.b = b
        self.c = c
        self.d = d
        self.e = e
        self.text = text


class Transform(NamedTuple):
    """What is done to a buffer before contents are looked for in it."""

    kind: int
    a: int = 0
    b: int = 0
    argument: bytes = b""


class Block:
    """The conditions of one buffer."""

    __slots__ = ("after", "buffer", "conditions", "transforms", "word")

    def __init__(self, buffer: int, word: Word, transforms: tuple[Transform, ...] = ()) -> None:
        self.buffer = buffer
        self.word = word
        self.transforms = transforms
        self.conditions: list[Condition] = []
        self.after = False


class Support:
    """What rules of a set share: names that are numbered, and lists that lie beside the rule files.

    `read` gives the bytes of a file that a rule names, or None; the rule's own file is its first argument.
    """

    def __init__(self, read: Callable[[str, str], bytes | None]) -> None:
        self.read = read
        self.names: dict[tuple[int, str], int] = {}
        self.datasets: dict[str, Dataset] = {}
        self.hash_lists: dict[tuple[str, str], HashList] = {}

    def name(self, kind: int, name: str) -> int:
        return self.names.setdefault((kind, name), len(self.names))


class Dataset(NamedTuple):
    """Values of a dataset or a list of reputations."""

    number: int
    type: int
    reputation: bool
    values: tuple[tuple[bytes, int], ...]
    limit: int


class HashList(NamedTuple):
    """Digests, sorted."""

    number: int
    width: int
    digests: bytes

    @property
    def rows(self) -> int:
        return len(self.digests) // self.width


_PACKET_WORD = BUFFERS["payload"]


class Draft:
    """The rule being read. Keywords add to it; `settle` derives the rest."""

    __slots__ = (
        "active", "after", "alerts", "apps", "blocks", "category", "class_priority", "conditions",
        "detection_filter", "entered", "extracted", "fast_pattern", "file", "flags", "flow_seen", "gid", "last",
        "message", "metadata", "payload", "pending", "previous", "priority", "priority_given", "protocols",
        "protocols_any", "references", "rev", "sid", "state", "support", "threshold", "variables", "way",
    )  # fmt: skip

    def __init__(self, support: Support, file: str) -> None:
        self.support = support
        self.file = file
        self.sid = 0
        self.gid = 1
        self.rev = 0
        self.flags = 0
        self.message = ""
        self.category = ""
        self.priority = 3
        self.priority_given = False
        self.class_priority = 0
        self.metadata: dict[str, list[str]] = {}
        self.references: list[str] = []
        self.protocols = 0  # bitmap of IP protocols
        self.protocols_any = False
        self.apps = 0  # bitmap of application protocols, 0: any
        self.way = 0  # directions that keywords without a buffer imply
        self.blocks: list[Block] = []
        self.conditions: list[Condition] = []  # of packet, flow and transaction
        self.after: list[Condition] = []  # what is done on a match
        self.state = False  # asks about a transaction
        self.active: Block | None = None  # the sticky buffer
        self.entered = False  # and nothing was looked for in it since it was named
        self.payload: Block | None = None
        self.pending: list[Transform] = []
        self.previous: tuple[Block, Condition] | None = None  # the last content
        self.last: Block | None = None  # where the last match of bytes is
        self.fast_pattern: Condition | None = None
        self.variables: dict[str, int] = {}
        self.extracted = False  # base64_decode was there
        self.flow_seen = False
        self.threshold = False
        self.detection_filter = False
        self.alerts = False

    def require(self, name: str) -> None:
        """The rule is for this application protocol. Raises `Refused` where it says another one."""
        self.require_any(apps_of(name), name)

    def require_any(self, apps: int, name: str) -> None:
        if not apps:
            raise Refused(f"the protocol {name} is not known to this engine", unsupported=True)
        if self.apps:
            apps &= self.apps
            if not apps:
                raise Refused(f"is of the protocol {name}, but the rule is for another one")
        self.apps = apps

    def towards(self, way: int) -> None:
        """A keyword is only found in this direction. Raises `Refused`."""
        if self.way and self.way != way:
            raise Refused("the rule asks for what clients send and what servers send at once")
        self.way = way

    def block(self) -> Block:
        """The block that a content, an expression or a test of bytes goes to."""
        active = self.active
        if active is None:
            payload = self.payload
            if payload is None:
                payload = self.payload = Block(codes.PAYLOAD, _PACKET_WORD)
                self.blocks.append(payload)
            return payload
        if self.pending:
            active = self._transformed(active)
        self.entered = False
        return active

    def add(self, condition: Condition, *, follows: bool = False) -> Block:
        """A match of bytes. One that `follows` belongs where the match before it is, also without a sticky buffer."""
        last = self.last
        block = last if follows and self.active is None and last is not None else self.block()
        block.conditions.append(condition)
        self.last = block
        return block

    def _transformed(self, active: Block) -> Block:
        """The block of the active buffer behind the transforms that were named."""
        transforms = tuple(self.pending)
        self.pending = []
        if not active.conditions and active in self.blocks:
            self.blocks.remove(active)
        found = self._place(active.buffer, active.word, transforms)
        self.active = found
        return found

    def _place(self, buffer: int, word: Word, transforms: tuple[Transform, ...]) -> Block:
        """A block that is there already, or a new one: buffers of several instances get one each time."""
        if not word.flags & codes.MULTI or buffer in _MERGED:
            for block in self.blocks:
                if block.buffer == buffer and block.transforms == transforms:
                    return block
        block = Block(buffer, word, transforms)
        self.blocks.append(block)
        return block

    def enter(self, word: Word) -> None:
        """A sticky buffer."""
        self.leave()
        if self.blocks and self.blocks[-1].buffer == codes.BASE64_DATA:
            raise Refused("no other buffer can follow base64_data")
        self.active = self._place(word.number, word, ())
        self.entered = True

    def leave(self) -> None:
        """The sticky buffer ends: pkt_data, another one, or the end of the rule."""
        active = self.active
        if active is not None:
            if self.pending:
                raise Refused("no match follows the transform: look for something in it, or leave it out")
            if self.entered:
                name = next(name for name, word in BUFFERS.items() if word.number == active.buffer)
                raise Refused("nothing is looked for in this buffer: a content or another match must follow it", name)
        self.active = None

    def of(self, word: Word) -> Block:
        """The block of a buffer that a keyword asks about without entering it."""
        return self._place(word.number, word, ())

    def packet(self, condition: Condition) -> None:
        """A condition that only a packet of its own can answer."""
        self.conditions.append(condition)
        self.flags |= codes.PACKET

    def variable(self, name: str) -> int:
        """The number of a byte variable that was set before. Raises `Refused`."""
        number = self.variables.get(name)
        if number is None:
            raise Refused(f"{name!r} is neither a number nor a variable that byte_extract or byte_math set before")
        return number

    def set_variable(self, name: str) -> int:
        return self.variables.setdefault(name, len(self.variables))

    def number(self, text: str, low: int, high: int, what: str) -> tuple[int, bool]:
        """A number in bounds, or the number of a byte variable and True."""
        try:
            value = int(text)
        except ValueError:
            return self.variable(text), True
        if not low <= value <= high:
            raise Refused(f"{what} must be {low} to {high}, not {value}")
        return value, False


# Buffers that have several instances on the wire but one place in a rule.
_MERGED: frozenset[int] = frozenset(
    BUFFERS[name].number for name in ("filemd5", "filesha1", "filesha256") if name in BUFFERS
)
