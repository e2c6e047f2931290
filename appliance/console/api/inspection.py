"""What inspection looks for: profiles, feeds, what is silenced and by whom."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.registry import endpoint
from appliance.control.messages.gateway import NameBook
from appliance.policy import addresses
from appliance.policy.compiling.reactions import words_of_reaction, words_of_signatures, words_of_threshold
from appliance.policy.model import EVERYTHING, AddressSet, Profile, Suppression


class ProfileRow(msgspec.Struct, frozen=True):
    """A profile, and the `rules` whose connections are inspected under it. `depth` is bytes a direction, 0 is all."""

    name: str
    rules: tuple[str, ...]
    unavailable: Literal["fail-open", "fail-closed"]
    depth: int
    reactions: tuple[str, ...]
    thresholds: tuple[str, ...]
    feeds: tuple[str, ...]
    description: str


class FeedRow(msgspec.Struct, frozen=True):
    """Where signatures come from: a file, or an address that is asked every `refresh` hours; signatures that are new
    only alert for `trial` days."""

    name: str
    origin: str
    refresh: int
    trial: int
    description: str


class SuppressionRow(msgspec.Struct, frozen=True):
    """Signatures that are silent, or with `action` alert only told, under `conditions`. It ends at `expires_at`."""

    id: str
    signatures: tuple[str, ...]
    action: Literal["off", "alert"]
    conditions: tuple[str, ...]
    owner: str
    why: str
    ticket: str
    expires_at: int


class InspectionView(msgspec.Struct, frozen=True):
    """What the running generation says of inspection."""

    generation: int
    profiles: tuple[ProfileRow, ...]
    feeds: tuple[FeedRow, ...]
    suppressions: tuple[SuppressionRow, ...]


@endpoint("GET", "/inspection", permission="look", answers=InspectionView)
async def inspection(ctx: Ctx) -> object:
    """Profiles, feeds and suppressions of what runs."""
    book = ctx.console.known.book
    if book is None:
        raise problems.away("it is not known yet what runs")
    return view(book)


def view(book: NameBook) -> InspectionView:
    feeds = tuple(
        FeedRow(one.name, one.address or one.file, one.refresh if one.address else 0, one.trial, one.description)
        for one in book.feeds
    )
    return InspectionView(
        book.generation,
        tuple(_profile(one, book) for one in book.profiles),
        feeds,
        tuple(_suppression(one) for one in book.suppressions),
    )


def _profile(one: Profile, book: NameBook) -> ProfileRow:
    return ProfileRow(
        one.name,
        tuple(rule.id for rule in book.rules if rule.inspect == one.name),
        one.unavailable,
        one.depth,
        tuple(f"{words_of_reaction(found)}: {found.action}" for found in one.reactions),
        tuple(words_of_threshold(found) for found in one.thresholds),
        one.feeds,
        one.description,
    )


def _suppression(one: Suppression) -> SuppressionRow:
    conditions = [
        *_where("client", one.source),
        *_where("server", one.destination),
        *_where("host", one.either),
        *(["from " + ", ".join(one.sources)] if one.sources else []),
        *(["to " + ", ".join(one.destinations)] if one.destinations else []),
        *(["under " + ", ".join(one.profiles)] if one.profiles else []),
    ]
    return SuppressionRow(
        one.id,
        tuple(words_of_signatures(signatures) for signatures in one.signatures),
        one.action,
        tuple(conditions),
        one.owner,
        one.why,
        one.ticket,
        one.expires_at,
    )


def _where(side: str, where: AddressSet) -> list[str]:
    if where == EVERYTHING:
        return []
    return [f"{side} {', '.join([*[addresses.words_of(part) for part in where.ranges], *where.dynamic])}"]
