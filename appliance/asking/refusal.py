"""Why a question cannot be asked."""

from __future__ import annotations


class CannotAsk(ValueError):
    """`remedy` says what would be right, `code` is stable."""

    def __init__(self, message: str, remedy: str = "", *, code: str) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code
