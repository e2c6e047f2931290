"""`reef indicators`: what others warned of, where it is enforced, how often it hit, and why it is not stronger."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Literal

from appliance.commands.failure import OK, Failure
from appliance.commands.files import STDIN, shown_name
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, size
from appliance.control.messages.indicators import (
    IndicatorInfo,
    IndicatorList,
    Indicators,
    IndicatorsTaken,
    Overridden,
    OverrideIndicator,
    SourceInfo,
    TakeIndicators,
)

_OF = "alertd"
_MOST_BYTES = 11 << 20  # in base64 it still is a message
_MOST_REFUSED = 20
_STYLES = {"block": "red", "alert": "yellow", "none": "dim"}

Format = Literal["stix", "misp", "csv"]


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    request = Indicators(
        getattr(options, "source", ""), getattr(options, "mode", ""), getattr(options, "word", ""),
        getattr(options, "limit", 100),
    )  # fmt: skip
    answer = Gateway(options).ask(request, IndicatorList, of=_OF)
    if terminal.json:
        terminal.data(answer)
        return OK
    rows = [(row, _STYLES.get(row[1], "")) for one in answer.indicators for row in rows_of(one)]
    terminal.table(
        ("value", "mode", "where", "source", "sure", "since", "until", "hits", "last hit", "why not more", "name"),
        [row for row, _ in rows],
        right={4, 7},
        styles=[style for _, style in rows],
        empty="no indicator is known" if not any((request.source, request.mode, request.word)) else "none of these",
    )
    if len(answer.indicators) < answer.total:
        terminal.note(f"these are {len(answer.indicators):,} of {answer.total:,}; --limit shows more")
    _summary(answer, terminal)
    return OK


def rows_of(one: IndicatorInfo) -> list[tuple[str, ...]]:
    """A row for each value; an indicator without one is a row too, with the reason."""
    why = dict(one.why)
    whole = why.get("", "")
    values = one.values or (("", one.id, "none", ""),)
    return [
        (
            text,
            mode,
            where,
            one.source,
            "" if one.confidence is None else str(one.confidence),
            local_time(one.seen),
            local_time(one.until) if one.until else "",
            f"{one.hits:,}" if one.hits else "",
            local_time(one.last_hit) if one.last_hit else "",
            "; ".join(filter(None, (why.get(text, ""), whole))),
            one.name,
        )
        for _, text, mode, where in values
    ]


def _summary(answer: IndicatorList, terminal: Terminal) -> None:
    held = ", ".join(f"{number:,} {mode}" for mode, number in sorted(answer.in_force.items()))
    terminal.note(f"values in force: {held or 'none'}")
    for value, first, second, why, until in answer.overrides:
        if second:
            words = (
                f"{value} is blocked in spite of its list, by {first} and {second} until {local_time(until)}: {why}"
            )
        else:
            words = f"{first} wants {value} blocked in spite of its list ({why}); another person must agree"
        terminal.note(escape(words), "yellow")
    for words in answer.words:
        terminal.note(escape(words), "yellow")


def sources(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(Indicators(limit=0), IndicatorList, of=_OF)
    if terminal.json:
        terminal.data(answer.sources)
        return OK
    terminal.table(
        ("source", "from", "indicators", "last fetched", "what is wrong"),
        [_source(one) for one in answer.sources],
        right={2},
        empty="the policy trusts no source of indicators",
    )
    return OK


def _source(one: SourceInfo) -> tuple[str, ...]:
    fetched = local_time(one.fetched) if one.fetched else "never"
    return (
        one.name, one.address or "who posts as it", f"{one.indicators:,}", fetched if one.address else "", one.error,
    )  # fmt: skip


def add(options: argparse.Namespace, terminal: Terminal) -> int:
    document = _read(options.file)
    request = TakeIndicators(options.source, options.format or format_of(document), document)
    taken = Gateway(options).ask(request, IndicatorsTaken, of=_OF)
    if terminal.json:
        terminal.data(taken)
        return OK
    terminal.line(
        f"{count(taken.new, 'new indicator')}, {taken.changed:,} changed, {taken.known:,} known already", "green"
    )
    for which, why in taken.refused[:_MOST_REFUSED]:
        terminal.note(escape(f"not taken: {which}: {why}"), "yellow")
    if len(taken.refused) > _MOST_REFUSED:
        terminal.note(f"and {len(taken.refused) - _MOST_REFUSED:,} more that were not taken", "yellow")
    return OK


def _read(file: str) -> bytes:
    """Raises `Failure`."""
    try:
        if file == STDIN:
            document = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                document = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Failure(f"{shown_name(file)}: {error.strerror}", name="unreadable") from error
    if len(document) > _MOST_BYTES:
        words = f"{shown_name(file)}: more than {size(_MOST_BYTES)}"
        raise Failure(words, "bring it in several files, or have it fetched from an `address`", name="too-large")
    return document


def format_of(document: bytes) -> Format:
    """What a document looks like: JSON of STIX or of MISP, else a list."""
    if document.lstrip()[:1] not in (b"{", b"["):
        return "csv"
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return "stix"  # whose reader says what is wrong
    first = found[0] if isinstance(found, list) and found else found
    return "misp" if isinstance(first, dict) and not {"Event", "response"}.isdisjoint(first) else "stix"


def override(options: argparse.Namespace, terminal: Terminal) -> int:
    request = OverrideIndicator(options.value, options.why, options.seconds)
    made = Gateway(options).ask(request, Overridden, of=_OF)
    if terminal.json:
        terminal.data(made)
    elif made.second:
        words = f"{made.value} is as strong as its source allows until {local_time(made.until)}"
        terminal.line(escape(f"{words}: {made.first} and {made.second} agree"), "green")
    else:
        terminal.line(escape(f"{made.first} wants {made.value} blocked; it holds when another person says so too"))
    return OK


def restore(options: argparse.Namespace, terminal: Terminal) -> int:
    made = Gateway(options).ask(OverrideIndicator(options.value, back=True), Overridden, of=_OF)
    if terminal.json:
        terminal.data(made)
    else:
        terminal.line(escape(f"{made.value} is never blocked again"), "green")
    return OK
