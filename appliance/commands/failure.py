"""How a verb ends when it cannot do its work: one exception, and the exit codes it may carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.control.messages.gateway import Finding

OK = 0
REFUSED = 1  # bad input, a refused change, something to mend
USAGE = 2  # the command line itself is wrong
AWAY = 3  # the daemon does not answer
FORBIDDEN = 4  # this user may not do that
CONFLICT = 5  # the world changed meanwhile: another generation runs, or the old one came back
INTERRUPTED = 130  # Ctrl-C, as shells say it


class Failure(Exception):
    """Ends a verb: `message` is what is wrong, `remedy` what would be right, `code` the exit code.

    `findings` are the problems of a text, and `texts` the texts they point into (file name -> text).
    `name` is the stable word that `--json` gives for this kind of failure.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        code: int = REFUSED,
        name: str = "refused",
        findings: Sequence[Finding] = (),
        texts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.name = name
        self.findings = tuple(findings)
        self.texts = dict(texts or {})
