"""What owners of rules are told of: what of theirs ends, is proposed to change, runs, or was taken back."""

from __future__ import annotations

from typing import Literal

import msgspec

MOST_NOTICES = 500  # of one answer

# expires      it ends soon; ended: it has. review: somebody must look at it again
# proposed     somebody asks to have it changed
# applied      it was changed. rolled-back: that was taken back
NoticeKind = Literal["expires", "ended", "review", "proposed", "applied", "rolled-back"]


class OwnNotices(msgspec.Struct, frozen=True, tag=True):
    """Those of who asks, the newest first; with `everybody` all."""

    everybody: bool = False
    limit: int = 100


class SeeNotices(msgspec.Struct, frozen=True, tag=True):
    """Who asks has seen theirs, up to the number `through`."""

    through: int


class Notice(msgspec.Struct, frozen=True):
    """`told` is when it was written, `due` the moment it is about (0: none), in seconds since the epoch.

    `proposal` and `generation` are those it is about, 0 for none.
    """

    number: int
    owner: str
    kind: NoticeKind
    subject: str
    words: str
    told: float
    due: float = 0.0
    proposal: int = 0
    generation: int = 0


class NoticeList(msgspec.Struct, frozen=True, tag=True):
    """`seen` is the number up to which who asks has seen theirs, `unseen` how many came behind it."""

    notices: tuple[Notice, ...]
    seen: int
    unseen: int
