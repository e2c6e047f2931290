"""`reef ips check`: what of rules in Suricata's language the engine can enforce, and why not the rest."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.commands.failure import OK, REFUSED, Failure
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count

if TYPE_CHECKING:
    from dataplane.rules.problem import Problem
    from dataplane.ruleset import RuleSet

SHOWN = 50  # problems that are printed; `--all` and `--json` have the rest


class KeywordUse(msgspec.Struct, frozen=True):
    """A keyword that the rules use. `state` is supported, differs, unsupported or unknown."""

    keyword: str
    uses: int
    state: str
    remark: str


class RefusedRule(msgspec.Struct, frozen=True):
    """A rule that is not enforced. `unsupported`: it is right, the engine cannot do it."""

    file: str
    line: int
    sid: int
    keyword: str
    reason: str
    unsupported: bool


class Checked(msgspec.Struct, frozen=True):
    """What `reef ips check --json` prints. `share` is what is loaded of the rules for this engine, in per cent."""

    rules: int
    loaded: int
    share: float
    skipped: int
    refused: list[RefusedRule]
    replaced: list[RefusedRule]
    keywords: list[KeywordUse]


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    from dataplane.rulefiles import RulesError, compiled, variables_of

    try:
        found = compiled([Path(name) for name in options.rules], variables_of(options.set))
    except RulesError as error:
        raise Failure(
            str(error), "name rule files, or folders with files that end in .rules", name="rules"
        ) from error
    checked = _checked(found)
    if terminal.json:
        terminal.data(checked)
    else:
        _show(found, checked, terminal, options)
    return OK if options.allow_refused or not checked.refused else REFUSED


def _checked(found: RuleSet) -> Checked:
    from dataplane.rules.keywords import KEYWORDS

    total = found.loaded + len(found.refused)
    uses = []
    for name, times in sorted(found.keywords.items(), key=lambda item: (-item[1], item[0])):
        keyword = KEYWORDS.get(name)
        uses.append(
            KeywordUse(name, times, keyword.state if keyword else "unknown", keyword.remark if keyword else "")
        )
    return Checked(
        rules=total + len(found.replaced) + found.skipped,
        loaded=found.loaded,
        share=round(100 * found.loaded / total, 3) if total else 100.0,
        skipped=found.skipped,
        refused=[_row(problem) for problem in found.refused],
        replaced=[_row(problem) for problem in found.replaced],
        keywords=uses,
    )


def _row(problem: Problem) -> RefusedRule:
    return RefusedRule(
        escape(problem.file), problem.line, problem.sid, problem.keyword, escape(problem.reason), problem.unsupported
    )


def _show(found: RuleSet, checked: Checked, terminal: Terminal, options: argparse.Namespace) -> None:
    terminal.line(
        f"{count(checked.rules, 'rule')}: {checked.loaded} loaded ({checked.share:g} %), "
        f"{len(checked.refused)} refused, {len(checked.replaced)} replaced by a higher revision, "
        f"{checked.skipped} for other engines"
    )
    most = len(found.refused) if options.all else SHOWN
    for problem in found.refused[:most]:
        terminal.line(escape(str(problem)), "" if problem.unsupported else "yellow")
    if len(found.refused) > most:
        terminal.note(f"… and {len(found.refused) - most} more; --all prints them")
    if len(found.refused) > 1:
        reasons = Counter((problem.keyword, problem.reason) for problem in found.refused)
        rows = [(str(times), escape(word), escape(reason)) for (word, reason), times in reasons.most_common(most)]
        terminal.line()
        terminal.table(("refused", "keyword", "reason"), rows)
    if options.keywords:
        terminal.line()
        terminal.table(
            ("uses", "keyword", "state", "remark"),
            [(str(use.uses), escape(use.keyword), use.state, use.remark) for use in checked.keywords],
        )
