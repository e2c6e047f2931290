"""Drafts: texts that somebody works at. Everybody may look at them; only whose they are may change them."""

from __future__ import annotations

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.changes import (
    CheckDraft,
    Draft,
    DraftChecked,
    DraftList,
    Drafts,
    DraftText,
    DraftTextIs,
    DropDraft,
    Edit,
    EditDraft,
    ImpactDraft,
    Merged,
    MergeDraft,
    NameDraft,
    OpenDraft,
    PlanDraft,
    Proposal,
    Propose,
    RedoDraft,
    SetDraft,
    UndoDraft,
)
from appliance.control.messages.impact import Impacted
from appliance.control.messages.text import Planned
from appliance.control.messages.why import Noted

TEXT = 17 << 20  # bytes of a body with a whole text
LONG = 300.0  # seconds that a replay may take


class NewDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A draft of the text that runs, of that of a `generation`, or of a `text` with its list `files`."""

    title: str = ""
    generation: int | None = None
    text: str | None = None
    files: dict[str, str] = {}


class Naming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    title: str | None = None
    ticket: str | None = None


class Typed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of the text of `version`; places are UTF-16 code units, sorted, and do not overlap. `label` is what the
    step is called when it is taken back."""

    version: int
    edits: tuple[Edit, ...]
    label: str = ""


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another text in the place of that of `version`."""

    version: int
    text: str
    label: str = ""
    files: dict[str, str] | None = None


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version that somebody saw."""

    version: int


class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bring what `other` changed, a draft or "" for what runs, into the draft at `version`."""

    version: int
    other: str = ""


class Asking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What approvers read."""

    title: str = ""
    why: str = ""
    ticket: str = ""


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The flows of how many days; with `addresses` hosts are named, and that is written down. `seconds` bounds it."""

    days: int = 7
    addresses: bool = False
    seconds: float = 0.0


@endpoint("GET", "/drafts", permission="look", answers=tuple[Draft, ...])
async def listed(ctx: Ctx) -> object:
    """Everybody's drafts."""
    return (await ctx.ask(Drafts(), DraftList)).drafts


@endpoint("POST", "/drafts", permission="edit", answers=Draft, status=201, largest=TEXT)
async def opened(ctx: Ctx, body: NewDraft) -> object:
    """Begin a draft."""
    draft = await ctx.ask(OpenDraft(body.title, body.generation, body.text, body.files), Draft)
    return Answer(draft, tag=str(draft.version), location=f"/api/v1/drafts/{draft.id}")


@endpoint("GET", "/drafts/{id}", permission="look", answers=Draft, tagged=True)
async def one(ctx: Ctx, id: str) -> object:
    """A draft, without its text."""
    draft = await _about(ctx, id)
    return Answer(draft, tag=str(draft.version))


async def _about(ctx: Ctx, id_: str) -> Draft:
    for draft in (await ctx.ask(Drafts(), DraftList)).drafts:
        if draft.id == id_:
            return draft
    raise problems.not_found("there is no such draft")


@endpoint("PATCH", "/drafts/{id}", permission="edit", answers=Draft, match=True, tagged=True)
async def named(ctx: Ctx, id: str, body: Naming) -> object:
    """Give a draft another title or ticket."""
    before = await _about(ctx, id)
    ctx.match(str(before.version))
    draft = await ctx.ask(NameDraft(id, body.title, body.ticket), Draft)
    changed = (draft.title, draft.ticket) != (before.title, before.ticket)
    return Answer(draft, tag=str(draft.version), changed=changed)


@endpoint("DELETE", "/drafts/{id}", permission="edit", match=True)
async def dropped(ctx: Ctx, id: str) -> None:
    """Throw a draft away."""
    ctx.match(str((await _about(ctx, id)).version))
    await ctx.ask(DropDraft(id), Noted)
    ctx.console.workshop.drop(id)


@endpoint("GET", "/drafts/{id}/text", permission="look", answers=DraftTextIs, tagged=True)
async def text(ctx: Ctx, id: str) -> object:
    """A draft with its text."""
    found = await ctx.ask(DraftText(id), DraftTextIs)
    return Answer(found, tag=str(found.draft.version))


@endpoint(
    "PATCH", "/drafts/{id}/text", permission="edit", answers=DraftChecked, match=True, tagged=True, largest=TEXT
)
async def typed(ctx: Ctx, id: str, body: Typed) -> object:
    """Change parts of the text. Answers with what is found and proven of it."""
    ctx.match(str(body.version))
    checked = await ctx.ask(EditDraft(id, body.version, body.edits, body.label), DraftChecked)
    ctx.console.workshop.typed(id, body.version, body.edits, checked)
    return Answer(checked, tag=str(checked.draft.version), changed=checked.draft.version != body.version)


@endpoint("PUT", "/drafts/{id}/text", permission="edit", answers=DraftChecked, match=True, tagged=True, largest=TEXT)
async def put(ctx: Ctx, id: str, body: Whole) -> object:
    """Give the draft another text."""
    ctx.match(str(body.version))
    checked = await ctx.ask(SetDraft(id, body.version, body.text, body.label, body.files), DraftChecked)
    return Answer(checked, tag=str(checked.draft.version), changed=checked.draft.version != body.version)


@endpoint("GET", "/drafts/{id}/proof", permission="look", answers=DraftChecked, tagged=True)
async def proof(ctx: Ctx, id: str) -> object:
    """What is found and proven of a draft as it is."""
    checked = await ctx.ask(CheckDraft(id), DraftChecked)
    return Answer(checked, tag=str(checked.draft.version))


@endpoint("POST", "/drafts/{id}/undo", permission="edit", answers=DraftChecked, match=True, tagged=True)
async def undone(ctx: Ctx, id: str, body: Seen) -> object:
    """Take the last step back."""
    return await _stepped(ctx, body, UndoDraft(id, body.version))


@endpoint("POST", "/drafts/{id}/redo", permission="edit", answers=DraftChecked, match=True, tagged=True)
async def redone(ctx: Ctx, id: str, body: Seen) -> object:
    """Take a step again that was taken back."""
    return await _stepped(ctx, body, RedoDraft(id, body.version))


async def _stepped(ctx: Ctx, body: Seen, message: UndoDraft | RedoDraft) -> object:
    ctx.match(str(body.version))
    checked = await ctx.ask(message, DraftChecked)
    ctx.console.workshop.typed(message.id, body.version, checked.edits, checked)
    return Answer(checked, tag=str(checked.draft.version))


@endpoint("GET", "/drafts/{id}/plan", permission="look", answers=Planned)
async def plan(ctx: Ctx, id: str) -> object:
    """What applying the draft would change, in words and in traffic."""
    return await ctx.ask(PlanDraft(id), Planned)


@endpoint("GET", "/drafts/{id}/impact", permission="look", answers=Impacted)
async def impact(ctx: Ctx, id: str, query: Replay) -> object:
    """The flows of the last days that the draft would have decided otherwise."""
    message = ImpactDraft(id, query.days, query.addresses, query.seconds)
    return await ctx.ask(message, Impacted, timeout=LONG)


@endpoint("POST", "/drafts/{id}/merge", permission="edit", answers=Merged, match=True, tagged=True)
async def merged(ctx: Ctx, id: str, body: Other) -> object:
    """Bring in what another draft, or what runs by now, has changed. Conflicts are told by rule."""
    ctx.match(str(body.version))
    found = await ctx.ask(MergeDraft(id, body.version, body.other), Merged)
    return Answer(found, tag=str(found.draft.version))


@endpoint("POST", "/drafts/{id}/propose", permission="edit", answers=Proposal, match=True, status=201)
async def proposed(ctx: Ctx, id: str, body: Asking) -> object:
    """Ask others to approve the draft as it is."""
    version = ctx.seen()
    if version and not version.isdecimal():
        ctx.match(str((await _about(ctx, id)).version))
    message = Propose(id, body.title, body.why, body.ticket, int(version or 0))
    proposal = await ctx.ask(message, Proposal)
    return Answer(proposal, tag=proposal.digest, location=f"/api/v1/proposals/{proposal.number}")
