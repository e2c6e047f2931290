"""What follows from a whole rule: its direction, where it is looked for, and whether its parts go together."""

from __future__ import annotations

from functools import lru_cache

from ctypes_ext.ruleset import BUFFERS, EITHER, TO_CLIENT, TO_SERVER
from dataplane.rules import codes, contents, header
from dataplane.rules.draft import Block, Condition, Draft
from dataplane.rules.problem import Refused

_IP_ONLY_OPS = frozenset({codes.XBITS, codes.HOSTBITS, codes.TAG, codes.THRESHOLD})
_PROTOCOL_ONLY_OPS = _IP_ONLY_OPS | {codes.APP_PROTOCOL}
_NAMES = {word.number: name for name, word in BUFFERS.items()}
_PACKET_HEADERS = frozenset(
    BUFFERS[name].number
    for name in ("ipv4.hdr", "ipv6.hdr", "tcp.hdr", "udp.hdr", "icmpv4.hdr", "icmpv6.hdr")
    if name in BUFFERS
)
_FILES = frozenset(word.number for name, word in BUFFERS.items() if name.startswith("file"))
_LOWER = frozenset({"ja3.hash", "ja3s.hash", "ssh.hassh", "ssh.hassh.server", "tls.cert_fingerprint"})
_DIRECTIONS = codes.TO_SERVER | codes.TO_CLIENT


def settle(draft: Draft) -> None:
    """Check the rule and derive its flags. Raises `Refused`."""
    draft.leave()
    if not draft.sid:
        raise Refused("the rule has no sid: add sid:NUMBER;")
    if draft.payload is not None and not draft.payload.conditions:
        draft.blocks.remove(draft.payload)
        draft.payload = None
    for block in draft.blocks:
        _check(block)
    _direct(draft)
    _transports(draft)
    _payload(draft)
    _kind(draft)
    if draft.alerts:
        draft.flags = draft.flags & ~codes.NOALERT | codes.TELL


def _check(block: Block) -> None:
    """Contents that could never be found."""
    high = None
    for condition in block.conditions:
        if condition.op == codes.CONTENT:
            contents.settle_ends(condition)
            _spelled(block, condition)
        elif condition.op == codes.BSIZE:
            high = _most(condition)
    if high is None:
        return
    for condition in block.conditions:
        if condition.op == codes.CONTENT and not condition.flags & codes.NEGATED and len(condition.text) > high:
            raise Refused(f"at most {high} bytes, but a content has {len(condition.text)}: it never matches", "bsize")


def _spelled(block: Block, condition: Condition) -> None:
    """Buffers that are written in one way only: contents are brought to it, or could never be found."""
    name = _NAMES[block.buffer]
    if name in _LOWER:
        condition.text = condition.text.lower()
    elif name == "tls.cert_serial":
        condition.text = condition.text.upper()
    elif name == "http.host" and not condition.flags & codes.NOCASE and condition.text != condition.text.lower():
        raise Refused("the host is looked at in lower case: write the content so, it never matches otherwise", name)
    elif name == "http.method" and condition.text.endswith(b" "):
        raise Refused("a method has no space behind it: the content never matches", name)


def _most(condition: Condition) -> int | None:
    """The largest size that a comparison lets through; None: any."""
    if condition.compare in (codes.EQ, codes.LE):
        return condition.a
    if condition.compare == codes.LT:
        return condition.a - 1
    if condition.compare == codes.BETWEEN:
        return condition.b - 1
    return None


def _fits(draft: Draft, payload: Block) -> None:
    """Contents within the size that dsize asks for."""
    sizes = [condition for condition in draft.conditions if condition.op == codes.DSIZE]
    high = _most(sizes[0]) if sizes else None
    if high is None:
        return
    for condition in payload.conditions:
        if condition.op == codes.CONTENT:
            offset = 0 if condition.flags & codes.A_VARIABLE else condition.a
            if offset + len(condition.text) > high:
                raise Refused(f"at most {high} bytes, but a content reaches beyond them: it never matches", "dsize")


@lru_cache(maxsize=1024)
def _way(buffer: int, way: int, apps: int) -> int:
    """The directions in which a buffer is found in flows of these protocols."""
    if buffer in _FILES and apps and apps == header.apps_of("smtp"):
        return TO_SERVER
    return way


def _direct(draft: Draft) -> None:
    """The direction that buffers and numbers imply."""
    ways = [_way(block.buffer, block.word.way, draft.apps) for block in draft.blocks]
    if draft.way:
        ways.append(draft.way)
    server = any(way == TO_SERVER for way in ways)
    client = any(way == TO_CLIENT for way in ways)
    if server and client:
        named = {way: _NAMES[block.buffer] for block in draft.blocks if (way := block.word.way) != EITHER}
        words = " and ".join(named.values())
        raise Refused(f"the rule asks for what clients send and what servers send at once: {words}")
    if server or client:
        wanted = codes.TO_SERVER if server else codes.TO_CLIENT
        said = draft.flags & _DIRECTIONS
        if said and said != wanted:
            only = "server" if server else "client"
            raise Refused(f"{_first(draft, ways)} is only sent to the {only}; flow says the other direction")
        draft.flags |= wanted


def _first(draft: Draft, ways: list[int]) -> str:
    """The buffer that gives the rule its direction."""
    for block, way in zip(draft.blocks, ways, strict=False):
        if way != EITHER:
            return _NAMES[block.buffer]
    return "a keyword"


def _transports(draft: Draft) -> None:
    """A rule for ip whose keywords imply an application protocol is for what carries that protocol."""
    if draft.apps and draft.protocols_any:
        draft.protocols = header.transports_of(draft.apps)
        draft.protocols_any = False


def _payload(draft: Draft) -> None:
    flags = draft.flags
    headers = any(block.buffer in _PACKET_HEADERS for block in draft.blocks)
    if headers:
        flags |= codes.PACKET
    state = draft.state or any(not block.word.flags & codes.OF_PACKET for block in draft.blocks)
    if state:
        flags |= codes.STATE | codes.NEEDS_FLOW
    packet = flags & (codes.PACKET | codes.NO_STREAM)
    if packet and flags & codes.ONLY_STREAM:
        raise Refused("asks about single packets, but tcp-stream or flow:only_stream asks for the stream")
    if packet and state:
        raise Refused("mixes keywords of single packets (dsize, flags, ttl …) with buffers of the application layer")
    payload = draft.payload
    if payload is not None:
        _fits(draft, payload)
        if packet:
            flags |= codes.PAYLOAD_PACKET
        elif flags & codes.ONLY_STREAM:
            flags |= codes.PAYLOAD_STREAM
        elif draft.protocols >> header.TCP & 1:
            flags |= codes.PAYLOAD_STREAM
            if any(
                condition.op == codes.CONTENT and condition.flags & (codes.DEPTH | codes.OFFSET)
                for condition in payload.conditions
            ) or any(condition.op == codes.STREAM_SIZE for condition in draft.conditions):
                flags |= codes.PAYLOAD_PACKET
        else:
            flags |= codes.PAYLOAD_PACKET
    if draft.apps:
        flags |= codes.NEEDS_FLOW
    draft.flags = flags


def _kind(draft: Draft) -> None:
    """Rules that are asked once per flow and direction: nothing but addresses, or the protocol alone."""
    if draft.apps or draft.blocks or draft.state:
        return
    flags = draft.flags
    conditions = draft.conditions + draft.after
    settles = all(
        condition.op in _PROTOCOL_ONLY_OPS or (condition.op == codes.FLOWBITS and condition.base == 2)
        for condition in conditions
    )
    if not settles or flags & codes.PACKET_HEADER:
        return
    if any(condition.op == codes.APP_PROTOCOL for condition in conditions):
        if not flags & (
            codes.ESTABLISHED | codes.NOT_ESTABLISHED | codes.STATELESS | codes.ONLY_STREAM | codes.NO_STREAM
        ):
            draft.flags |= codes.PROTOCOL_ONLY
    elif not draft.flow_seen and not flags & (codes.PACKET | codes.ONLY_STREAM | codes.NO_STREAM):
        draft.flags |= codes.IP_ONLY
