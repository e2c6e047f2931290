"""What becomes of an indicator: how strongly each of its values is acted on, where, and why not more.

A source begins in `watch` and earns more: the text says from which confidence on it may alert and block. What is
never blocked is at most alerted on; what two people overrode is as strong as its source allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from appliance.indicators.indicator import Indicator
from appliance.indicators.never import Never
from appliance.indicators.values import Kind, Value
from appliance.policy.indicators import Trust


class Mode(IntEnum):
    """How strongly: each does what those below it do."""

    NONE = 0  # kept, and nothing more
    WATCH = 1  # hits are counted and come back as sightings
    ALERT = 2  # somebody is told
    BLOCK = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Ruling(msgspec.Struct, frozen=True, gc=False):
    """`modes` of the values that are looked for; `why`, in words, each is weaker than its source would have it, and
    under "" for the whole."""

    modes: tuple[tuple[Value, Mode], ...]
    why: tuple[tuple[str, str], ...] = ()
    until: float = 0.0


# Who looks for what. Senders are the mail relay's.
LOOKED_FOR: Mapping[Kind, str] = {
    "address": "gate and ruleset",
    "network": "gate and ruleset",
    "domain": "inspection of DNS, TLS and HTTP",
    "url": "inspection of HTTP",
    "sha256": "inspection of files",
    "sha1": "inspection of files",
    "md5": "inspection of files",
    "certificate": "inspection of TLS",
    "ja3": "inspection of TLS",
    "ja3s": "inspection of TLS",
    "ja4": "inspection of TLS",
}


def ruling(
    indicator: Indicator, trust: Trust, never: Never, overridden: frozenset[Value], now: float, seen: float
) -> Ruling:
    """`seen` is when it first came here; `overridden` what two people want blocked all the same."""
    until = ending(indicator, trust, seen)
    if indicator.revoked:
        return Ruling((), (("", "its source took it back"),), until)
    if until and until <= now:
        return Ruling((), (("", "it ended"),), until)
    if indicator.since > now:
        return Ruling((), (("", "it does not hold yet"),), until)
    if not indicator.values:
        return Ruling((), (("", indicator.unenforced or "it names nothing to look for"),), until)
    most, whole = _most(indicator, trust)
    modes, why = [], [("", whole)] if whole else []
    for value in indicator.values:
        if value.kind not in LOOKED_FOR:
            why.append((value.text, f"nothing here looks for a {value.kind}"))
            continue
        mode = most
        spared = never.why(value) if most is Mode.BLOCK and value not in overridden else ""
        if spared:
            mode = Mode.ALERT
            why.append((value.text, f"never blocked: {spared}"))
        modes.append((value, mode))
    return Ruling(tuple(modes), tuple(why), until)


def _most(indicator: Indicator, trust: Trust) -> tuple[Mode, str]:
    """The most that the source may have done, and why not more."""
    sure = trust.unsaid if indicator.confidence is None else indicator.confidence
    said = f"a confidence of {sure}" + (" (its source says none)" if indicator.confidence is None else "")
    if trust.block is not None and sure >= trust.block:
        return Mode.BLOCK, ""
    if trust.alert is not None and sure >= trust.alert:
        need = "its source never blocks" if trust.block is None else f"its source blocks from {trust.block} on"
        return Mode.ALERT, f"{said}; {need}"
    need = "its source is watched" if trust.alert is None else f"its source alerts from {trust.alert} on"
    return Mode.WATCH, f"{said}; {need}"


def ending(indicator: Indicator, trust: Trust, seen: float) -> float:
    """When it ends, 0 for never: what the source says, and never later than the text lets a version of it last."""
    if not trust.lasting:
        return indicator.until
    latest = max(seen, indicator.modified) + trust.lasting
    return min(indicator.until, latest) if indicator.until else latest
