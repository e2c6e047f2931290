"""`reef suggest`: what rules could be narrowed to without losing what they were seen to match. Nothing changes."""

from __future__ import annotations

import argparse
import time

import msgspec

from appliance.commands.candidate import Running, difference, running_text
from appliance.commands.failure import OK, REFUSED, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.observed import HOUR, Observation, observed
from appliance.commands.rules import LACK, number
from appliance.commands.terminal import Terminal, escape
from appliance.commands.text import show_lines
from appliance.commands.words import count, span
from appliance.control.messages.hits import HitList, Hits, RuleHits
from appliance.policy.answering.tighten import (
    FIELDS,
    PUBLISHED,
    Narrowing,
    Suggestion,
    known_rule,
    matches,
    narrowed,
    tighten,
)
from appliance.policy.model import Policy, Rule
from appliance.policy.written import edit
from appliance.policy.written.edit import EditError


class Proposal(msgspec.Struct, frozen=True):
    """What is proposed for one rule, as `reef suggest --json` prints it.

    `kind` is narrow, remove or none; `why` says on what grounds. `seen` connections were looked at, over
    `observed` seconds. `diff` are the lines of a unified diff of the text; none where the text is not the site's own.
    """

    rule: str
    kind: str
    why: str
    seen: int
    observed: float
    changes: tuple[Narrowing, ...] = ()
    diff: tuple[str, ...] = ()


def suggest(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    now = time.time()
    running = running_text(gateway)
    rules = _chosen(options.rule, running.policy)
    hits = gateway.ask(Hits(options.window), HitList)
    history = {one.id: one for one in hits.rules}
    seen = observed(gateway, [rule.id for rule in rules], now - options.window, now)
    found = [_proposal(rule, running, history.get(rule.id), seen, options) for rule in rules]
    if not options.rule:
        found = [proposal for proposal in found if proposal.kind != "none"]
    if terminal.json:
        terminal.data({"suggestions": found})
    elif options.diff:
        _showdifference(running, found, terminal)
    else:
        _show(found, terminal)
        for words in seen.missing:
            terminal.note(f"not looked at: {escape(words)}", "yellow")
    return OK


def _chosen(ident: str, policy: Policy) -> list[Rule]:
    """One rule, or every rule that could be narrowed: what denies would let more through."""
    if not ident:
        return [rule for rule in policy.rules if rule.action == "allow" and rule.enabled and rule.origin == "site"]
    try:
        return [known_rule(policy, ident)]
    except KeyError as error:
        raise Failure(f"there is no rule {ident!r}", str(error.args[0]), code=REFUSED, name="unknown") from error


def _proposal(
    rule: Rule,
    running: Running,
    history: RuleHits | None,
    seen: Observation,
    options: argparse.Namespace,
) -> Proposal:
    def none(why: str, flows: int = 0, period: float = 0.0) -> Proposal:
        return Proposal(rule.id, "none", why, flows, period)

    if rule.action != "allow":
        return none(f"it does not allow but {rule.action}: narrowed, it would let more through")
    if history is None:
        return none("it is not in the kernel")
    if not history.last or history.last < seen.end - options.window:
        if history.watched < options.window * (1 - LACK):
            return none(f"no hit, but watched for {span(history.watched)} of {span(options.window)} only")
        why = f"not one hit in {span(options.window)}, and watched for all of it"
        return _with_edit(Proposal(rule.id, "remove", why, 0, history.watched), running, rule, None)
    # What an earlier wording of the rule matched says nothing about this one. What the flow log has of the hour in
    # which it was reworded may be of either: it counts where the rule holds it.
    reworded = history.worded - (HOUR if seen.every else 0)
    mine = [
        one
        for one in seen.rules.get(rule.id, ())
        if one.last >= history.worded or (one.last >= reworded and matches(rule, one))
    ]
    mine += [one for one in seen.running.get(rule.id, ()) if matches(rule, one)]
    flows = sum(one.times for one in mine)
    period = seen.end - max(seen.begin, history.worded)
    if not mine:
        return none(
            "it was hit, but the log has no connection of it" + ("" if seen.every else ": give it `log: end`")
        )
    strange = sum(one.times for one in mine if not matches(rule, one))
    if strange:
        words = f"{count(strange, 'connection')} of it in the log went where its words do not say (translation)"
        return none(words, flows, period)
    if period < options.at_least:
        words = f"the log has {span(period)} of it, less than {span(options.at_least)} (--at-least)"
        return none(words, flows, period)
    fields = PUBLISHED if edit.published(running.text, rule.id) else FIELDS
    suggestion = tighten(rule, mine, running.policy, options.most, fields)
    if not suggestion.changes:
        return none("what it matched is most of what it says", flows, period)
    why = f"{count(flows, 'connection')} in {span(period)}, of {count(history.worded_hits, 'hit')}"
    proposal = Proposal(rule.id, "narrow", why, flows, period, suggestion.changes)
    return _with_edit(proposal, running, rule, suggestion)


def _with_edit(proposal: Proposal, running: Running, rule: Rule, suggestion: Suggestion | None) -> Proposal:
    """The proposal with the edit that would do it, read back: it must parse and say exactly what is proposed."""
    try:
        text = _edited(running.text, proposal)
        policy = running.parsed(text)
    except EditError as error:
        return msgspec.structs.replace(proposal, why=f"{proposal.why}; not edited: {error}")
    except Failure as failure:
        first = failure.findings[0].message if failure.findings else failure.message
        return msgspec.structs.replace(proposal, why=f"{proposal.why}; not edited: {first}")
    found = [one for one in policy.rules if one.id == rule.id]
    wanted = [] if suggestion is None else [suggestion.narrowed]
    if [_meant(one) for one in found] != [_meant(one) for one in wanted]:
        return msgspec.structs.replace(proposal, why=f"{proposal.why}; not edited: the text would say something else")
    return msgspec.structs.replace(proposal, diff=difference(running, text))


def _edited(text: str, proposal: Proposal) -> str:
    """The text with one proposal carried out. Raises `EditError`."""
    if proposal.kind == "remove":
        return edit.delete(text, proposal.rule)
    return narrowed(text, proposal.rule, proposal.changes)


def _meant(rule: Rule) -> tuple[object, ...]:
    """What a narrowed rule matches, whatever the order of its words."""
    entries = frozenset(rule.services)
    return frozenset(rule.sources), frozenset(rule.destinations), rule.source, rule.destination, entries


# --- what is printed --------------------------------------------------------------------------------


def _showdifference(running: Running, found: list[Proposal], terminal: Terminal) -> None:
    """All edits as one diff, for `patch`."""
    text = running.text
    for proposal in found:
        if proposal.diff:
            text = _edited(text, proposal)
    show_lines(difference(running, text), terminal)


def _show(found: list[Proposal], terminal: Terminal) -> None:
    for proposal in found:
        terminal.line(f"{escape(proposal.rule)}: {_VERBS[proposal.kind]} ({escape(proposal.why)})", "bold")
        for change in proposal.changes:
            seen = f"{number(change.values)} different {'one' if change.values == 1 else 'ones'} seen"
            terminal.line(f"  {change.field}: {escape(', '.join(change.before))} → {_words(change)}  ({seen})")
        show_lines([f"  {line}" for line in proposal.diff[2:]], terminal)
        terminal.line()
    if not found:
        terminal.line("Nothing is suggested: `reef suggest RULE` says why for one rule.")
    elif any(proposal.diff for proposal in found):
        terminal.note("Nothing was changed. `reef suggest --diff | patch FILE` makes these edits in a text.", "dim")


_VERBS = {"narrow": "could say less", "remove": "could go", "none": "nothing is suggested"}


def _words(change: Narrowing) -> str:
    return escape(", ".join(change.after))
