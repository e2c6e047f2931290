"""Feeds of signatures, as values: what a revision of one holds, how two differ, which signatures are still on trial.

A feed is where rules come from (`appliance.policy.model.Feed`). Each time it gave something new that is a revision,
kept by `feedstore.py`; what was new or changed in it only alerts until its trial is over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from dataplane.rules import reader

_DAY = 86400
REMEMBERED = 5  # changes for which a signature that went is known
_REV = re.compile(r"\brev\s*:\s*(\d+)")
_GID = re.compile(r"\bgid\s*:\s*(\d+)")
_MESSAGE = re.compile(r'\bmsg\s*:\s*"((?:[^"\\]|\\.)*)"')

# gid and sid of a signature as one number, as alerts and image know it.
Key = tuple[int, int]


class Signature(msgspec.Struct, frozen=True):
    """One rule of a feed as its text says: `digest` is of the whole rule, so that any change of it shows."""

    gid: int
    sid: int
    rev: int
    action: str
    message: str
    digest: str

    @property
    def key(self) -> Key:
        return self.gid, self.sid


class Changed(msgspec.Struct, frozen=True):
    """A signature that both revisions have, and not the same."""

    before: Signature
    after: Signature


class Difference(msgspec.Struct, frozen=True):
    """What the second of two revisions has that the first has not, lacks, and has otherwise; by gid and sid."""

    added: tuple[Signature, ...]
    removed: tuple[Signature, ...]
    changed: tuple[Changed, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class Trial(msgspec.Struct):
    """Since when (seconds since the epoch) signatures have stood as they do.

    `since` is by "gid:sid": digest and time. `before` is of those that went or changed, by digest: their time, and
    how many changes ago they went; one that comes back with an older revision is no newcomer.
    """

    since: dict[str, tuple[str, int]]
    before: dict[str, tuple[int, int]] = {}

    def signatures(self) -> Iterator[Key]:
        """The signatures that stand."""
        for name in self.since:
            gid, sid = name.split(":")
            yield int(gid), int(sid)


def index(texts: Iterable[str]) -> dict[Key, Signature]:
    """Every signature of rule files. Of two with one sid the higher revision stands, as the compiler has it."""
    found: dict[Key, Signature] = {}
    for text in texts:
        for line in reader.lines(text):
            signature = _signature(line.text)
            other = found.get(signature.key)
            if signature.sid and (other is None or signature.rev >= other.rev):
                found[signature.key] = signature
    return found


def _signature(text: str) -> Signature:
    rev, message = _REV.search(text), _MESSAGE.search(text)
    gid = _GID.search(text) if "gid" in text else None
    return Signature(
        gid=int(gid[1]) if gid else 1,
        sid=reader.sid_of(text),
        rev=int(rev[1]) if rev else 0,
        action=text.split(None, 1)[0],
        message=message[1] if message else "",
        digest=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32],
    )


def difference(old: Mapping[Key, Signature], new: Mapping[Key, Signature]) -> Difference:
    return Difference(
        added=tuple(new[key] for key in sorted(new.keys() - old.keys())),
        removed=tuple(old[key] for key in sorted(old.keys() - new.keys())),
        changed=tuple(
            Changed(old[key], new[key])
            for key in sorted(new.keys() & old.keys())
            if new[key].digest != old[key].digest
        ),
    )


def begin(trial: Trial, signatures: Mapping[Key, Signature], now: int) -> Trial:
    """The trial with another revision: what stands as it did, or did so before, keeps its time; the rest begins."""
    gone = {digest: (since, ago + 1) for digest, (since, ago) in trial.before.items() if ago < REMEMBERED}
    gone |= {digest: (since, 1) for digest, since in trial.since.values()}
    since = {}
    for (gid, sid), signature in signatures.items():
        known = gone.pop(signature.digest, None)
        since[f"{gid}:{sid}"] = (signature.digest, known[0] if known is not None else now)
    return Trial(since, gone)


def on_trial(trial: Trial, days: int, now: int) -> frozenset[Key]:
    """Signatures that may only alert: they have stood as they do for less than `days`.

    A clock that was set back keeps them on trial; time in the future counts as now.
    """
    if days <= 0:
        return frozenset()
    found = []
    for name, (_, since) in trial.since.items():
        if now - since < days * _DAY:
            gid, sid = name.split(":")
            found.append((int(gid), int(sid)))
    return frozenset(found)
