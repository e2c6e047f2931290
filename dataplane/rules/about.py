"""What a rule says of itself: message, numbers, class, references, metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from dataplane.rules import codes
from dataplane.rules.draft import Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import quoted, unquoted, whole

_ID_MAX = (1 << 32) - 1
_MESSAGE_ESCAPE = re.compile(r'\\([;:"\\])')


class Classes(NamedTuple):
    """classification.config: words and priority by name; and reference.config: the prefix by kind."""

    classes: Mapping[str, tuple[str, int]]
    references: Mapping[str, str]


def read_classes(text: str) -> dict[str, tuple[str, int]]:
    """The lines `config classification: NAME,WORDS,PRIORITY`; others are passed over."""
    found: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        match = re.match(r"\s*config\s+classification\s*:\s*([^,\s]+)\s*,\s*([^,]+?)\s*,\s*(\d+)\s*$", line)
        if match:
            found[match[1].lower()] = (match[2], min(int(match[3]), 255))
    return found


def read_references(text: str) -> dict[str, str]:
    """The lines `config reference: KIND PREFIX`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.match(r"\s*config\s+reference\s*:\s*(\S+)\s+(\S+)\s*$", line)
        if match:
            found[match[1].lower()] = match[2]
    return found


def message(draft: Draft, value: str) -> None:
    text, _ = quoted(value)
    draft.message = _MESSAGE_ESCAPE.sub(r"\1", text) if "\\" in text else text


def sid(draft: Draft, value: str) -> None:
    if draft.sid:
        raise Refused("is said twice")
    draft.sid = whole(value, 1, _ID_MAX, "the sid")


def gid(draft: Draft, value: str) -> None:
    draft.gid = whole(value, 0, _ID_MAX, "the gid")


def rev(draft: Draft, value: str) -> None:
    if draft.rev:
        raise Refused("is said twice")
    draft.rev = whole(value, 0, _ID_MAX, "the revision")


def priority(draft: Draft, value: str) -> None:
    draft.priority = whole(value, 0, 255, "the priority")
    draft.priority_given = True


def classtype(draft: Draft, value: str, classes: Classes) -> None:
    """A class that is not known has no words and priority 3, as in Suricata."""
    words, number = classes.classes.get(unquoted(value).lower(), ("", 3))
    if draft.category and draft.class_priority <= number:
        return  # of two classes the more urgent one
    draft.category, draft.class_priority = words, number
    if not draft.priority_given:
        draft.priority = number


def reference(draft: Draft, value: str, classes: Classes) -> None:
    kind, comma, text = value.partition(",")
    kind = kind.strip()
    if not comma or not kind or not text.strip():
        raise Refused(f"must be KIND,TEXT; not {value!r}")
    prefix = classes.references.get(kind.lower())
    if prefix is None:
        draft.references.append(text.strip())
    else:
        draft.references.append(prefix + text.strip())


def metadata(draft: Draft, value: str) -> None:
    found = draft.metadata
    for piece in value.split(","):
        key, _, text = piece.strip().partition(" ")
        if key:
            text = text.strip()
            if text:
                found.setdefault(key, []).append(text)


def target(draft: Draft, value: str) -> None:
    flag = {"src_ip": codes.TARGET_SOURCE, "dest_ip": codes.TARGET_DESTINATION}.get(value)
    if flag is None:
        raise Refused(f"must be src_ip or dest_ip, not {value!r}")
    if draft.flags & (codes.TARGET_SOURCE | codes.TARGET_DESTINATION) & ~flag:
        raise Refused("src_ip and dest_ip are both said to be the target")
    draft.flags |= flag


def noalert(draft: Draft, value: str) -> None:
    draft.flags |= codes.NOALERT


def alert(draft: Draft, value: str) -> None:
    draft.alerts = True


def prefilter(draft: Draft, value: str) -> None:
    draft.flags |= codes.PREFILTER
