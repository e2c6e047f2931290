"""The baselines that a gateway requires, whatever the text says (R9).

A text that leaves a baseline out of `inherits` would drop it without a word. So a gateway has a list of the
baselines it requires, which no text can change: names, one a line, `#` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy, Span
from appliance.policy.problem import PolicyError, Problem

_KEY = re.compile(r"^(inherits|site) *:", re.MULTILINE)


def missing(policy: Policy, required: Iterable[str]) -> tuple[str, ...]:
    """The required baselines that a policy does not stand under."""
    return tuple(name for name in required if name not in policy.inherits)


def complaints(text: str, file: str, left_out: Iterable[str]) -> list[Problem]:
    """One problem for each required baseline that a text leaves out, where it would be named."""
    keys = {found[1]: text.count("\n", 0, found.start()) + 1 for found in _KEY.finditer(text)}
    line = keys.get("inherits") or keys.get("site") or 1
    return [
        Problem(
            Span(file, line, 1),
            f"the baseline `{name}` is required here, and this text does not inherit it",
            f"write `inherits: [{name}]`" if "inherits" not in keys else f"add `{name}` to `inherits`",
        )
        for name in left_out
    ]


def under(
    text: str,
    file: str,
    left_out: tuple[str, ...],
    inherited: Mapping[str, str],
    files: Mapping[str, str],
) -> tuple[Policy | None, tuple[Problem, ...]]:
    """The text as it would be under what it leaves out: the policy, or None and every problem it would have."""
    try:
        policy, _ = parse(text, file, inherited=inherited, files=files, also=left_out)
    except PolicyError as error:
        return None, error.problems
    return policy, ()
