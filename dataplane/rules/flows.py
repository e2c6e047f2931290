"""Keywords that ask about a flow and what is remembered of it, of hosts, and of how often a rule matched."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from ctypes_ext.ruleset import OPS
from dataplane.rules import codes
from dataplane.rules.draft import Condition, Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import number_test, pieces, unquoted, whole

_FLOW = {
    "established": codes.ESTABLISHED, "not_established": codes.NOT_ESTABLISHED, "stateless": codes.STATELESS,
    "to_server": codes.TO_SERVER, "from_client": codes.TO_SERVER, "to_client": codes.TO_CLIENT,
    "from_server": codes.TO_CLIENT, "only_stream": codes.ONLY_STREAM, "no_stream": codes.NO_STREAM,
    "no_frag": codes.NO_FRAG, "only_frag": codes.ONLY_FRAG,
    # As they are written in the rules of others:
    "toserver": codes.TO_SERVER, "toclient": codes.TO_CLIENT,
}  # fmt: skip
_EXCLUSIVE = (
    codes.ESTABLISHED | codes.NOT_ESTABLISHED | codes.STATELESS,
    codes.TO_SERVER | codes.TO_CLIENT,
    codes.ONLY_STREAM | codes.NO_STREAM,
    codes.NO_FRAG | codes.ONLY_FRAG,
)
_U32 = (1 << 32) - 1
_PAST: dict[str, int] = {}  # values are the same few dozen texts over and over


def flow(draft: Draft, value: str) -> None:
    if draft.flow_seen:
        raise Refused("a rule has one flow keyword")
    draft.flow_seen = True
    flags = _PAST.get(value)
    if flags is None:
        flags = _flow_flags(value)
        if len(_PAST) < 256:
            _PAST[value] = flags
    draft.flags |= flags | codes.NEEDS_FLOW


def _flow_flags(value: str) -> int:
    flags = 0
    for word in pieces(value):
        flag = _FLOW.get(word.lower())
        if flag is None:
            raise Refused(f"{word!r} is not known here; known are {', '.join(sorted(_FLOW))}")
        if flags & flag:
            raise Refused(f"{word} is said twice")
        for group in _EXCLUSIVE:
            if flag & group and flags & group:
                raise Refused(f"{word} contradicts what stands before it: {value}")
        flags |= flag
    return flags


_BITS = {"isset": 0, "isnotset": 1, "set": 2, "unset": 3, "toggle": 4}


def _named(draft: Draft, kind: int, op: int, command: str, names: str, b: int = 0, c: int = 0) -> None:
    """A condition on names, or an action on one when the rule matched."""
    base = _BITS[command]
    numbers = [draft.support.name(kind, name.strip()) for name in names.split("|")]
    if any(not name.strip() for name in names.split("|")):
        raise Refused("a name is missing")
    condition = Condition(op, numbers[0], base=base)
    condition.b, condition.c = b, c
    if len(numbers) > 1:
        if base > 1:
            raise Refused(f"{command} takes one name; isset and isnotset take several with | between them")
        if op != codes.FLOWBITS:
            raise Refused("only flowbits takes several names")
        condition.b = len(numbers)
        condition.text = struct.pack(f"<{len(numbers)}I", *numbers)
    (draft.after if base > 1 else draft.conditions).append(condition)


def flowbits(draft: Draft, value: str) -> None:
    command, comma, names = value.partition(",")
    command = command.strip().lower()
    if command == "noalert":
        if comma:
            raise Refused("noalert takes no name")
        draft.flags |= codes.NOALERT
        return
    if command not in _BITS:
        raise Refused(f"{command!r} is not known here; known are noalert, {', '.join(_BITS)}")
    if not re.fullmatch(r"[^\s,]+(?:\s*\|\s*[^\s,]+)*", names.strip()):
        raise Refused(f"a name has no white space and no comma: {names.strip()!r}")
    _named(draft, codes.FLOWBIT, codes.FLOWBITS, command, names.strip())
    draft.flags |= codes.NEEDS_FLOW


_TRACKS = {"ip_src": 0, "ip_dst": 1, "ip_pair": 2, "tx": 3}


def xbits(draft: Draft, value: str) -> None:
    words = pieces(value)
    command = words[0].lower()
    if command == "noalert" and len(words) == 1:
        draft.flags |= codes.NOALERT
        return
    if command not in _BITS or len(words) < 3:
        raise Refused("must be set|unset|isset|isnotset|toggle,NAME,track ip_src|ip_dst|ip_pair[,expire SECONDS]")
    track = re.fullmatch(r"track\s+(\w+)", words[2])
    if not track or track[1] not in _TRACKS:
        raise Refused(f"the third word must be track ip_src, ip_dst or ip_pair; not {words[2]!r}")
    if track[1] == "tx":
        raise Refused("track tx comes with Suricata 8", unsupported=True)
    expire = 30
    if len(words) > 3:
        found = re.fullmatch(r"expire\s+(\S+)", words[3])
        if not found or len(words) > 4:
            raise Refused(f"{words[3]!r} is not known here; expire SECONDS is")
        expire = whole(found[1], 1, _U32, "expire")
    _named(draft, codes.XBIT, codes.XBITS, command, words[1], b=_TRACKS[track[1]], c=expire)


def hostbits(draft: Draft, value: str) -> None:
    words = pieces(value)
    command = words[0].lower()
    if command == "noalert" and len(words) == 1:
        draft.flags |= codes.NOALERT
        return
    if command not in _BITS or not 2 <= len(words) <= 3:
        raise Refused("must be set|unset|isset|isnotset|toggle,NAME[,src|dst]")
    side = words[2].lower() if len(words) > 2 else "src"
    if side not in ("src", "dst"):
        raise Refused(f"the host must be src or dst, not {side!r}")
    _named(draft, codes.HOSTBIT, codes.HOSTBITS, command, words[1], b=int(side == "dst"), c=300)


_FLOWINT = {"+": 2, "-": 3, "=": 4}
_FLOWINT_TESTS = {"<": codes.LT, ">": codes.GT, "<=": codes.LE, ">=": codes.GE, "==": codes.EQ, "!=": codes.NE}


def flowint(draft: Draft, value: str) -> None:
    words = pieces(value)
    if not 2 <= len(words) <= 3 or not words[0]:
        raise Refused("must be NAME,OPERATOR[,VALUE]")
    name = draft.support.name(codes.FLOWINT_NAME, words[0])
    operator = words[1]
    draft.flags |= codes.NEEDS_FLOW
    if operator in ("isset", "notset", "isnotset"):
        if len(words) == 3:
            raise Refused(f"{operator} takes no value")
        draft.conditions.append(Condition(codes.FLOWINT, name, base=int(operator != "isset")))
        return
    if len(words) < 3:
        raise Refused(f"{operator} needs a value")
    flags, operand = 0, 0
    try:
        operand = whole(words[2], 0, _U32, "the value")
    except Refused:
        if words[2][:1].isdigit() or words[2][:1] == "-":
            raise
        flags, operand = codes.B_VARIABLE, draft.support.name(codes.FLOWINT_NAME, words[2])
    if operator in _FLOWINT:
        draft.after.append(Condition(codes.FLOWINT, name, operand, base=_FLOWINT[operator], flags=flags))
    elif operator in _FLOWINT_TESTS:
        draft.conditions.append(
            Condition(codes.FLOWINT, name, operand, base=5, compare=_FLOWINT_TESTS[operator], flags=flags)
        )
    else:
        raise Refused(f"the operator {operator!r} is not known; known are isset, notset, + - = < > <= >= == !=")


_SIDES = {"server": 0, "client": 1, "both": 2, "either": 3}


def stream_size(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) != 3 or words[0].lower() not in _SIDES or words[1] not in _STREAM_TESTS:
        raise Refused("must be server|client|both|either,OPERATOR,BYTES")
    draft.conditions.append(
        Condition(
            codes.STREAM_SIZE, whole(words[2], 0, _U32, "the size"),
            compare=_STREAM_TESTS[words[1]], base=_SIDES[words[0].lower()],
        )
    )  # fmt: skip
    draft.flags |= codes.NEEDS_FLOW


_STREAM_TESTS = {"<": codes.LT, ">": codes.GT, "<=": codes.LE, ">=": codes.GE, "=": codes.EQ, "!=": codes.NE}

_BY = {"by_src": 0, "by_dst": 1, "by_both": 2, "by_rule": 3, "by_flow": 4}
_TYPES = {"limit": 0, "threshold": 1, "both": 2}
_RATE = 3


def _counted(value: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in pieces(value):
        word, _, argument = text.partition(" ")
        if word in given:
            raise Refused(f"{word} is said twice")
        given[word] = argument.strip()
    return given


def _rate(draft: Draft, value: str, words: set[str]) -> tuple[dict[str, str], int, int, int]:
    given = _counted(value)
    if set(given) != words:
        wrong = sorted(set(given) ^ words)
        raise Refused(f"needs {', '.join(sorted(words))}, each once; look at {', '.join(wrong)!r}")
    track = _BY.get(given["track"])
    if track is None:
        raise Refused(f"track must be one of {', '.join(_BY)}; not {given['track']!r}")
    return given, whole(given["count"], 1, _U32, "count"), whole(given["seconds"], 1, _U32, "seconds"), track


def threshold(draft: Draft, value: str) -> None:
    if draft.detection_filter:
        raise Refused("cannot stand with detection_filter")
    draft.threshold = True
    given, count, seconds, track = _rate(draft, value, {"type", "track", "count", "seconds"})
    kind = _TYPES.get(given["type"])
    if kind is None:
        raise Refused(f"type must be limit, threshold or both; not {given['type']!r}")
    draft.after.append(Condition(codes.THRESHOLD, count, seconds, track, base=kind))


def detection_filter(draft: Draft, value: str) -> None:
    if draft.threshold:
        raise Refused("cannot stand with threshold")
    if draft.detection_filter:
        raise Refused("a rule has one detection_filter")
    draft.detection_filter = True
    _, count, seconds, track = _rate(draft, value, {"track", "count", "seconds"})
    draft.after.append(Condition(codes.THRESHOLD, count, seconds, track, base=_RATE))


_METRICS = {"packets": 0, "seconds": 1, "bytes": 2}
_TAGGED_MAX = 256  # packets


def tag(draft: Draft, value: str) -> None:
    words = pieces(value.lower())
    if words[0] not in ("session", "host"):
        raise Refused(f"must begin with session or host, not {words[0]!r}")
    host = words[0] == "host"
    count, metric, side = _TAGGED_MAX, 0, 0
    if len(words) > 1:
        if len(words) < 3 or words[2] not in _METRICS:
            raise Refused("must be session|host,COUNT,packets|seconds|bytes and for host src or dst")
        count, metric = whole(words[1], 0, _U32, "the count"), _METRICS[words[2]]
    if metric == 0:
        count = min(count, _TAGGED_MAX)
    if host:
        if len(words) != 4 or words[3] not in ("src", "dst"):
            raise Refused("host needs src or dst at the end")
        side = int(words[3] == "dst")
    elif len(words) > 3:
        raise Refused(f"{words[3]!r} is too much: only host has a direction")
    draft.after.append(Condition(codes.TAG, count, metric, side, base=int(host)))


def flow_number(op: str, bits: int, what: str, base: int = 0) -> Callable[[Draft, str], None]:
    number = OPS[op]

    def keyword(draft: Draft, value: str) -> None:
        compare, a, b = number_test(unquoted(value), bits, what)
        draft.conditions.append(Condition(number, a, b, compare=compare, base=base))
        draft.flags |= codes.NEEDS_FLOW

    return keyword


def bypass(draft: Draft, value: str) -> None:
    draft.flags |= codes.BYPASS | codes.NEEDS_FLOW
