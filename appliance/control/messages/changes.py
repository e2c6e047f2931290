"""What people do with texts before they run: drafts, proposals, approvals; and asking in a person's name.

Answered by policyd; `Acting` by every process that the console talks to.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.control.messages.text import Finding, Planned
from appliance.drafts.conflict import Conflict
from appliance.drafts.edits import Edit as Edit

ProposalState = Literal[
    "proposed", "approved", "scheduled", "applied", "confirmed", "rolled-back", "rejected", "withdrawn", "stale"
]


MOST_LISTED = 1_000  # proposals of one answer, and as many decided ones are kept


class Acting(msgspec.Struct, frozen=True, tag=True):
    """The console asks in the name of a person. `request` is the encoded message; `session` is the connection the
    person came by, "client-address client-port own-address own-port"."""

    person: str
    session: str
    request: bytes


class Marks(msgspec.Struct, frozen=True, tag=True):
    """Has anything changed? The console asks this for everybody who looks."""


class MarksAre(msgspec.Struct, frozen=True, tag=True):
    """Numbers that grow whenever a draft or a proposal changes."""

    drafts: int
    proposals: int


# --- drafts -----------------------------------------------------------------------------------------


class Draft(msgspec.Struct, frozen=True, tag=True):
    """A text that somebody works at. `base` is the generation it began from, `version` grows with every change.

    `findings` are how many the text had when it was looked at last, `ok` whether it could be applied then.
    """

    id: str
    person: str
    title: str
    base: int
    version: int
    created: float
    changed: float
    ok: bool
    findings: int
    ticket: str = ""
    undo: int = 0  # steps that can be taken back
    redo: int = 0


class Drafts(msgspec.Struct, frozen=True, tag=True):
    """Everybody's; only one's own can be changed."""


class DraftList(msgspec.Struct, frozen=True, tag=True):
    drafts: tuple[Draft, ...]


class OpenDraft(msgspec.Struct, frozen=True, tag=True):
    """A new draft: of the text of `generation` (None: the running one), or of `text` that was made from it.

    `files` are the list files that the text names, as in `Apply`.
    """

    title: str = ""
    generation: int | None = None
    text: str | None = None
    files: dict[str, str] = {}


class DraftText(msgspec.Struct, frozen=True, tag=True):
    id: str


class DraftTextIs(msgspec.Struct, frozen=True, tag=True):
    """`inherited` are the baselines that it is read under, by name."""

    draft: Draft
    text: str
    files: dict[str, str]
    inherited: dict[str, str]


class EditDraft(msgspec.Struct, frozen=True, tag=True):
    """Change the text of `version`; `edits` are sorted and do not overlap. `label` says what it was, for undo."""

    id: str
    version: int
    edits: tuple[Edit, ...]
    label: str = ""


class SetDraft(msgspec.Struct, frozen=True, tag=True):
    """Another text in the place of the one of `version`; `files` None: the list files stay."""

    id: str
    version: int
    text: str
    label: str = ""
    files: dict[str, str] | None = None


class NameDraft(msgspec.Struct, frozen=True, tag=True):
    """Another title or ticket; None leaves it."""

    id: str
    title: str | None = None
    ticket: str | None = None


class UndoDraft(msgspec.Struct, frozen=True, tag=True):
    id: str
    version: int


class RedoDraft(msgspec.Struct, frozen=True, tag=True):
    id: str
    version: int


class CheckDraft(msgspec.Struct, frozen=True, tag=True):
    """What is found in it, without a change."""

    id: str


class DropDraft(msgspec.Struct, frozen=True, tag=True):
    id: str


class ProvenOf(msgspec.Struct, frozen=True):
    """One thing that was proven of a rule, in words.

    dead        it can never match: `others` hide it
    no-effect   without it every packet is decided alike
    conflict    it and `others` share packets and decide them differently; the upper one wins
    invariant   it lets through what the invariant `name` never allows
    baseline    it changes what the baseline `name` demands
    `example` is a packet that shows it, "" where there is none. `line` is where the rule stands, 0 for elsewhere.
    """

    kind: Literal["dead", "no-effect", "conflict", "invariant", "baseline"]
    rule: str
    others: tuple[str, ...]
    name: str
    example: str
    line: int


class Proof(msgspec.Struct, frozen=True):
    """What was proven of a text. `conflicts` counts all pairs, of which `shown` has the first; where `undecided` says
    something, not everything is known. `seconds` is how long it took."""

    shown: tuple[ProvenOf, ...]
    conflicts: int
    undecided: tuple[str, ...]
    seconds: float


class DraftChecked(msgspec.Struct, frozen=True, tag=True):
    """A draft as it is now, and what is found in it. `edits` bring an editor from the text before to this one.

    `proof` is None where the text does not parse. `rules` counts them; `seconds` is how long all of it took.
    """

    draft: Draft
    ok: bool
    findings: tuple[Finding, ...]
    edits: tuple[Edit, ...]
    proof: Proof | None
    rules: int
    seconds: float


class PlanDraft(msgspec.Struct, frozen=True, tag=True):
    id: str


class ImpactDraft(msgspec.Struct, frozen=True, tag=True):
    id: str
    days: int = 7
    addresses: bool = False
    seconds: float = 0.0


class MergeDraft(msgspec.Struct, frozen=True, tag=True):
    """Bring into a draft what `other` changed since the two parted: another draft's id, or "" for what runs."""

    id: str
    version: int
    other: str = ""


class Merged(msgspec.Struct, frozen=True, tag=True):
    """`edits` as in `DraftChecked`. Where there are `conflicts` the draft has its own part of each."""

    draft: Draft
    edits: tuple[Edit, ...]
    conflicts: tuple[Conflict, ...]


class Between(msgspec.Struct, frozen=True, tag=True):
    """What going from generation `first` to `last` changes (None: the running one). Answered by `Planned`."""

    first: int | None = None
    last: int | None = None


# --- proposals --------------------------------------------------------------------------------------


class Proposal(msgspec.Struct, frozen=True, tag=True):
    """A text that somebody asks to have run.

    `digest` names exactly what would run: an approval is of it. `approvals` of `needed` others hold now, those of
    `agreed`; none of the `writers` gives one: its author and who amended it. `at` is when it is to be applied (0:
    nobody said), `generation` what it became, `note` why it stands where it does.
    """

    number: int
    title: str
    why: str
    ticket: str
    author: str
    base: int
    digest: str
    state: ProposalState
    created: float
    approvals: int
    needed: int
    at: float = 0.0
    changed: float = 0.0
    generation: int = 0
    note: str = ""
    writers: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()


class Comment(msgspec.Struct, frozen=True):
    person: str
    at: float
    words: str
    rule: str = ""


class Approval(msgspec.Struct, frozen=True):
    """`holds` is False where the text changed since."""

    person: str
    at: float
    words: str
    digest: str
    holds: bool


class Happened(msgspec.Struct, frozen=True):
    """One thing that happened to a proposal."""

    at: float
    person: str
    action: str
    words: str = ""


class Propose(msgspec.Struct, frozen=True, tag=True):
    """Ask to have a draft run, as it is at `version` (0: at any). It must have no errors."""

    id: str
    title: str = ""
    why: str = ""
    ticket: str = ""
    version: int = 0


class Proposals(msgspec.Struct, frozen=True, tag=True):
    """Newest first; "": of every state."""

    state: str = ""
    limit: int = 200


class ProposalList(msgspec.Struct, frozen=True, tag=True):
    proposals: tuple[Proposal, ...]


class ShowProposal(msgspec.Struct, frozen=True, tag=True):
    number: int


class ProposalShown(msgspec.Struct, frozen=True, tag=True):
    """`base_text` is the text it was made from; `planned` is against what runs now, None where the text is refused
    now: `findings` say why."""

    proposal: Proposal
    text: str
    base_text: str
    files: dict[str, str]
    planned: Planned | None
    findings: tuple[Finding, ...]
    comments: tuple[Comment, ...]
    approvals: tuple[Approval, ...]
    history: tuple[Happened, ...]


class CommentProposal(msgspec.Struct, frozen=True, tag=True):
    number: int
    words: str
    rule: str = ""


class ApproveProposal(msgspec.Struct, frozen=True, tag=True):
    number: int
    digest: str
    words: str = ""


class RejectProposal(msgspec.Struct, frozen=True, tag=True):
    """`digest` is that of the text that somebody looked at; "": of any."""

    number: int
    words: str
    digest: str = ""


class AmendProposal(msgspec.Struct, frozen=True, tag=True):
    """Another text for what `digest` names. Every approval is taken back, and who amends cannot approve.

    `base` is the generation that it is made from now; None: as before.
    """

    number: int
    digest: str
    text: str
    words: str = ""
    files: dict[str, str] | None = None
    base: int | None = None


class TryProposal(msgspec.Struct, frozen=True, tag=True):
    """What would become of a proposal with that text; nothing is kept."""

    number: int
    digest: str
    text: str
    files: dict[str, str] | None = None


class Tried(msgspec.Struct, frozen=True, tag=True):
    """`planned` is None where the text is refused, and `findings` say why. `text` and `files` would run: with what
    came to run meanwhile."""

    planned: Planned | None
    findings: tuple[Finding, ...]
    text: str
    files: dict[str, str]


class WithdrawProposal(msgspec.Struct, frozen=True, tag=True):
    number: int
    words: str = ""
    digest: str = ""


class ScheduleProposal(msgspec.Struct, frozen=True, tag=True):
    """Apply it at that moment (seconds since the epoch), when it is approved by then; 0 takes that back."""

    number: int
    at: float
    confirm_within: int | None = None
    digest: str = ""


class ApplyProposal(msgspec.Struct, frozen=True, tag=True):
    """As `Apply`, of the text that `digest` names."""

    number: int
    digest: str
    confirm_within: int | None = None
    session: str = ""


ChangeRequest = (
    Marks
    | Drafts
    | OpenDraft
    | DraftText
    | EditDraft
    | SetDraft
    | NameDraft
    | UndoDraft
    | RedoDraft
    | CheckDraft
    | DropDraft
    | PlanDraft
    | ImpactDraft
    | MergeDraft
    | Between
    | Propose
    | Proposals
    | ShowProposal
    | CommentProposal
    | ApproveProposal
    | RejectProposal
    | AmendProposal
    | TryProposal
    | WithdrawProposal
    | ScheduleProposal
    | ApplyProposal
)
ChangeReply = (
    MarksAre
    | Draft
    | DraftList
    | DraftTextIs
    | DraftChecked
    | Merged
    | Proposal
    | ProposalList
    | ProposalShown
    | Tried
)
