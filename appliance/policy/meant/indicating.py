"""What the section `indicators` of a text means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from typing import Any, cast

from appliance.policy import limits
from appliance.policy.consumers import Consumer
from appliance.policy.indicators import IndicatorSettings, IndicatorSource, NeverBlocked, Trust
from appliance.policy.meant.bantext import allowed
from appliance.policy.meant.lengths import seconds
from appliance.policy.meant.names import named
from appliance.policy.meant.rules import Resolver
from appliance.policy.model import Range
from appliance.policy.written.indicatortext import IndicatorSourceText, IndicatorsText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.text import Report, Word, value_of

_SOURCE = IndicatorSource("")


def indicators(
    text: IndicatorsText | None, consumers: Mapping[str, Consumer], resolver: Resolver, report: Report
) -> IndicatorSettings:
    """`consumers` are those of the text: who posts must be one that may."""
    if text is None:
        return IndicatorSettings()
    if len(text.sources) > limits.MAX_INDICATOR_SOURCES:
        at_most = f"at most {limits.MAX_INDICATOR_SOURCES:,}"
        report.error(text.sources[0].at, f"{len(text.sources):,} sources of indicators", at_most)
    never = text.never
    return IndicatorSettings(
        tuple(_source(one, consumers, report) for one in text.sources[: limits.MAX_INDICATOR_SOURCES]),
        NeverBlocked()
        if never is None
        else NeverBlocked(
            tuple(_networks(allowed(never.addresses, resolver, report).ranges)),
            tuple(dict.fromkeys(word.value.lower().rstrip(".") for word in never.names)),
            tuple(dict.fromkeys(word.value for word in never.lists)),
        ),
    )


def _source(text: IndicatorSourceText, consumers: Mapping[str, Consumer], report: Report) -> IndicatorSource:
    name = named(text.name)
    if text.address is None and not text.flawed:
        _posted(text, name, consumers, report)
    said: dict[str, Any] = {}
    for key, word in (("alert", text.alert), ("block", text.block), ("unsaid", text.confidence)):
        if word is not None:
            said[key] = int(word.value)
    if text.lasting is not None:
        said["lasting"] = _seconds(text.lasting, report)
    trust = Trust(**said)
    if text.block is not None and trust.alert is not None and trust.block is not None and trust.block < trust.alert:
        message = f"`{name.value}` would be blocked before it is told"
        report.error(text.block.at, message, "write a `block` that is not below `alert`")
    return IndicatorSource(
        name=name.value,
        trust=trust,
        address=value_of(text.address),
        format=_SOURCE.format if text.format is None else cast(Any, text.format.value),
        refresh=_SOURCE.refresh if text.refresh is None else 60 * int(text.refresh.value),
        key=value_of(text.key),
        credential=value_of(text.credential),
        owner=text.owner.value,
        description=value_of(text.description),
    )


def _posted(text: IndicatorSourceText, name: Word, consumers: Mapping[str, Consumer], report: Report) -> None:
    """Who posts is a consumer of that name, who may; keys about fetching mean nothing then."""
    consumer = consumers.get(name.value)
    if consumer is None:
        guess = did_you_mean(name.value, list(consumers))
        message = f"nobody can post as `{name.value}`: there is no such consumer"
        report.error(name.at, message, guess or "write `address`, or a consumer of that name with `may: indicators`")
    elif "indicators" not in consumer.may:
        message = f"the consumer `{name.value}` may not give indicators"
        report.error(name.at, message, "write `may: indicators` there, or an `address` here")
    for key in ("format", "refresh", "key", "credential"):
        word: Word | None = getattr(text, key)
        if word is not None:
            report.error(word.at, f"`{key}` is about what is fetched", "write `address` too, or leave it out")


def _seconds(word: Word, report: Report) -> int:
    return seconds(word, 0, limits.MAX_RETENTION_SECONDS, "write at most 3660 days, or `0 days` for no end", report)


def _networks(ranges: Iterable[Range]) -> Iterator[str]:
    for part in ranges:
        make = IPv4Address if part.version == 4 else IPv6Address
        yield from map(str, summarize_address_range(make(part.first), make(part.last)))
