"""Keywords of DCERPC: the interface that a call is made to, and its operation."""

from __future__ import annotations

import re
from uuid import UUID

from ctypes_ext.ruleset import BUFFERS
from dataplane.rules import codes, transactions
from dataplane.rules.draft import Condition, Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import number_test, pieces, unquoted, whole

_IFACE = BUFFERS["dcerpc.iface"]
_UUID_BYTES = 16
_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


def iface(draft: Draft, value: str) -> None:
    """UUID, perhaps a version (`=1`, `<5`), perhaps any_frag.

    The parser shows each interface as its UUID, two bytes of version, and one that says whether it was bound in a
    first fragment: contents and byte tests say the rest.
    """
    words = pieces(unquoted(value))
    if not _TEXT.fullmatch(words[0]):
        raise Refused(f"must begin with a UUID, not {words[0]!r}")
    any_fragment = words[-1] == "any_frag"
    version = words[1:-1] if any_fragment else words[1:]
    if len(version) > 1:
        raise Refused("must be a UUID, perhaps a version, and perhaps any_frag")
    transactions.implied(draft, "dcerpc.iface")
    draft.leave()
    conditions = draft.of(_IFACE).conditions
    conditions.append(
        Condition(
            codes.CONTENT, b=_UUID_BYTES, flags=codes.STARTSWITH | codes.DEPTH, text=UUID(words[0]).bytes
        )
    )  # fmt: skip
    if version:
        compare, a, _ = number_test(version[0], 16, "the version")
        conditions.append(Condition(codes.BYTE_TEST, 2, a, _UUID_BYTES, compare=compare))
    if not any_fragment:
        conditions.append(Condition(codes.BYTE_TEST, 1, 1, _UUID_BYTES + 2, compare=codes.EQ))
    draft.previous = None


def opnum(draft: Draft, value: str) -> None:
    """An operation, a comparison, or a range with both ends in it."""
    text = unquoted(value).strip()
    if "," in text:
        raise Refused("is enforced for one operation or one range; write a rule for each of a list")
    found = _RANGE.fullmatch(text)
    if not found:
        transactions.condition(draft, "dcerpc.opnum", *number_test(text, 16, "the operation"))
        return
    low, high = (whole(found[i], 0, 65535, "the operation") for i in (1, 2))
    if low > high:
        raise Refused(f"no operation lies between {low} and {high}")
    if low > 0:
        transactions.condition(draft, "dcerpc.opnum", codes.GE, low)
    transactions.condition(draft, "dcerpc.opnum", codes.LE, high)
