"""docs/cli.md says every verb, every option and every JSON field that there is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli import build_parser
from appliance.commands import (
    audit,
    failure,
    followed,
    health,
    ips,
    ipsedit,
    ipstop,
    kept,
    lines,
    live,
    past,
    privacy,
    rules,
    suggest,
    text,
    whereused,
    why,
)
from appliance.commands import evidence as evidence_made
from appliance.commands.flows import FlowLine
from appliance.control.messages import audit as messages_audit
from appliance.control.messages import bans as messages_bans
from appliance.control.messages import changes as messages_changes
from appliance.control.messages import console as messages_console
from appliance.control.messages import gateway as messages
from appliance.control.messages import impact as messages_impact
from appliance.control.messages import indicators as messages_indicators
from appliance.control.messages import lines as messages_lines
from appliance.control.messages import live as messages_live
from appliance.control.messages import privacy as messages_privacy
from appliance.control.messages import why as messages_why
from appliance.control.messages.hits import Gap
from appliance.events import record
from appliance.policy.answering.impact import ImpactGroup, Tally
from appliance.policy.answering.tighten import Narrowing
from appliance.policy.answering.why import Answer, NearMiss, Step
from appliance.records import checkpoint
from appliance.records import evidence as evidence_found
from appliance.report import evidence, facts, report
from dataplane import tally

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def sections() -> dict[str, str]:
    """The text under each heading that begins with `reef`, by the verb's words."""
    found: dict[str, str] = {}
    for part in re.split(r"^#{2,4} ", DOCS.read_text(), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        words = [word for word in head.split() if word.islower()]
        if head.startswith("reef "):
            found[" ".join(words)] = body
    return found


def verbs(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ("reef",)
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield " ".join((*path, name)), child
                yield from verbs(child, (*path, name))


def test_every_verb_has_its_section_and_no_section_is_of_a_verb_that_is_not() -> None:
    assert set(sections()) == {name for name, _ in verbs(build_parser())}


def test_every_option_is_said_in_the_section_of_its_verb() -> None:
    common = DOCS.read_text().split("## Texts")[0]
    for name, parser in verbs(build_parser()):
        for action in parser._actions:
            for option in action.option_strings:
                hidden = action.help == argparse.SUPPRESS or option in {"-h", "--help"}
                assert hidden or f"`{option}" in common + sections()[name], f"{name} {option}"


@pytest.mark.parametrize(
    ("verb", "structs"),
    [
        ("reef check", [text.Verdict]),
        ("reef plan", [messages.Planned, messages.Change]),
        ("reef apply", [messages.Applied]),
        ("reef propose", [messages_changes.Proposal]),
        ("reef proposals list", [messages_changes.ProposalList]),
        (
            "reef proposals show",
            [
                messages_changes.ProposalShown,
                messages_changes.Comment,
                messages_changes.Approval,
                messages_changes.Happened,
            ],
        ),
        ("reef draft list", [messages_changes.DraftList, messages_changes.Draft]),
        ("reef draft show", [messages_changes.DraftTextIs]),
        ("reef impact", [messages_impact.Impacted, ImpactGroup, Tally]),
        ("reef confirm", [messages.Confirmed]),
        ("reef history", [messages.HistoryList, messages.GenerationSummary]),
        ("reef show status", [messages.StatusReport, messages.ProcessHealth]),
        ("reef show generation", [messages.Shown]),
        ("reef show rules", [rules.RuleList, rules.RuleLine, Gap]),
        ("reef suggest", [suggest.Proposal, Narrowing]),
        ("reef where-used", [whereused.Named, whereused.Place, whereused.Unused]),
        ("reef show zones", [live.ZoneLine]),
        ("reef show bridges", [messages.BridgeState]),
        (
            "reef show lines",
            [messages_lines.LineList, messages_lines.LineState, messages_lines.Side, messages_lines.Past],
        ),
        ("reef show connections", [lines.ConnectionLine]),
        ("reef show flows", [messages_live.FlowList, FlowLine, messages_live.Flow]),
        ("reef show sets", [messages_live.SetList, messages_live.LiveSet]),
        ("reef diff", [past.Difference]),
        ("reef why", [why.Reason, Answer, Step, NearMiss, followed.Kernel, messages_why.Traced]),
        ("reef ips check", [ips.Checked, ips.RefusedRule, ips.KeywordUse]),
        ("reef ips evidence", [kept.KeptList, kept.Kept, kept.Carried]),
        ("reef ips evidence save", [kept.Saved]),
        (
            "reef inspect",
            [
                tally.Summary,
                tally.Found,
                tally.RuleAlerts,
                tally.Protocol,
                tally.Host,
                tally.Talk,
                tally.File,
                tally.Named,
                tally.Count,
                tally.Bar,
            ],
        ),
        ("reef doctor", [health.Examination, health.Finding, messages.Capability]),
        (
            "reef report",
            [report.Report, report.Section, report.Answer, report.Judgement, evidence.Evidence, facts.Subject],
        ),
        ("reef ips top", [ipstop.FiredList, ipstop.Fired, ipstop.Touched, record.RuleCostState]),
        ("reef ips escalate", [ipsedit.Candidate]),
        ("reef audit log", [audit.AuditLine, record.Audit]),
        ("reef audit verify", [audit.VerifyRow, checkpoint.Cosigned]),
        ("reef audit witnesses", [messages_audit.WitnessList, messages_audit.WitnessInfo]),
        ("reef audit hold", [messages_audit.HoldList, messages_audit.HoldInfo]),
        ("reef evidence make", [evidence_made.Made]),
        ("reef evidence verify", [evidence_found.Found]),
        ("reef ban list", [messages.BanList, messages.BanEntry]),
        ("reef indicators list", [messages_indicators.IndicatorList, messages_indicators.IndicatorInfo]),
        ("reef indicators add", [messages_indicators.IndicatorsTaken]),
        ("reef unmask", [messages_privacy.Unmasked]),
        ("reef privacy table", [privacy.Store]),
        ("reef privacy find", [messages_privacy.SubjectFound, messages_privacy.Held]),
        ("reef console people", [messages_console.ConsolePeopleAre, messages_console.ConsolePerson]),
        ("reef console invite", [messages_console.Invited]),
        ("reef console sessions", [messages_console.ConsoleSessionList, messages_console.ConsoleSession]),
        ("reef console revoke", [messages_console.SessionsRevoked]),
        ("reef console break-glass", [messages_console.GlassCodes]),
        ("reef indicators override", [messages_indicators.Overridden]),
        ("reef indicators sources", [messages_indicators.SourceInfo]),
        ("reef allow list", [messages_bans.Allowed, messages_bans.AllowEntry]),
    ],
)
def test_every_json_field_is_said(verb: str, structs: list[type]) -> None:
    said = set(re.findall(r"`([a-z0-9_]+)`", sections()[verb]))
    for struct in structs:
        fields = set(struct.__struct_fields__)  # type: ignore[attr-defined]
        assert fields <= said, (struct.__name__, fields - said)


def test_a_finding_is_said() -> None:
    said = set(re.findall(r"`([a-z_]+)`", DOCS.read_text().split("## Texts")[0]))
    assert set(messages.Finding.__struct_fields__) <= said


def test_every_exit_code_is_said() -> None:
    codes = {value for name, value in vars(failure).items() if name.isupper() and isinstance(value, int)}
    said = {int(code) for code in re.findall(r"^\| (\d+) \|", DOCS.read_text(), flags=re.MULTILINE)}
    assert said == codes
