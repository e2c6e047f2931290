"""A baseline by itself: what would be wrong with it at any site.

A baseline speaks of roles and knows no zones, so it is judged where every role has one: a site that has a zone for
each, inherits the baseline, and says nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from appliance.policy.meant.parse import NOTHING, parse
from appliance.policy.meant.site import EXTERNAL_ROLES
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.written.document_zones import ROLES
from appliance.policy.written.text import refuse_size

_SITE = "<a site with every role>"
_NAME = re.compile(r"^baseline *: *[\"']?([A-Za-z][A-Za-z0-9_.-]{0,47})[\"']? *(?:#.*)?$", re.MULTILINE)
_OF_A_SITE = re.compile(r"^site *:", re.MULTILINE)


def name_of_baseline(text: str) -> str:
    """What a text calls itself when it is a baseline; "" when it is none, or does not say so plainly."""
    found = _NAME.search(text.replace("\r\n", "\n"))
    return found[1] if found is not None and _OF_A_SITE.search(text) is None else ""


def check_baseline(
    text: str,
    file: str,
    *,
    inherited: Mapping[str, str],
    files: Mapping[str, str] = NOTHING,
    now: float | None = None,
) -> tuple[Policy, tuple[Problem, ...]]:
    """What the baseline alone makes of a site, and warnings. Arguments and errors are those of `parse`."""
    refuse_size(text, file)
    name = name_of_baseline(text)
    texts = _With(inherited, name, text)
    try:
        policy, warnings = parse(_site(name), _SITE, inherited=texts, files=files, now=now)
    except PolicyError as error:
        raise PolicyError(renamed(error.problems, name, file)) from error
    return policy, renamed(warnings, name, file)


class _With(Mapping[str, str]):
    """Other baselines, and this one in place of whatever has its name."""

    def __init__(self, others: Mapping[str, str], name: str, text: str) -> None:
        self._others = others
        self._name = name
        self._text = text

    def __getitem__(self, name: str) -> str:
        return self._text if name == self._name else self._others[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([self._name, *self._others]))

    def __len__(self) -> int:
        return len(set(self))


def _site(baseline: str) -> str:
    zones = "".join(f"  {role}: {{role: {role}, interfaces: [{role}0]}}\n" for role in ROLES)
    lines = "".join(f'  {role}0: {{provider: any, officer: "any <any@example>"}}\n' for role in EXTERNAL_ROLES)
    return f"reef: 1\nsite: any\ninherits: [{baseline}]\nzones:\n{zones}connections:\n{lines}"


def renamed(problems: Iterable[Problem], name: str, file: str) -> tuple[Problem, ...]:
    """The problems in the name of the file that was given."""
    own = f"{name}.yaml"
    return tuple(
        msgspec.structs.replace(problem, span=msgspec.structs.replace(problem.span, file=file))
        if problem.span.file in (own, _SITE)
        else problem
        for problem in problems
    )
