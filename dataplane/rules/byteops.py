"""Keywords that read numbers from the bytes: byte_test, byte_jump, byte_extract, byte_math and their like."""

from __future__ import annotations

from ctypes_ext.ruleset import BUFFERS
from dataplane.rules import codes
from dataplane.rules.draft import Condition, Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import number_test, pieces, whole

_OFFSET = 65535
_FAR = (1 << 31) - 1
_U32 = (1 << 32) - 1
_BASES = {"hex": 16, "dec": 10, "oct": 8}
_STRING_MAX = {16: 14, 10: 20, 8: 23}
_TESTS = {
    "<": codes.LT, ">": codes.GT, "=": codes.EQ, "==": codes.EQ, "<=": codes.LE, ">=": codes.GE,
    "&": codes.BIT_AND, "^": codes.BIT_OR,
}  # fmt: skip


class _Reading:
    """What the four keywords say alike of how a number is read."""

    __slots__ = ("align", "base", "bitmask", "flags", "multiplier", "post")

    def __init__(self) -> None:
        self.flags = 0
        self.base = 0
        self.bitmask = 0
        self.multiplier = 0
        self.align = 0
        self.post: tuple[int, bool] = (0, False)


def _options(draft: Draft, words: list[str], extra: frozenset[str]) -> _Reading:
    """The options behind the fixed places; `extra` are those that not every keyword has."""
    reading = _Reading()
    endian = 0
    for text in words:
        word, _, value = text.partition(" ")
        value = value.strip()
        if word == "relative":
            reading.flags |= codes.RELATIVE
        elif word in ("big", "little"):
            endian += 1
            if word == "little":
                reading.flags |= codes.LITTLE
        elif word == "endian" and "endian" in extra:
            endian += 1
            if value not in ("big", "little"):
                raise Refused(f"endian must be big or little, not {value!r}")
            if value == "little":
                reading.flags |= codes.LITTLE
        elif word == "string":
            reading.flags |= codes.STRING
            reading.base = reading.base or 10
            if value:
                reading.base = _base(value)
        elif word in _BASES:
            reading.base = _BASES[word]
        elif word == "dce":
            reading.flags |= codes.DCE
        elif word == "bitmask":
            reading.bitmask = whole(value if value[:2] in ("0x", "0X") else "0x" + value, 1, _U32, "the bitmask")
        elif word == "multiplier" and "multiplier" in extra:
            reading.multiplier = whole(value, 1, 65535, "the multiplier")
        elif word == "align" and "align" in extra:
            reading.flags |= codes.ALIGN
            if "align number" in extra:
                reading.align = whole(value, 2, 4, "the alignment")
                if reading.align == 3:
                    raise Refused("the alignment must be 2 or 4")
        elif word == "from_beginning" and "from_beginning" in extra:
            reading.flags |= codes.FROM_BEGINNING
        elif word == "from_end" and "from_end" in extra:
            reading.flags |= codes.FROM_END
        elif word == "post_offset" and "post_offset" in extra:
            reading.post = draft.number(value, -_OFFSET, _OFFSET, "post_offset")
        else:
            raise Refused(f"{text!r} is not known here")
    if reading.base and not reading.flags & codes.STRING:
        raise Refused("hex, dec and oct need string: the digits of a text")
    if endian > 1:
        raise Refused("the byte order is said twice")
    if reading.flags & codes.STRING:
        reading.flags &= ~codes.LITTLE  # digits have no byte order, whatever is said
    if reading.flags & codes.DCE:
        if endian or reading.flags & codes.STRING:
            raise Refused(
                "dce takes the byte order of the DCERPC header: it stands neither with big, little nor string"
            )
        draft.require("dcerpc")
    return reading


def _base(word: str) -> int:
    if word not in _BASES:
        raise Refused(f"string must be hex, dec or oct, not {word!r}")
    return _BASES[word]


def _bytes(draft: Draft, text: str, reading: _Reading, variable: bool) -> tuple[int, bool]:
    """How many bytes are read."""
    count, is_variable = (
        draft.number(text, 0, 65535, "the number of bytes")
        if variable
        else (whole(text, 0, 65535, "the number of bytes"), False)
    )
    if is_variable:
        return count, True
    string = reading.flags & codes.STRING
    limit = _STRING_MAX[reading.base] if string else 8
    if count > limit or (count == 0 and not string):  # 0 digits: as many as there are
        raise Refused(f"1 to {limit} bytes can be read, not {count}")
    return count, False


def byte_test(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) < 4:
        raise Refused("must be BYTES,[!]OPERATOR,VALUE,OFFSET and options")
    reading = _options(draft, words[4:], frozenset())
    flags = reading.flags
    count, variable = _bytes(draft, words[0], reading, True)
    if variable:
        flags |= codes.A_VARIABLE
    operator = words[1].replace(" ", "")
    if operator[:1] == "!":
        flags |= codes.NEGATED
        operator = operator[1:] or "="
    if operator not in _TESTS:
        raise Refused(f"the operator {words[1]!r} is not one of < > = <= >= & ^, each with ! before it or not")
    try:
        operand = whole(words[2], 0, (1 << 64) - 1, "the value")
    except Refused:
        operand = draft.variable(words[2])
        flags |= codes.B_VARIABLE
    offset, variable = draft.number(words[3], -_FAR, _FAR, "the offset")
    if variable:
        flags |= codes.C_VARIABLE
    draft.add(
        Condition(
            codes.BYTE_TEST, count, operand, offset, reading.bitmask,
            compare=_TESTS[operator], base=reading.base, flags=flags,
        ),
        follows=bool(flags & codes.RELATIVE),
    )  # fmt: skip


def byte_jump(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) < 2:
        raise Refused("must be BYTES,OFFSET and options")
    reading = _options(
        draft, words[2:], frozenset({"multiplier", "align", "from_beginning", "from_end", "post_offset"})
    )
    flags = reading.flags
    if words[0] == "0":
        count, variable = 0, False
    else:
        count, variable = _bytes(draft, words[0], reading, True)
    if variable:
        flags |= codes.A_VARIABLE
    offset, variable = draft.number(words[1], -_OFFSET, _OFFSET, "the offset")
    if variable:
        flags |= codes.C_VARIABLE
    if reading.post[1]:
        flags |= codes.E_VARIABLE
    draft.add(
        Condition(
            codes.BYTE_JUMP, count, reading.multiplier or 1, offset, reading.bitmask, reading.post[0],
            base=reading.base, flags=flags,
        ),
        follows=bool(flags & codes.RELATIVE),
    )  # fmt: skip


def byte_extract(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) < 3:
        raise Refused("must be BYTES,OFFSET,NAME and options")
    reading = _options(draft, words[3:], frozenset({"multiplier", "align", "align number"}))
    count, _ = _bytes(draft, words[0], reading, False)
    offset = whole(words[1], -_OFFSET, _OFFSET, "the offset")
    draft.add(
        Condition(
            codes.BYTE_EXTRACT, count, reading.multiplier or 1, offset, draft.set_variable(_name(words[2])),
            reading.align, base=reading.base, flags=reading.flags,
        ),
        follows=bool(reading.flags & codes.RELATIVE),
    )  # fmt: skip


def _name(text: str) -> str:
    if not text or not (text[0].isalpha() or text[0] == "_"):
        raise Refused(f"{text!r} is not the name of a variable")
    return text


_OPERATORS = {"+": ord("+"), "-": ord("-"), "*": ord("*"), "/": ord("/"), "<<": ord("<"), ">>": ord(">")}


def byte_math(draft: Draft, value: str) -> None:
    given: dict[str, str] = {}
    rest: list[str] = []
    for text in pieces(value):
        word, _, argument = text.partition(" ")
        if word in ("bytes", "offset", "oper", "rvalue", "result"):
            if word in given:
                raise Refused(f"{word} is said twice")
            given[word] = argument.strip()
        else:
            rest.append(text)
    missing = [word for word in ("bytes", "offset", "oper", "rvalue", "result") if not given.get(word)]
    if missing:
        raise Refused(f"{missing[0]} is missing")
    reading = _options(draft, rest, frozenset({"endian"}))
    flags = reading.flags
    count, variable = _bytes(draft, given["bytes"], reading, True)
    if variable:
        flags |= codes.A_VARIABLE
    operator = given["oper"]
    if operator not in _OPERATORS:
        raise Refused(f"the operator {operator!r} is not one of + - * / << >>")
    try:
        operand = whole(given["rvalue"], 0, _U32, "rvalue")
    except Refused:
        operand = draft.variable(given["rvalue"])
        flags |= codes.B_VARIABLE
    else:
        if operator == "/" and operand == 0:
            raise Refused("cannot divide by 0")
    offset = whole(given["offset"], -_OFFSET, _OFFSET, "offset")
    draft.add(
        Condition(
            codes.BYTE_MATH, count, operand, offset, draft.set_variable(_name(given["result"])), reading.bitmask,
            compare=reading.base, base=_OPERATORS[operator], flags=flags,
        ),
        follows=bool(flags & codes.RELATIVE),
    )  # fmt: skip


def isdataat(draft: Draft, value: str) -> None:
    flags = 0
    if value[:1] == "!":
        flags = codes.NEGATED
        value = value[1:].lstrip()
    words = pieces(value)
    for word in words[1:]:
        if word == "relative":
            flags |= codes.RELATIVE
        elif word != "rawbytes":
            raise Refused(f"{word!r} is not known here; relative and rawbytes are")
    count, variable = draft.number(words[0], 0, 65535, "the number of bytes")
    block = draft.last if draft.active is None and flags & codes.RELATIVE and draft.last else draft.block()
    last = block.conditions[-1] if block.conditions else None
    ends = count == 1 and flags == codes.NEGATED | codes.RELATIVE and not variable
    if ends and last is not None and last.op == codes.CONTENT and not last.flags & codes.NEGATED:
        last.flags |= codes.ENDSWITH
        return
    if variable:
        flags |= codes.A_VARIABLE
    draft.add(Condition(codes.ISDATAAT, count, flags=flags), follows=bool(flags & codes.RELATIVE))


def bsize(draft: Draft, value: str) -> None:
    compare, a, b = number_test(value, 63, "the size")
    if draft.active is None:
        raise Refused("needs a sticky buffer before it; dsize asks for the size of a packet's payload")
    draft.block().conditions.append(Condition(codes.BSIZE, a, b, compare=compare))


def base64_decode(draft: Draft, value: str) -> None:
    count, offset, flags = 0, 0, 0
    for text in pieces(value) if value else []:
        word, _, argument = text.partition(" ")
        if word == "bytes":
            count = whole(argument, 1, _U32, "bytes")
        elif word == "offset":
            offset = whole(argument, 0, 65535, "offset")
        elif word == "relative":
            flags = codes.RELATIVE
        else:
            raise Refused(f"{text!r} is not known here; bytes, offset and relative are")
    draft.add(Condition(codes.BASE64_DECODE, count, 0, offset, flags=flags), follows=True)
    draft.extracted = True


def base64_data(draft: Draft, value: str) -> None:
    if not draft.extracted:
        raise Refused("needs a base64_decode before it")
    draft.enter(BUFFERS["base64_data"])


def asn1(draft: Draft, value: str) -> None:
    bits, length, position, flags = 0, 0, 0, 0
    for text in pieces(value):
        word, _, argument = text.partition(" ")
        if word == "oversize_length":
            bits, length = bits | 1, whole(argument, 0, _U32, "oversize_length")
        elif word == "bitstring_overflow":
            bits |= 2
        elif word == "double_overflow":
            bits |= 4
        elif word == "absolute_offset":
            position = whole(argument, 0, 65535, "absolute_offset")
        elif word == "relative_offset":
            position, flags = whole(argument, -_OFFSET, _OFFSET, "relative_offset"), codes.RELATIVE
        else:
            raise Refused(f"{text!r} is not known here")
    draft.add(Condition(codes.ASN1, length, 0, position, base=bits, flags=flags), follows=bool(flags))
