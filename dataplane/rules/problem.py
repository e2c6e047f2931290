"""What is wrong with a rule, in words a person can act on."""

from __future__ import annotations

from typing import NamedTuple


class Refused(Exception):
    """A rule cannot be enforced exactly as it is written. `keyword` is the word it hangs on, or ""."""

    def __init__(self, reason: str, keyword: str = "", *, unsupported: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.keyword = keyword
        self.unsupported = unsupported


class Problem(NamedTuple):
    """One refused rule, or one line that is no rule."""

    file: str
    line: int
    sid: int  # 0: not known
    keyword: str  # the word it hangs on, or ""
    reason: str
    unsupported: bool  # the rule is right, the engine cannot do it

    def __str__(self) -> str:
        sid = f" (sid {self.sid})" if self.sid else ""
        word = f"{self.keyword}: " if self.keyword else ""
        return f"{self.file}:{self.line}{sid}: {word}{self.reason}"
