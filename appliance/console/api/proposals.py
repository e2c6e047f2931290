"""Proposals: texts that others look at, approve, and have run."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console.api.drafts import LONG, TEXT, Replay
from appliance.console.context import Ctx
from appliance.console.paging import page
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.changes import (
    MOST_LISTED,
    AmendProposal,
    ApplyProposal,
    ApproveProposal,
    CommentProposal,
    Proposal,
    ProposalList,
    Proposals,
    ProposalShown,
    RejectProposal,
    ScheduleProposal,
    ShowProposal,
    Tried,
    TryProposal,
    WithdrawProposal,
)
from appliance.control.messages.gateway import Applied
from appliance.control.messages.impact import Impact, Impacted
from appliance.control.messages.text import Finding, Planned


class Of(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one state, or of all; `limit` at a time, behind the proposal `after`."""

    state: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    after: str = ""


class Remark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words about a proposal, or about one rule of it."""

    words: str
    rule: str = ""


class Approving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`digest` is that of the text that was looked at."""

    digest: str
    words: str = ""


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: str = ""


class Amending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another text in the place of that which `digest` names; `base` is the generation that it was made from."""

    digest: str
    text: str
    words: str = ""
    files: dict[str, str] | None = None
    base: int | None = None


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds since the epoch; 0 takes it back."""

    at: float
    confirm_within: int | None = None


class Trying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another text for what `digest` names; `files` as they are when they are left out."""

    digest: str
    text: str
    files: dict[str, str] | None = None


class TriedView(msgspec.Struct, frozen=True):
    """`planned` is null where the text is refused, and `findings` say why."""

    planned: Planned | None
    findings: tuple[Finding, ...]


class Applying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`confirm_within` seconds; null is the policy's own setting."""

    digest: str
    confirm_within: int | None = None


@endpoint("GET", "/proposals", permission="look", answers=tuple[Proposal, ...], paged=True)
async def listed(ctx: Ctx, query: Of) -> object:
    """Proposals, the newest first."""
    found = (await ctx.ask(Proposals(query.state, MOST_LISTED), ProposalList)).proposals
    return page(found, query.limit, query.after, lambda one: f"{one.number}")


@endpoint("GET", "/proposals/{number}", permission="look", answers=ProposalShown, tagged=True)
async def shown(ctx: Ctx, number: int) -> object:
    """A proposal with its text, what it would change by now, and what was said of it."""
    found = await ctx.ask(ShowProposal(number), ProposalShown)
    return Answer(found, tag=found.proposal.digest)


@endpoint("GET", "/proposals/{number}/impact", permission="look", answers=Impacted)
async def impact(ctx: Ctx, number: int, query: Replay) -> object:
    """The flows of the last days that it would have decided otherwise."""
    found = await ctx.ask(ShowProposal(number), ProposalShown)
    message = Impact(found.text, "policy.yaml", found.files, query.days, query.seconds, query.addresses)
    return await ctx.ask(message, Impacted, timeout=LONG)


@endpoint("POST", "/proposals/{number}/comments", permission="look", answers=Proposal)
async def commented(ctx: Ctx, number: int, body: Remark) -> object:
    """Say something about it."""
    return await ctx.ask(CommentProposal(number, body.words, body.rule), Proposal)


@endpoint("POST", "/proposals/{number}/approve", permission="approve", answers=Proposal, match=True)
async def approved(ctx: Ctx, number: int, body: Approving) -> object:
    """Approve the text that one looked at. Nobody approves what they proposed or amended."""
    ctx.match(body.digest)
    return await ctx.ask(ApproveProposal(number, body.digest, body.words), Proposal)


@endpoint("POST", "/proposals/{number}/reject", permission="approve", answers=Proposal, match=True)
async def rejected(ctx: Ctx, number: int, body: Why) -> object:
    """Reject it, with the reason."""
    return await ctx.ask(RejectProposal(number, body.words, ctx.seen()), Proposal)


@endpoint("POST", "/proposals/{number}/amend", permission="look", answers=Proposal, match=True, largest=TEXT)
async def amended(ctx: Ctx, number: int, body: Amending) -> object:
    """Give it another text. Every approval is taken back."""
    ctx.match(body.digest)
    message = AmendProposal(number, body.digest, body.text, body.words, body.files, body.base)
    return await ctx.ask(message, Proposal)


@endpoint("POST", "/proposals/{number}/try", permission="look", answers=TriedView, largest=TEXT)
async def tried(ctx: Ctx, number: int, body: Trying) -> object:
    """What would become of it with another text: what is found, what would change. Nothing is kept."""
    found = await ctx.ask(TryProposal(number, body.digest, body.text, body.files), Tried)
    return TriedView(found.planned, found.findings)


@endpoint("POST", "/proposals/{number}/try/impact", permission="look", answers=Impacted, largest=TEXT)
async def tried_on_flows(ctx: Ctx, number: int, query: Replay, body: Trying) -> object:
    """The flows of the last days that it would have decided otherwise with another text."""
    found = await ctx.ask(TryProposal(number, body.digest, body.text, body.files), Tried)
    message = Impact(found.text, "policy.yaml", found.files, query.days, query.seconds, query.addresses)
    return await ctx.ask(message, Impacted, timeout=LONG)


@endpoint("POST", "/proposals/{number}/withdraw", permission="edit", answers=Proposal, match=True)
async def withdrawn(ctx: Ctx, number: int, body: Why) -> object:
    """Take it back."""
    return await ctx.ask(WithdrawProposal(number, body.words, ctx.seen()), Proposal)


@endpoint("POST", "/proposals/{number}/schedule", permission="apply", answers=Proposal, match=True)
async def scheduled(ctx: Ctx, number: int, body: When) -> object:
    """Have it applied at a moment, when it is approved by then."""
    return await ctx.ask(ScheduleProposal(number, body.at, body.confirm_within, ctx.seen()), Proposal)


@endpoint("POST", "/proposals/{number}/apply", permission="apply", answers=Applied, match=True)
async def applied(ctx: Ctx, number: int, body: Applying) -> object:
    """Apply it now. Unless it is confirmed in time, by a connection that passed the new rules, it is rolled back."""
    ctx.match(body.digest)
    message = ApplyProposal(number, body.digest, body.confirm_within, ctx.session)
    return await ctx.ask(message, Applied, timeout=LONG)
