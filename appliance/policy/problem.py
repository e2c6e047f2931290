"""What is wrong with a text, said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from appliance.policy.model import Span


class Problem(msgspec.Struct, frozen=True):
    """One finding: where, what is wrong (`message`), and what would be right (`remedy`).

    `severity` "error" refuses the text; "warning" does not.
    """

    span: Span
    message: str
    remedy: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        tail = f"; {self.remedy}" if self.remedy else ""
        mark = "" if self.severity == "error" else f"{self.severity}: "
        return f"{self.span}: {mark}{self.message}{tail}"


class PolicyError(Exception):
    """A text was refused. Carries every problem found, in the order of the text."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
