# fmt: off
# ruff: noqa: E501
"""The API of the console, typed. Made by tools/client.py from the OpenAPI document; do not edit."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.client.asking import Answered, Asker, place


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was refused. `code` is stable, `detail` is for people; `findings` say where in a text."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    findings: tuple[Finding, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `Problem`, flat: what the command line prints and the console underlines."""

    file: str
    line: int
    column: int
    message: str
    remedy: str = ''
    severity: str = 'error'


class StatusView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`generation` runs; until `confirm_by` (seconds since the epoch, 0: it needs none) somebody must confirm it. `drift` says how the kernel differs from it. `problems` are what is wrong, in words. All of it was so at `as_of`; `away` says why nothing newer is known."""

    site: str
    generation: int
    confirmed: int
    confirm_by: float
    drift: str
    omitted: tuple[str, ...]
    processes: tuple[ProcessHealth, ...]
    problems: tuple[Trouble, ...]
    as_of: float
    away: str


class ProcessHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    alive: bool
    words: str = ''
    since: float = 0.0


class Trouble(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is wrong."""

    kind: Literal['bridge', 'decides', 'drift', 'omitted', 'process', 'unknown']
    words: str


class Draft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Draft'):
    """A text that somebody works at. `base` is the generation it began from, `version` grows with every change. `findings` are how many the text had when it was looked at last, `ok` whether it could be applied then."""

    id: str
    person: str
    title: str
    base: int
    version: int
    created: float
    changed: float
    ok: bool
    findings: int
    ticket: str = ''
    undo: int = 0
    redo: int = 0


class NewDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A draft of the text that runs, of that of a `generation`, or of a `text` with its list `files`."""

    title: str = ''
    generation: int | None = None
    text: str | None = None
    files: dict[str, str] = msgspec.field(default_factory=dict)


class Naming(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left out stays."""

    title: str | None = None
    ticket: str | None = None


class DraftTextIs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='DraftTextIs'):
    """`inherited` are the baselines that it is read under, by name."""

    draft: Draft
    text: str
    files: dict[str, str]
    inherited: dict[str, str]


class Typed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Changes of the text of `version`; places are UTF-16 code units, sorted, and do not overlap. `label` is what the step is called when it is taken back."""

    version: int
    edits: tuple[Edit, ...]
    label: str = ''


class Edit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`insert` stands where `start` to `end` stood."""

    start: int
    end: int
    insert: str


class DraftChecked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='DraftChecked'):
    """A draft as it is now, and what is found in it. `edits` bring an editor from the text before to this one. `proof` is None where the text does not parse. `rules` counts them; `seconds` is how long all of it took."""

    draft: Draft
    ok: bool
    findings: tuple[Finding, ...]
    edits: tuple[Edit, ...]
    proof: appliance_control_messages_changes_Proof | None
    rules: int
    seconds: float


class appliance_control_messages_changes_Proof(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was proven of a text. `conflicts` counts all pairs, of which `shown` has the first; where `undecided` says something, not everything is known. `seconds` is how long it took."""

    shown: tuple[ProvenOf, ...]
    conflicts: int
    undecided: tuple[str, ...]
    seconds: float


class ProvenOf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was proven of a rule, in words. dead it can never match: `others` hide it no-effect without it every packet is decided alike conflict it and `others` share packets and decide them differently; the upper one wins invariant it lets through what the invariant `name` never allows baseline it changes what the baseline `name` demands `example` is a packet that shows it, "" where there is none. `line` is where the rule stands, 0 for elsewhere."""

    kind: Literal['baseline', 'conflict', 'dead', 'invariant', 'no-effect']
    rule: str
    others: tuple[str, ...]
    name: str
    example: str
    line: int


class Whole(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another text in the place of that of `version`."""

    version: int
    text: str
    label: str = ''
    files: dict[str, str] | None = None


class appliance_console_api_drafts_Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The version that somebody saw."""

    version: int


class Planned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Planned'):
    """What an apply would change against generation `base`, in words; nothing was changed."""

    base: int
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    statements: int
    omitted: tuple[str, ...] = ()
    traffic: TrafficDifference | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a plan: `kind` added, removed, changed or moved; `what` e.g. "rule R-7"; `words` for people."""

    kind: Literal['added', 'changed', 'moved', 'removed']
    what: str
    words: str


class TrafficDifference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What two policies decide differently, exactly. `opened` is newly allowed, `closed` no longer allowed, `other` denied by both but otherwise. `unlisted` lines are left out. Where `undecided` says something, it is not complete."""

    opened: tuple[TrafficChange, ...]
    closed: tuple[TrafficChange, ...]
    other: tuple[TrafficChange, ...] = ()
    unlisted: int = 0
    undecided: tuple[str, ...] = ()


class TrafficChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Traffic that another text decides otherwise: in words, with one packet as example, and by which rules."""

    words: str
    example: str
    old_action: str
    new_action: str
    old_rule: str
    new_rule: str


class Impacted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Impacted'):
    """What generation `base` decided, or would, and the candidate does not. `flows` were looked at, of `logged` between `since` and `until` (seconds since the epoch); `unsure` of them depend on the source port, which is not kept; `unlike_log` the running policy decides otherwise than they were logged. `unlisted` groups are not listed. `missing` says in words what could not be looked at."""

    base: int
    flows: int
    logged: int
    since: int
    until: int
    seconds: float
    groups: tuple[ImpactGroup, ...]
    unlisted: int = 0
    unsure: int = 0
    unlike_log: int = 0
    missing: tuple[str, ...] = ()


class ImpactGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Flows that are decided otherwise in the same way. `kind` is what the candidate makes of them: denied, allowed, elsewhere (let through to another destination), refused (denied both times, and told to the sender by one only), another-rule (decided alike, by another rule). `rule` and `rule_now` are ids, "default" or "antispoofing"; `owner` and `owner_now` who answers for them. `sources` and `destinations` count hosts; `from_places` and `to_places` say where most flows had their ends. Times are seconds since the epoch, exact to the minute."""

    kind: Literal['allowed', 'another-rule', 'denied', 'elsewhere', 'refused']
    from_zone: str
    to_zone: str
    rule: str
    rule_now: str
    action: str
    action_now: str
    owner: str
    owner_now: str
    flows: int
    bytes: int
    first: int
    last: int
    services: tuple[Tally, ...]
    sources: int
    from_places: tuple[Tally, ...]
    destinations: int
    to_places: tuple[Tally, ...]
    example: str


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many flows of a group had one service or one end."""

    words: str
    flows: int


class Other(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bring what `other` changed, a draft or "" for what runs, into the draft at `version`."""

    version: int
    other: str = ''


class Merged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Merged'):
    """`edits` as in `DraftChecked`. Where there are `conflicts` the draft has its own part of each."""

    draft: Draft
    edits: tuple[Edit, ...]
    conflicts: tuple[Conflict, ...]


class Conflict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What both sides changed, and not alike. `section` and `name` say of what ("rules", "R-7"); `name` is "" where a whole section is meant. The three texts are "" where it is not there. `kind`: both `changed` it, both `added` it, one changed and the other `removed` it, both `moved` it (then the texts are what it stands behind)."""

    section: str
    name: str
    kind: Literal['added', 'changed', 'moved', 'removed']
    base: str
    mine: str
    theirs: str


class Asking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What approvers read."""

    title: str = ''
    why: str = ''
    ticket: str = ''


class Proposal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Proposal'):
    """A text that somebody asks to have run. `digest` names exactly what would run: an approval is of it. `approvals` of `needed` others hold now, those of `agreed`; none of the `writers` gives one: its author and who amended it. `at` is when it is to be applied (0: nobody said), `generation` what it became, `note` why it stands where it does."""

    number: int
    title: str
    why: str
    ticket: str
    author: str
    base: int
    digest: str
    state: Literal['applied', 'approved', 'confirmed', 'proposed', 'rejected', 'rolled-back', 'scheduled', 'stale', 'withdrawn']
    created: float
    approvals: int
    needed: int
    at: float = 0.0
    changed: float = 0.0
    generation: int = 0
    note: str = ''
    writers: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()


class RulesPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows of a table of `total` rules, of which `matched` were found. `broken` says why a text has none. Where `whole` is False these are only the rows that changed since the version that was asked with: `gone` are rules that are no longer there, `order` all ids where they are others or stand otherwise. From the row `index` of each of `shifts` (index, by) on, lines are `by` more than they were."""

    version: int
    total: int
    matched: int
    broken: str
    rows: tuple[RuleRow, ...]
    pairs: tuple[PairCount, ...]
    whole: bool = True
    order: tuple[str, ...] | None = None
    gone: tuple[str, ...] = ()
    shifts: tuple[tuple[int, int], ...] = ()


class RuleRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule as it is written. `pair` is (from, to). `inherited` is the baseline that it comes from; `line`, from 1, is where it begins in the text of that. `hits` and `recent` are -1 where nothing is known of what it matched."""

    id: str
    pair: tuple[tuple[str, ...], tuple[str, ...]]
    source: tuple[str, ...]
    destination: tuple[str, ...]
    service: tuple[str, ...]
    people: tuple[str, ...]
    when: str
    action: str
    inspect: str
    log: str
    why: str
    owner: str
    ticket: str
    limit: str
    connections: str
    expires: str
    review: str
    enabled: bool
    line: int
    section: Literal['first', 'last', 'publish', 'rules']
    inherited: str
    hits: int
    recent: int
    last: float
    findings: tuple[RowFinding, ...]


class RowFinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is wrong with a rule, or was proven of it. `others` are the rules that it has to do with."""

    kind: Literal['baseline', 'conflict', 'dead', 'error', 'invariant', 'no-effect', 'warning']
    words: str
    others: tuple[str, ...] = ()
    example: str = ''


class PairCount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many rules are written for a pair of zones."""

    from_: tuple[str, ...] = msgspec.field(name='from')
    to: tuple[str, ...]
    count: int


class Forms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Changes of the text of `version`, all of them or none."""

    version: int
    operations: tuple[SetKeys | Insert | Replace | Delete | Move | Copy | SetObject, ...]
    label: str = ''


class SetKeys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='set'):
    """Other values under keys of a rule or published service; null takes a key away."""

    rule: str
    keys: dict[str, str | tuple[str, ...] | None]


class Insert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='insert'):
    """A new rule behind `after`; "" is the first place, null the last."""

    yaml: str
    after: str | None = None


class Replace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='replace'):
    """Another rule or published service in the place of one; the comments above it stay."""

    rule: str
    yaml: str


class Delete(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='delete'):
    """Rules and published services, with the comments above them."""

    rules: tuple[str, ...]


class Move(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='move'):
    """Rules, in the order that they have, behind `after`; "" is the first place, null the last."""

    rules: tuple[str, ...]
    after: str | None = None


class Copy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='copy'):
    """A rule once more under another id, behind `after`; null is behind itself."""

    rule: str
    id: str
    after: str | None = None


class SetObject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='op', tag='object'):
    """What a name stands for, as it is written behind it; null takes it away."""

    name: str
    yaml: str | None
    section: Literal['groups', 'objects', 'people', 'schedules', 'services'] = 'objects'


class FormsMade(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The draft after changes, as `DraftChecked` says it; `rows` are the rules that are new or written otherwise, `order` all ids where rules came, went or moved."""

    draft: Draft
    version: int
    ok: bool
    findings: tuple[Finding, ...]
    edits: tuple[Edit, ...]
    proof: appliance_control_messages_changes_Proof | None
    rules: int
    seconds: float
    rows: tuple[RuleRow, ...]
    order: tuple[str, ...] | None


class ObjectRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`words` are what it holds, `uses` counts the rules, and whatever else has a name, that name it themselves. `yaml` is what stands behind its name, "" where that is not in lines of its own; `inherited` the baseline that defines it."""

    name: str
    kind: Literal['feed', 'group', 'object', 'person', 'profile', 'schedule', 'service']
    words: tuple[str, ...]
    uses: int
    line: int
    description: str
    yaml: str
    inherited: str


class UsedAt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place that names something. `through` are the names between, nearest first."""

    kind: str
    file: str
    line: int
    column: int
    holder: str
    holder_id: str
    key: str
    through: tuple[str, ...]
    taken: bool
    off: bool


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Suggestions for what stands from `start` to `end` (UTF-16 code units)."""

    start: int
    end: int
    items: tuple[Suggestion, ...]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`insert` is what is written; `kind`: key, word, zone, object, service, schedule, person, group, profile, feed, rule."""

    label: str
    kind: str
    detail: str = ''
    insert: str = ''


class NoticeList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='NoticeList'):
    """`seen` is the number up to which who asks has seen theirs, `unseen` how many came behind it."""

    notices: tuple[Notice, ...]
    seen: int
    unseen: int


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`told` is when it was written, `due` the moment it is about (0: none), in seconds since the epoch. `proposal` and `generation` are those it is about, 0 for none."""

    number: int
    owner: str
    kind: Literal['applied', 'ended', 'expires', 'proposed', 'review', 'rolled-back']
    subject: str
    words: str
    told: float
    due: float = 0.0
    proposal: int = 0
    generation: int = 0


class appliance_console_api_notices_Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Up to this number."""

    through: int


class ProposalShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='ProposalShown'):
    """`base_text` is the text it was made from; `planned` is against what runs now, None where the text is refused now: `findings` say why."""

    proposal: Proposal
    text: str
    base_text: str
    files: dict[str, str]
    planned: Planned | None
    findings: tuple[Finding, ...]
    comments: tuple[Comment, ...]
    approvals: tuple[Approval, ...]
    history: tuple[Happened, ...]


class Comment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    person: str
    at: float
    words: str
    rule: str = ''


class Approval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`holds` is False where the text changed since."""

    person: str
    at: float
    words: str
    digest: str
    holds: bool


class Happened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to a proposal."""

    at: float
    person: str
    action: str
    words: str = ''


class Remark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Words about a proposal, or about one rule of it."""

    words: str
    rule: str = ''


class Approving(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`digest` is that of the text that was looked at."""

    digest: str
    words: str = ''


class Why(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    words: str = ''


class Amending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another text in the place of that which `digest` names; `base` is the generation that it was made from."""

    digest: str
    text: str
    words: str = ''
    files: dict[str, str] | None = None
    base: int | None = None


class Trying(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another text for what `digest` names; `files` as they are when they are left out."""

    digest: str
    text: str
    files: dict[str, str] | None = None


class TriedView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`planned` is null where the text is refused, and `findings` say why."""

    planned: Planned | None
    findings: tuple[Finding, ...]


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds since the epoch; 0 takes it back."""

    at: float
    confirm_within: int | None = None


class Applying(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`confirm_within` seconds; null is the policy's own setting."""

    digest: str
    confirm_within: int | None = None


class Applied(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Applied'):
    generation: int
    digest: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    confirm_by: float
    seconds: dict[str, float]
    omitted: tuple[str, ...] = ()
    traffic: TrafficDifference | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that every format of the report says. `taken` in seconds since the epoch (UTC)."""

    format: int
    subject: Subject
    taken: float
    software: str
    sections: tuple[Section, ...]
    judgements: tuple[Judgement, ...]
    risk: RiskPage
    figures: Figures | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the report is of: the generation that runs on a gateway, or a text that runs nowhere."""

    kind: Literal['running', 'text']
    site: str
    words: str
    generation: int = 0
    text_digest: str = ''
    query: str = ''


class Section(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One standard."""

    id: str
    name: str
    edition: str
    about: str
    answers: tuple[appliance_report_report_Answer, ...]


class appliance_report_report_Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One clause of a standard: `checks` are the judgements that its outcome comes from."""

    clause: str
    title: str
    outcome: Literal['fail', 'pass', 'unknown']
    words: str
    checks: tuple[str, ...]
    cell: tuple[str, str, str] | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check: what was asked, what came out, and what it rests on. `mend` says what to do where it fails."""

    check: str
    title: str
    outcome: Literal['fail', 'pass', 'unknown']
    words: str
    findings: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    mend: str
    absent: bool = False


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`value` answers `query`, as canonical JSON; `time` is when (seconds since the epoch), `digest` its SHA-256."""

    query: str
    value: str
    time: float
    digest: str


class RiskPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`gaps` are what nobody recorded, or recorded safeguards that do not stand, one line each."""

    zones: tuple[ZoneRow, ...]
    assets: tuple[AssetRow, ...]
    risks: tuple[RiskRow, ...]
    gaps: tuple[str, ...]


class ZoneRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    role: str
    external: bool
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]
    antispoofing: bool
    officer: str = ''


class AssetRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object that lives at the site, or is classified; `invariants` and `risks` speak of it or of its zone."""

    name: str
    classification: str
    zones: tuple[str, ...]
    addresses: tuple[str, ...]
    invariants: tuple[str, ...]
    risks: tuple[str, ...]


class RiskRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A risk as recorded, and how its safeguards stand. `level` is likelihood times impact, in a word."""

    id: str
    threat: str
    assets: tuple[str, ...]
    likelihood: Literal['high', 'low', 'medium']
    impact: Literal['high', 'low', 'medium']
    level: Literal['high', 'low', 'medium']
    treatment: str
    safeguards: tuple[Safeguard, ...]
    measures: tuple[str, ...]
    owner: str
    review: str
    overdue: bool


class Safeguard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    kind: str
    stand: Literal['broken', 'in force', 'off', 'open']
    words: str


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`since` to `until` in seconds since the epoch."""

    since: float
    until: float
    figures: tuple[Figure, ...]
    trends: tuple[Trend, ...]


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`value` is None where `missing` says why there is none. `of` is what it is a part of, 0 for nothing."""

    id: str
    group: Literal['alerts', 'changes', 'protection', 'rules']
    title: str
    unit: Literal['count', 'percent', 'seconds']
    value: float | None
    of: int = 0
    missing: str = ''
    query: str = ''


class Trend(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    title: str
    days: tuple[int, ...]
    lines: tuple[Line, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A number for each day of the window."""

    id: str
    title: str
    values: tuple[int, ...]


class GenerationSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the history. `state`: running (unconfirmed), confirmed, superseded, rolled-back, failed. Of a generation that was a proposal policyd says which, who proposed it and why, with which ticket, and whose approvals it had; 0 and "" otherwise."""

    generation: int
    state: str
    author: str
    reason: str
    created: float
    digest: str
    parent: int
    rules: int
    confirmed_by: str = ''
    confirmed_at: float = 0.0
    note: str = ''
    proposal: int = 0
    proposer: str = ''
    why: str = ''
    ticket: str = ''
    approvers: tuple[str, ...] = ()


class GenerationText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The text of a generation, the baselines and list files that it was read with, and until when its schedules and expiries are compiled (seconds since the epoch; 0: nothing depends on time)."""

    generation: int
    text: str
    inherited: dict[str, str]
    files: dict[str, str]
    horizon: int


class SealList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='SealList'):
    """`key` is the SHA-256 of the public key that was checked with, `at` when (seconds since the epoch)."""

    seals: tuple[SealState, ...]
    key: str
    at: float


class SealState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`good`: the bundle is whole and its signature is by this gateway's key. `bad`: it is not what was signed. `unreadable`: the file is damaged or away. `gone`: it is not kept any more. `words` say more."""

    generation: int
    state: Literal['bad', 'gone', 'good', 'unreadable']
    digest: str = ''
    words: str = ''


class Confirmed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Confirmed'):
    generation: int


class Back(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Back to `generation`; null is the one before the one that runs."""

    generation: int | None = None
    reason: str = ''


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`at` is seconds since the epoch. `id` names what it is about, `what` says so to people."""

    at: float
    kind: Literal['confirm', 'ended', 'expires', 'horizon', 'review', 'scheduled']
    id: str
    what: str
    owner: str = ''
    why: str = ''


class WhyQuestion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `line` of a log, the number of a `flow` that passes now, or two hosts and a service. `at` is a moment in seconds since the epoch, `person` who is at the source, `entering` the interface or zone it comes by."""

    line: str = ''
    flow: int = 0
    source: str = ''
    destination: str = ''
    service: str = ''
    person: str = ''
    entering: str = ''
    at: float | None = None


class WhyAnswered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`answer` has the packet's way in steps: where it enters, address translation, route, rule, inspection, where it leaves. `logged` is what the line says was decided; `note` what was chosen for words that mean more than one."""

    answer: appliance_policy_answering_why_Answer
    logged: str = ''
    note: str = ''


class appliance_policy_answering_why_Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `reef why --json` prints. Addresses with ports as a person writes them; times ISO 8601. `rule` is the id of the deciding rule, or "default", "antispoofing", "banned", "indicator", "link", "loopback", "no-route". `action` is what happens; `near_count` how many rules nearly decided otherwise, `near` the nearest of them."""

    at: str
    source: str
    source_zone: str
    enters: str
    destination: str
    destination_zone: str
    leaves: str
    via: str
    service: str
    action: str
    rule: str
    why: str
    owner: str
    expires: str
    schedule: str
    inspect: str
    leaves_from: str
    leaves_to: str
    source_nat: str
    destination_nat: str
    steps: tuple[Step, ...]
    near: tuple[NearMiss, ...] = ()
    near_count: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: Literal['ban', 'decision', 'enters', 'inspection', 'lasts', 'leaves', 'limit', 'nat', 'quarantine', 'route', 'source']
    words: str


class NearMiss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that would have decided otherwise: the conditions it `missed`, and in `words` by how much."""

    rule: str
    action: str
    missed: tuple[str, ...]
    words: str


class InspectionView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the running generation says of inspection."""

    generation: int
    profiles: tuple[ProfileRow, ...]
    feeds: tuple[FeedRow, ...]
    suppressions: tuple[SuppressionRow, ...]


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A profile, and the `rules` whose connections are inspected under it. `depth` is bytes a direction, 0 is all."""

    name: str
    rules: tuple[str, ...]
    unavailable: Literal['fail-closed', 'fail-open']
    depth: int
    reactions: tuple[str, ...]
    thresholds: tuple[str, ...]
    feeds: tuple[str, ...]
    description: str


class FeedRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where signatures come from: a file, or an address that is asked every `refresh` hours; signatures that are new only alert for `trial` days."""

    name: str
    origin: str
    refresh: int
    trial: int
    description: str


class SuppressionRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Signatures that are silent, or with `action` alert only told, under `conditions`. It ends at `expires_at`."""

    id: str
    signatures: tuple[str, ...]
    action: Literal['alert', 'off']
    conditions: tuple[str, ...]
    owner: str
    why: str
    ticket: str
    expires_at: int


class TopologyView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What runs, as zones and what they may reach: `pairs` of zones between which rules in force allow something."""

    generation: int
    site: str
    zones: tuple[ZoneView, ...]
    bridges: tuple[BridgeView, ...]
    pairs: tuple[Crossing, ...]


class ZoneView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A zone of what runs. `external`: its lines leave the house. Without `networks` it is everything else."""

    name: str
    external: bool
    antispoofing: bool
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]


class BridgeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bump in the wire between two lines, inspected under a profile."""

    name: str
    between: tuple[str, str]
    inspect: str


class Crossing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`rules` rules in force allow something from one zone to the other; "gateway" is the gateway itself."""

    source: str
    destination: str
    rules: int


class LineList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='LineList'):
    """The lines as they were at `at`; they are watched since `watched`. `total` is more where not all are listed."""

    generation: int
    at: float
    watched: float
    total: int
    lines: tuple[LineState, ...]
    past: Past | None = None


class LineState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line, by its interface. `zone` or `bridge` is what it belongs to in the policy; neither: it carries traffic and nobody registered it. `state` is "up", "no carrier" (nobody at its other end), "off" (switched off here) or "missing". It is so since `since` (seconds since the epoch); 0: for as long as anybody looked."""

    name: str
    state: Literal['missing', 'no carrier', 'off', 'up']
    since: float = 0.0
    zone: str = ''
    bridge: str = ''
    addresses: tuple[str, ...] = ()
    received: Side | msgspec.UnsetType = msgspec.UNSET
    sent: Side | msgspec.UnsetType = msgspec.UNSET


class Side(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What passed a line in one direction since the interface is there, and how fast of late: bytes and packets a second, -1 before two looks were far enough apart."""

    bytes: int = 0
    packets: int = 0
    errors: int = 0
    dropped: int = 0
    byte_rate: float = -1.0
    packet_rate: float = -1.0


class Past(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes a second that a line received and sent, each up to the moment in `times` (seconds since the epoch)."""

    times: tuple[float, ...] = ()
    received: tuple[float, ...] = ()
    sent: tuple[float, ...] = ()


class LineView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line with its last minutes, at `at` (seconds since the epoch)."""

    at: float
    line: LineState
    past: Past


class ConnectionsView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The register. `unregistered` are lines that carry traffic and stand in no zone: nobody answers for them."""

    generation: int
    at: float
    connections: tuple[ConnectionRow, ...]
    unregistered: tuple[str, ...]


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An external line: who provides it, and who answers for it. `state` is "" where the line is in no zone and no bridge; `since` as of lines."""

    line: str
    zone: str
    provider: str
    officer: str
    mail: str
    phone: str
    state: Literal['missing', 'no carrier', 'off', 'up'] | Literal['']
    since: float


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every process but the console, since when it is so, at `as_of`. While `away` is not empty policyd does not answer, which says why, and of the others nothing newer is known."""

    processes: tuple[ProcessHealth, ...]
    as_of: float
    away: str = ''


class FlowsView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of `total` connections that were asked for. Where a zone is asked for and there are more connections than are looked at, `looked` says how many those were; else it is 0."""

    generation: int
    total: int
    looked: int
    flows: tuple[FlowRow, ...]


class FlowRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A connection: who began it, whom it reached (behind destination NAT; `asked` is what it asked for where that is something else), and the rule that let it through. `id` is its number in digits: they are more than a number of a browser holds. `sent` and `received` are bytes from and to who began it, -1 where the kernel does not count; `age` in seconds, -1 where it keeps no time."""

    id: str
    protocol: str
    source: str
    source_port: int
    source_name: str
    source_zone: str
    destination: str
    destination_port: int
    destination_name: str
    destination_zone: str
    asked: str
    service: str
    state: str
    inspection: str
    rule: str
    said: str
    sent: int
    received: int
    packets_sent: int
    packets_received: int
    age: int
    timeout: int


class AlertList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`through` is the newest number that there was: live events go on from there."""

    alerts: tuple[AlertRow, ...]
    through: int


class AlertRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Alert `id` of `at` (seconds since the epoch). `kind` is what raised it, `signature` its number (1:2019401). `action` is `blocked` where what it was found in was stopped. `rule`, `from_zone`, `to_zone` and `generation` are of the policy that decided the connection, "" and 0 where that is not known. `pseudonyms`: hosts of the policy's zones go by other addresses here. `flow` is the number of the connection where the event was seen, in digits."""

    id: int
    at: float
    severity: int
    kind: Literal['finding', 'gateway', 'indicator', 'signature']
    signature: str
    title: str
    category: str
    action: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str
    application: str
    interface: str
    rule: str
    from_zone: str
    to_zone: str
    generation: int
    tlp: str
    pseudonyms: bool
    flow: str


class AlertCountsAre(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='AlertCountsAre'):
    """Alerts of the last hour and day, in steps of a minute, and of the last day by signature, the noisiest first; `others` signatures are not listed. Nothing is known of before `since` (seconds since the epoch)."""

    hour: int
    day: int
    since: float
    signatures: tuple[FiredSignature, ...]
    others: int


class FiredSignature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one signature raised in the last day: `count` alerts, `hour` of them in the last hour, `blocked` of them with what they were found in stopped. `last` is when, from whom to whom."""

    gid: int
    sid: int
    kind: Literal['finding', 'gateway', 'indicator', 'signature']
    title: str
    category: str
    severity: int
    count: int
    hour: int
    blocked: int
    last: float
    source: str = ''
    destination: str = ''


class AlertView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert with `events` of its connection; `rule` is the one of the policy that decided it, where that is known of any of them. `line` is the event itself, EVE JSON; `why` asks why the gateway decided so, "" where nothing can be asked; the source of a `bannable` one can be banned. `packets`: how many captures were kept of it. `left_out` events found no place; `whole`: everything of that time was looked at."""

    alert: AlertRow
    explained: Explained | None
    events: tuple[EventRow, ...]
    rule: str
    left_out: int
    whole: bool
    line: str
    why: str
    bannable: bool
    packets: int


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a detection says of what it found: `seen` was counted, from `threshold` on it is told, `again` so often since it was told last. `technique` is that of MITRE ATT&CK."""

    name: str
    words: str
    remedy: str
    confidence: str
    since: float
    seen: float
    threshold: float
    again: int
    evidence: tuple[str, ...]
    technique: str
    technique_name: str


class EventRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What else was seen: `type` is EVE's, `words` what it says itself."""

    id: int
    at: float
    type: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str
    rule: str
    action: str
    words: str


class Silence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`place`: where the signature shall be silent, a zone (what comes from it), or an object, address or network of the policy (on whichever side). Until the end of the day `expires` (2026-12-31)."""

    place: str
    why: str
    owner: str
    expires: str


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`why` stands in the audit trail."""

    why: str


class BanPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest first. `total` are meant, if not `exact` at least so many; the next page begins `after`, "" at the end."""

    bans: tuple[BanEntry, ...]
    total: int
    exact: bool
    after: str


class BanEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    address: str
    by: str
    reason: str
    since: float
    until: float
    owner: str = ''


class BanEffect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would come of a ban. `cut` connections of these addresses are open now, the first of them `flows`; `oneself` is set where it would hold who asks."""

    refused: tuple[Refusal, ...]
    inside: tuple[Inside, ...]
    banned: tuple[BanEntry, ...]
    oneself: bool
    cut: int
    flows: tuple[Flow, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    address: str
    code: str
    why: str


class Inside(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`where` it lies in the site's own networks."""

    address: str
    where: str


class Flow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One connection. `source`/`destination` as the first packet had them; `reply_*` as answers have them (NAT). `id` is the kernel's number of it, the events' `flow_id`. `rule` is the id of the rule that decided it, "" while none did; `age` in seconds, -1 where the kernel keeps no time stamps; `timeout` seconds until it is forgotten. `inspection` is "" where its rule asks for none, "judged" while its packets wait for a verdict, "handed back" once the kernel forwards it by itself."""

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    reply_source: str
    reply_source_port: int
    reply_destination: str
    reply_destination_port: int
    state: str
    rule: str
    packets: tuple[int, int]
    bytes: tuple[int, int]
    age: int
    timeout: int
    id: int = 0
    inspection: Literal['', 'handed back', 'judged'] = ''


class NewBan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Drop everything from and to `addresses` for `seconds` (0: until it is taken back). `anyway` also where they hold the address that this is asked from."""

    addresses: tuple[str, ...]
    reason: str
    seconds: int = 0
    owner: str = ''
    anyway: bool = False


class AllowPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Those of people first, the newest before, then those of the text and the gateway's own."""

    entries: tuple[AllowEntry, ...]
    total: int
    after: str


class AllowEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`by` is "" for what nobody added at run time: what the policy says, and what the gateway cannot do without."""

    address: str
    by: str
    owner: str
    reason: str
    since: float = 0.0
    until: float = 0.0
    origin: Literal['gateway', 'person', 'policy'] = 'person'


class NewAllow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """No ban holds for `addresses`, for `seconds` (0: until it is taken back)."""

    addresses: tuple[str, ...]
    reason: str
    seconds: int = 0
    owner: str = ''


class GateReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='GateReport'):
    """`words` says why there is no gate at all, "" when there is one. `memory` is what its tables take, in bytes."""

    words: str = ''
    lines: tuple[GateLine, ...] = ()
    lists: tuple[GateKept, ...] = ()
    allowed: int = 0
    memory: int = 0


class GateLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line that the policy wants the gate at. `mode` "" where it is not; `words` says why."""

    interface: str
    zone: str
    mode: Literal['', 'generic', 'native', 'nft']
    words: str = ''
    counts: dict[str, GateCount] = msgspec.field(default_factory=dict)


class GateCount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    packets: int
    bytes: int


class GateKept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A list: "bans" are the single ones. Counted since it has been there."""

    name: str
    number: int
    entries: int
    dropped: GateCount


class PrefixPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The next page begins `after`, "" at the end."""

    entries: tuple[GateFoundEntry, ...]
    total: int
    after: str


class GateFoundEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    address: str
    list: str


class DevicePage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest first. `counts` of all by their states; `holding` are the zones that hold whom nobody accepted; `learning_until` what is new is noted and not told. The next page begins `after`, "" at the end."""

    devices: tuple[DeviceInfo, ...]
    total: int
    counts: dict[str, int]
    holding: tuple[str, ...]
    learning_until: float
    forgotten: int
    after: str


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state`: learned (in the time of learning), accepted (by `by`), unknown. Moments are seconds since the epoch."""

    mac: str
    state: str
    first: float
    last: float
    zone: str = ''
    maker: str = ''
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    by: str = ''
    how: str = ''
    quarantined: bool = False


class Macs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hardware addresses."""

    macs: tuple[str, ...]


class QuarantineReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='QuarantineReport'):
    """Who is accepted, and the zones in which everybody else is held."""

    admitted: tuple[str, ...]
    zones: tuple[QuarantinedZone, ...] = ()


class QuarantinedZone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    packets: int


class IndicatorList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='IndicatorList'):
    """`total` that were meant, if not `exact` at least so many, of which `indicators` are shown; the next page begins `after`, 0 at the end; `in_force` values by mode; `words`: what is wrong."""

    indicators: tuple[IndicatorInfo, ...]
    total: int
    in_force: dict[str, int]
    sources: tuple[SourceInfo, ...] = ()
    overrides: tuple[tuple[str, str, str, str, float], ...] = ()
    words: tuple[str, ...] = ()
    after: int = 0
    exact: bool = True


class IndicatorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`values` are (kind, text, mode, where it is looked for); `why` it is not stronger, by value ("" for the whole). Moments are seconds since the epoch, `until` 0 for no end; `hits` counts what was seen of its values."""

    id: str
    source: str
    name: str
    tlp: str
    confidence: int | None
    values: tuple[tuple[str, str, str, str], ...]
    why: tuple[tuple[str, str], ...]
    seen: float
    until: float
    hits: int = 0
    last_hit: float = 0.0


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`fetched` seconds since the epoch, 0 for never or posted; `error` why the last fetch failed."""

    name: str
    address: str
    indicators: int
    fetched: float = 0.0
    error: str = ''


class NewOverride(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Block a value that is never blocked, for `seconds`; it holds when a second person says the same."""

    value: str
    why: str
    seconds: int = 86400


class Overridden(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='Overridden'):
    """`second` is "" while another person must still agree."""

    value: str
    first: str
    second: str
    until: float


class Restored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    value: str


class Me(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asks. A session ends `idle` seconds after it was used last, and at `until` (seconds since the epoch); both are 0 for a token. `how`: session or token."""

    person: str
    name: str
    roles: tuple[str, ...]
    permissions: tuple[Literal['administer', 'apply', 'approve', 'audit', 'edit', 'look', 'respond'], ...]
    zones: tuple[str, ...]
    how: str
    idle: int
    until: float


class ProofWanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How you may show that it is you: `passkey` is what the browser's `navigator.credentials.get` is asked, None without one. With neither you log in again."""

    passkey: dict[str, object] | None
    passphrase: bool


class appliance_console_api_me_Proof(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`answer` is what the device said to the options; or the passphrase, with a code of its app."""

    answer: dict[str, object] | None = None
    passphrase: str = ''
    code: str = ''


class Credentials(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody comes in with. `codes` of break-glass are left."""

    passkeys: tuple[PasskeyView, ...]
    passphrase: bool
    certificate: bool
    codes: int


class PasskeyView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`name` is what it is removed by, `words` what its owner calls it. Times are seconds since the epoch, `used` 0: never. `synced`: it may be copied to other devices by whoever made the device."""

    name: str
    words: str
    added: float
    used: float
    synced: bool


class NewPasskey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`answer` is what the browser's `navigator.credentials.create` gave, as its `toJSON` says it."""

    answer: dict[str, object]
    words: str = ''


class NewApp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`secret` is for an authenticator app, `uri` the same as a link, `picture` as a QR code; `ticket` comes back with the first code."""

    secret: str
    uri: str
    ticket: str
    picture: Picture


class Picture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`path` is the `d` of what is dark, in a square of `size` by `size`; everything else of it is light."""

    size: int
    path: str


class NewPassphrase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is what the app of `ticket` shows now."""

    passphrase: str
    ticket: str
    code: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times are seconds since the epoch; at `until` it ends however much it is used. `mine`: it asks."""

    id: str
    person: str
    how: str
    began: float
    seen: float
    until: float
    address: str
    device: str
    mine: bool


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many there were."""

    ended: int


class TokenView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times are seconds since the epoch, `used` 0: never."""

    id: str
    person: str
    label: str
    scopes: tuple[str, ...]
    made: float
    until: float
    used: float


class NewToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it is called, what it may, and for how many days."""

    label: str
    scopes: tuple[Literal['administer', 'apply', 'approve', 'audit', 'edit', 'look', 'respond'], ...]
    days: int = 90


class TokenMade(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`token` is said now and never again."""

    token: str
    view: TokenView


class AccountView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`invited` is until when a link is good (seconds since the epoch), 0 without one."""

    id: str
    name: str
    mail: str
    roles: tuple[str, ...]
    zones: tuple[str, ...]
    break_glass: bool
    credentials: Credentials
    invited: float
    sessions: int
    tokens: int


class Inviting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With `reset` what they come in with now is good no more."""

    reset: bool = False


class LinkView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`link` is good once, until `until` (seconds since the epoch). Whoever has it becomes that person. Where it is "" an approver may agree until then, and is told it."""

    person: str
    link: str
    until: float


class WantedView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`by` wants a link for `person` (`name`); an approver, who is neither, may agree until `until`."""

    person: str
    name: str
    by: str
    reset: bool
    until: float


class AuditLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Entry `number` of the trail: `actor` did `action` to `object` at `at` (seconds since the epoch). `process` wrote it down, `origin` is where they sat, `record` the class of records whose retention holds for it. Where that time is over, or it cannot be read, `kept` is False and only its number is known."""

    number: int
    kept: bool = False
    at: float = 0.0
    process: str = ''
    actor: str = ''
    action: str = ''
    object: str = ''
    record: str = ''
    why: str = ''
    generation: int = 0
    origin: str = ''
    detail: dict[str, str] = msgspec.field(default_factory=dict)


class AuditHealthIs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='AuditHealthIs'):
    """What is wrong, in words: the trail cannot be kept or signed, or a witness does not vouch for it."""

    troubles: tuple[str, ...]


class ConsumerList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field='type', tag='ConsumerList'):
    """`last` is the newest number of the outbox, `held` how many events are in it, by class; `used` and `size` are bytes. `room`: what there is room for, "all", "no-telemetry", "nothing". `listens`: where it answers; `words`: why not where it should."""

    consumers: tuple[ConsumerInfo, ...]
    last: int
    used: int
    size: int
    room: str
    listens: tuple[str, ...] = ()
    fingerprint: str = ''
    words: str = ''


class ConsumerInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`position`: everything up to this number they have; `waiting`: events behind it that they may have and have not; `seen`: when they last asked or were sent something (seconds since the epoch), 0 for never."""

    name: str
    collections: tuple[str, ...]
    tlp: str
    position: int
    waiting: int
    seen: float
    owner: str = ''
    pushed: str = ''
    error: str = ''


class Api(Asker):
    """What the console of a gateway can do. What changes something needs a token, or a session with the header `X-Reef: 1`. Errors are RFC 9457 with a stable `code`."""

    def status_status(self) -> Answered[StatusView]:
        """What runs, and what is wrong, as it was known last."""
        return self._json('GET', "/api/v1/status", StatusView)

    def drafts_listed(self) -> Answered[tuple[Draft, ...]]:
        """Everybody's drafts."""
        return self._json('GET', "/api/v1/drafts", tuple[Draft, ...])

    def drafts_opened(self, body: NewDraft, *, idempotency_key: str = "") -> Answered[Draft]:
        """Begin a draft."""
        return self._json('POST', "/api/v1/drafts", Draft, body=body, idempotency_key=idempotency_key)

    def drafts_one(self, id: str) -> Answered[Draft]:
        """A draft, without its text."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}", Draft)

    def drafts_named(self, id: str, body: Naming, *, if_match: str, idempotency_key: str = "") -> Answered[Draft]:
        """Give a draft another title or ticket."""
        return self._json('PATCH', f"/api/v1/drafts/{place(id)}", Draft, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def drafts_dropped(self, id: str, *, if_match: str, idempotency_key: str = "") -> Answered[None]:
        """Throw a draft away."""
        return self._nothing('DELETE', f"/api/v1/drafts/{place(id)}", if_match=if_match, idempotency_key=idempotency_key)

    def drafts_text(self, id: str) -> Answered[DraftTextIs]:
        """A draft with its text."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/text", DraftTextIs)

    def drafts_typed(self, id: str, body: Typed, *, if_match: str, idempotency_key: str = "") -> Answered[DraftChecked]:
        """Change parts of the text."""
        return self._json('PATCH', f"/api/v1/drafts/{place(id)}/text", DraftChecked, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def drafts_put(self, id: str, body: Whole, *, if_match: str, idempotency_key: str = "") -> Answered[DraftChecked]:
        """Give the draft another text."""
        return self._json('PUT', f"/api/v1/drafts/{place(id)}/text", DraftChecked, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def drafts_proof(self, id: str) -> Answered[DraftChecked]:
        """What is found and proven of a draft as it is."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/proof", DraftChecked)

    def drafts_undone(self, id: str, body: appliance_console_api_drafts_Seen, *, if_match: str, idempotency_key: str = "") -> Answered[DraftChecked]:
        """Take the last step back."""
        return self._json('POST', f"/api/v1/drafts/{place(id)}/undo", DraftChecked, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def drafts_redone(self, id: str, body: appliance_console_api_drafts_Seen, *, if_match: str, idempotency_key: str = "") -> Answered[DraftChecked]:
        """Take a step again that was taken back."""
        return self._json('POST', f"/api/v1/drafts/{place(id)}/redo", DraftChecked, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def drafts_plan(self, id: str) -> Answered[Planned]:
        """What applying the draft would change, in words and in traffic."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/plan", Planned)

    def drafts_impact(self, id: str, *, days: int | None = None, addresses: bool | None = None, seconds: float | None = None) -> Answered[Impacted]:
        """The flows of the last days that the draft would have decided otherwise."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/impact", Impacted, query={'days': days, 'addresses': addresses, 'seconds': seconds})

    def drafts_merged(self, id: str, body: Other, *, if_match: str, idempotency_key: str = "") -> Answered[Merged]:
        """Bring in what another draft, or what runs by now, has changed."""
        return self._json('POST', f"/api/v1/drafts/{place(id)}/merge", Merged, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def drafts_proposed(self, id: str, body: Asking, *, if_match: str, idempotency_key: str = "") -> Answered[Proposal]:
        """Ask others to approve the draft as it is."""
        return self._json('POST', f"/api/v1/drafts/{place(id)}/propose", Proposal, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def workshop_rows(self, id: str, *, limit: int | None = None, offset: int | None = None, search: str | None = None, pair: str | None = None, since: int | None = None, days: int | None = None) -> Answered[RulesPage]:
        """The rules of a draft as rows."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/rules", RulesPage, query={'limit': limit, 'offset': offset, 'search': search, 'pair': pair, 'since': since, 'days': days})

    def workshop_operations(self, id: str, body: Forms, *, if_match: str, idempotency_key: str = "") -> Answered[FormsMade]:
        """Change rules and objects as a form does."""
        return self._json('POST', f"/api/v1/drafts/{place(id)}/operations", FormsMade, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def workshop_out(self, id: str, *, search: str | None = None) -> Answered[bytes]:
        """The rules of a draft for a spreadsheet (RFC 4180)."""
        return self._raw('GET', f"/api/v1/drafts/{place(id)}/rules.csv", query={'search': search})

    def workshop_back(self, id: str, body: bytes, *, if_match: str, whole: bool | None = None, idempotency_key: str = "") -> Answered[FormsMade]:
        """Take the rules of a spreadsheet."""
        return self._json('PUT', f"/api/v1/drafts/{place(id)}/rules.csv", FormsMade, query={'whole': whole}, body=body, media_type='text/csv', if_match=if_match, idempotency_key=idempotency_key)

    def workshop_named(self, id: str) -> Answered[tuple[ObjectRow, ...]]:
        """What a draft and its baselines define, and how often it is named."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/objects", tuple[ObjectRow, ...])

    def workshop_uses(self, id: str, name: str) -> Answered[tuple[UsedAt, ...]]:
        """Every place that names something, also through what contains it."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/uses/{place(name)}", tuple[UsedAt, ...])

    def workshop_completion(self, id: str, *, at: int | None = None, key: str | None = None, prefix: str | None = None) -> Answered[Completion]:
        """What may be written at a place of the text, or under a key of a rule."""
        return self._json('GET', f"/api/v1/drafts/{place(id)}/completion", Completion, query={'at': at, 'key': key, 'prefix': prefix})

    def notices_listed(self, *, everybody: bool | None = None, limit: int | None = None) -> Answered[NoticeList]:
        """Notices to owners, and how many of one's own are new."""
        return self._json('GET', "/api/v1/notices", NoticeList, query={'everybody': everybody, 'limit': limit})

    def notices_seen(self, body: appliance_console_api_notices_Seen, *, idempotency_key: str = "") -> Answered[NoticeList]:
        """One's own were seen."""
        return self._json('POST', "/api/v1/notices/seen", NoticeList, body=body, idempotency_key=idempotency_key)

    def proposals_listed(self, *, state: str | None = None, limit: int | None = None, after: str | None = None) -> Answered[tuple[Proposal, ...]]:
        """Proposals, the newest first."""
        return self._json('GET', "/api/v1/proposals", tuple[Proposal, ...], query={'state': state, 'limit': limit, 'after': after})

    def proposals_shown(self, number: int) -> Answered[ProposalShown]:
        """A proposal with its text, what it would change by now, and what was said of it."""
        return self._json('GET', f"/api/v1/proposals/{place(number)}", ProposalShown)

    def proposals_impact(self, number: int, *, days: int | None = None, addresses: bool | None = None, seconds: float | None = None) -> Answered[Impacted]:
        """The flows of the last days that it would have decided otherwise."""
        return self._json('GET', f"/api/v1/proposals/{place(number)}/impact", Impacted, query={'days': days, 'addresses': addresses, 'seconds': seconds})

    def proposals_commented(self, number: int, body: Remark, *, idempotency_key: str = "") -> Answered[Proposal]:
        """Say something about it."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/comments", Proposal, body=body, idempotency_key=idempotency_key)

    def proposals_approved(self, number: int, body: Approving, *, if_match: str, idempotency_key: str = "") -> Answered[Proposal]:
        """Approve the text that one looked at."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/approve", Proposal, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def proposals_rejected(self, number: int, body: Why, *, if_match: str, idempotency_key: str = "") -> Answered[Proposal]:
        """Reject it, with the reason."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/reject", Proposal, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def proposals_amended(self, number: int, body: Amending, *, if_match: str, idempotency_key: str = "") -> Answered[Proposal]:
        """Give it another text."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/amend", Proposal, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def proposals_tried(self, number: int, body: Trying, *, idempotency_key: str = "") -> Answered[TriedView]:
        """What would become of it with another text: what is found, what would change."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/try", TriedView, body=body, idempotency_key=idempotency_key)

    def proposals_tried_on_flows(self, number: int, body: Trying, *, days: int | None = None, addresses: bool | None = None, seconds: float | None = None, idempotency_key: str = "") -> Answered[Impacted]:
        """The flows of the last days that it would have decided otherwise with another text."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/try/impact", Impacted, query={'days': days, 'addresses': addresses, 'seconds': seconds}, body=body, idempotency_key=idempotency_key)

    def proposals_withdrawn(self, number: int, body: Why, *, if_match: str, idempotency_key: str = "") -> Answered[Proposal]:
        """Take it back."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/withdraw", Proposal, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def proposals_scheduled(self, number: int, body: When, *, if_match: str, idempotency_key: str = "") -> Answered[Proposal]:
        """Have it applied at a moment, when it is approved by then."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/schedule", Proposal, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def proposals_applied(self, number: int, body: Applying, *, if_match: str, idempotency_key: str = "") -> Answered[Applied]:
        """Apply it now."""
        return self._json('POST', f"/api/v1/proposals/{place(number)}/apply", Applied, body=body, if_match=if_match, idempotency_key=idempotency_key)

    def report_data(self, *, days: int | None = None, standard: tuple[Literal['cis-8.1', 'iso-27033-4', 'nist-800-41', 'x805'], ...] | None = None) -> Answered[Report]:
        """Every clause of the standards with its answer and evidence, the page of risks, the figures of the last days."""
        return self._json('GET', "/api/v1/report", Report, query={'days': days, 'standard': standard})

    def report_table(self, *, days: int | None = None, standard: tuple[Literal['cis-8.1', 'iso-27033-4', 'nist-800-41', 'x805'], ...] | None = None) -> Answered[bytes]:
        """The same for a spreadsheet (RFC 4180)."""
        return self._raw('GET', "/api/v1/report.csv", query={'days': days, 'standard': standard})

    def report_page(self, *, days: int | None = None, standard: tuple[Literal['cis-8.1', 'iso-27033-4', 'nist-800-41', 'x805'], ...] | None = None) -> Answered[bytes]:
        """The same as a page (PDF/UA-1), where the gateway has a typesetter."""
        return self._raw('GET', "/api/v1/report.pdf", query={'days': days, 'standard': standard})

    def rules_rows(self, *, limit: int | None = None, offset: int | None = None, search: str | None = None, pair: str | None = None, since: int | None = None, days: int | None = None) -> Answered[RulesPage]:
        """The rules that run as rows; `version` is the generation."""
        return self._json('GET', "/api/v1/rules", RulesPage, query={'limit': limit, 'offset': offset, 'search': search, 'pair': pair, 'since': since, 'days': days})

    def rules_out(self, *, search: str | None = None) -> Answered[bytes]:
        """The rules that run for a spreadsheet (RFC 4180)."""
        return self._raw('GET', "/api/v1/rules.csv", query={'search': search})

    def rules_named(self) -> Answered[tuple[ObjectRow, ...]]:
        """What the text that runs and its baselines define."""
        return self._json('GET', "/api/v1/objects", tuple[ObjectRow, ...])

    def rules_uses(self, name: str) -> Answered[tuple[UsedAt, ...]]:
        """Every place that names something in what runs."""
        return self._json('GET', f"/api/v1/uses/{place(name)}", tuple[UsedAt, ...])

    def generations_listed(self, *, limit: int | None = None, after: str | None = None) -> Answered[tuple[GenerationSummary, ...]]:
        """What was applied, the newest first."""
        return self._json('GET', "/api/v1/generations", tuple[GenerationSummary, ...], query={'limit': limit, 'after': after})

    def generations_one(self, number: int) -> Answered[GenerationSummary]:
        """Who applied a generation, when and why."""
        return self._json('GET', f"/api/v1/generations/{place(number)}", GenerationSummary)

    def generations_text(self, number: int) -> Answered[GenerationText]:
        """The text of a generation."""
        return self._json('GET', f"/api/v1/generations/{place(number)}/text", GenerationText)

    def generations_sealed(self, *, generation: tuple[int, ...]) -> Answered[SealList]:
        """Check again whether what is kept of generations is what this gateway signed."""
        return self._json('GET', "/api/v1/seals", SealList, query={'generation': generation})

    def generations_difference(self, number: int, *, from_: int | None = None) -> Answered[Planned]:
        """What going to this generation changes."""
        return self._json('GET', f"/api/v1/generations/{place(number)}/difference", Planned, query={'from': from_})

    def generations_confirmed(self, *, idempotency_key: str = "") -> Answered[Confirmed]:
        """Confirm what runs, by a connection that passed its rules."""
        return self._json('POST', "/api/v1/running/confirm", Confirmed, idempotency_key=idempotency_key)

    def generations_rolled_back(self, body: Back, *, idempotency_key: str = "") -> Answered[Applied]:
        """Go back to a generation."""
        return self._json('POST', "/api/v1/running/rollback", Applied, body=body, idempotency_key=idempotency_key)

    def calendar_listed(self, *, from_: float | None = None, until: float | None = None) -> Answered[tuple[Entry, ...]]:
        """Expiries and reviews of what runs, scheduled proposals, and until when schedules are compiled."""
        return self._json('GET', "/api/v1/calendar", tuple[Entry, ...], query={'from': from_, 'until': until})

    def why_asked(self, body: WhyQuestion, *, idempotency_key: str = "") -> Answered[WhyAnswered]:
        """What the policy that runs decides about a packet, step by step, and the rules that nearly decided."""
        return self._json('POST', "/api/v1/why", WhyAnswered, body=body, idempotency_key=idempotency_key)

    def inspection_inspection(self) -> Answered[InspectionView]:
        """Profiles, feeds and suppressions of what runs."""
        return self._json('GET', "/api/v1/inspection", InspectionView)

    def lines_topology(self) -> Answered[TopologyView]:
        """The zones of what runs, their lines and networks, and which may reach which."""
        return self._json('GET', "/api/v1/topology", TopologyView)

    def lines_lines(self) -> Answered[LineList]:
        """How every line is, and what passes it."""
        return self._json('GET', "/api/v1/lines", LineList)

    def lines_line(self, name: str) -> Answered[LineView]:
        """One line, with what passed it in the last minutes."""
        return self._json('GET', f"/api/v1/lines/{place(name)}", LineView)

    def lines_connections(self) -> Answered[ConnectionsView]:
        """The register of external lines, and how each of them is."""
        return self._json('GET', "/api/v1/connections", ConnectionsView)

    def lines_health(self) -> Answered[Health]:
        """Every process, and since when it is as it is."""
        return self._json('GET', "/api/v1/health", Health)

    def flows_listed(self, *, limit: int | None = None, after: str | None = None, order: Literal['biggest', 'newest'] | None = None, address: str | None = None, port: int | None = None, zone: str | None = None, rule: str | None = None) -> Answered[FlowsView]:
        """The connections that pass now, with the rule that let each through."""
        return self._json('GET', "/api/v1/flows", FlowsView, query={'limit': limit, 'after': after, 'order': order, 'address': address, 'port': port, 'zone': zone, 'rule': rule})

    def flows_one(self, id: str) -> Answered[FlowRow]:
        """One connection, by its number."""
        return self._json('GET', f"/api/v1/flows/{place(id)}", FlowRow)

    def alerts_listed(self, *, limit: int | None = None, after: str | None = None, severity: int | None = None, kind: Literal['finding', 'gateway', 'indicator', 'signature'] | Literal[''] | None = None, rule: str | None = None, signature: str | None = None, address: str | None = None, since: float | None = None, until: float | None = None) -> Answered[AlertList]:
        """The alerts that the gateway keeps, the newest first."""
        return self._json('GET', "/api/v1/alerts", AlertList, query={'limit': limit, 'after': after, 'severity': severity, 'kind': kind, 'rule': rule, 'signature': signature, 'address': address, 'since': since, 'until': until})

    def alerts_counts(self, *, limit: int | None = None) -> Answered[AlertCountsAre]:
        """How many alerts came in the last hour and day, and the signatures that raised the most."""
        return self._json('GET', "/api/v1/alerts/counts", AlertCountsAre, query={'limit': limit})

    def alerts_one(self, id: int, *, seconds: float | None = None, limit: int | None = None) -> Answered[AlertView]:
        """One alert, and what else was seen of its connection."""
        return self._json('GET', f"/api/v1/alerts/{place(id)}", AlertView, query={'seconds': seconds, 'limit': limit})

    def alerts_suppressed(self, id: int, body: Silence, *, idempotency_key: str = "") -> Answered[Draft]:
        """Begin a draft in which the signature of the alert is silent somewhere."""
        return self._json('POST', f"/api/v1/alerts/{place(id)}/suppression", Draft, body=body, idempotency_key=idempotency_key)

    def alerts_packed(self, id: int, body: Reason, *, idempotency_key: str = "") -> Answered[bytes]:
        """A sealed package about the alert, as a tar file: the alert, what was seen with it, the policy that ran, entries of the audit trail with their proofs."""
        return self._raw('POST', f"/api/v1/alerts/{place(id)}/evidence", body=body, idempotency_key=idempotency_key)

    def bans_bans(self, *, word: str | None = None, after: str | None = None, limit: int | None = None) -> Answered[BanPage]:
        """Single bans, a page; lists of many prefixes are `/gate`."""
        return self._json('GET', "/api/v1/bans", BanPage, query={'word': word, 'after': after, 'limit': limit})

    def bans_ban(self, body: NewBan, *, idempotency_key: str = "") -> Answered[tuple[BanEntry, ...]]:
        """Ban at once, without another generation."""
        return self._json('POST', "/api/v1/bans", tuple[BanEntry, ...], body=body, idempotency_key=idempotency_key)

    def bans_unban(self, *, address: tuple[str, ...], idempotency_key: str = "") -> Answered[tuple[BanEntry, ...]]:
        """Take bans back; answers those that there were."""
        return self._json('DELETE', "/api/v1/bans", tuple[BanEntry, ...], query={'address': address}, idempotency_key=idempotency_key)

    def bans_effect(self, *, address: tuple[str, ...]) -> Answered[BanEffect]:
        """What would come of a ban, which of it is refused and why, and which connections it would cut."""
        return self._json('GET', "/api/v1/bans/effect", BanEffect, query={'address': address})

    def bans_allowed(self, *, word: str | None = None, after: str | None = None, limit: int | None = None) -> Answered[AllowPage]:
        """Whom no ban ever stops, and why."""
        return self._json('GET', "/api/v1/allow", AllowPage, query={'word': word, 'after': after, 'limit': limit})

    def bans_allow(self, body: NewAllow, *, idempotency_key: str = "") -> Answered[tuple[AllowEntry, ...]]:
        """No ban holds for them from now on, whoever makes it."""
        return self._json('POST', "/api/v1/allow", tuple[AllowEntry, ...], body=body, idempotency_key=idempotency_key)

    def bans_disallow(self, *, address: tuple[str, ...], idempotency_key: str = "") -> Answered[tuple[AllowEntry, ...]]:
        """Take back what somebody allowed."""
        return self._json('DELETE', "/api/v1/allow", tuple[AllowEntry, ...], query={'address': address}, idempotency_key=idempotency_key)

    def gate_gate(self) -> Answered[GateReport]:
        """Where the gate stands, what it dropped there, and its lists."""
        return self._json('GET', "/api/v1/gate", GateReport)

    def gate_prefixes(self, *, word: str | None = None, list: str | None = None, after: str | None = None, limit: int | None = None) -> Answered[PrefixPage]:
        """Prefixes of lists, a page."""
        return self._json('GET', "/api/v1/gate/prefixes", PrefixPage, query={'word': word, 'list': list, 'after': after, 'limit': limit})

    def gate_forget(self, name: str, *, idempotency_key: str = "") -> Answered[None]:
        """A list is no more, and bans nobody."""
        return self._nothing('DELETE', f"/api/v1/gate/lists/{place(name)}", idempotency_key=idempotency_key)

    def devices_devices(self, *, word: str | None = None, state: Literal['', 'accepted', 'held', 'learned', 'unknown'] | None = None, after: str | None = None, limit: int | None = None) -> Answered[DevicePage]:
        """Devices that were ever seen on our own networks, a page."""
        return self._json('GET', "/api/v1/devices", DevicePage, query={'word': word, 'state': state, 'after': after, 'limit': limit})

    def devices_accept(self, body: Macs, *, idempotency_key: str = "") -> Answered[tuple[DeviceInfo, ...]]:
        """They belong here, and are in quarantine nowhere from now on."""
        return self._json('POST', "/api/v1/devices/accept", tuple[DeviceInfo, ...], body=body, idempotency_key=idempotency_key)

    def devices_quarantine(self, body: Macs, *, idempotency_key: str = "") -> Answered[QuarantineReport]:
        """They are held again where their zone has a quarantine; the register keeps them."""
        return self._json('POST', "/api/v1/devices/quarantine", QuarantineReport, body=body, idempotency_key=idempotency_key)

    def devices_forget(self, body: Macs, *, idempotency_key: str = "") -> Answered[tuple[DeviceInfo, ...]]:
        """As if they had never been seen; answers what was known of them."""
        return self._json('POST', "/api/v1/devices/forget", tuple[DeviceInfo, ...], body=body, idempotency_key=idempotency_key)

    def indicators_indicators(self, *, source: str | None = None, mode: str | None = None, word: str | None = None, holds: str | None = None, after: str | None = None, limit: int | None = None) -> Answered[IndicatorList]:
        """Indicators that others gave, newest first, with what is in force and how often it hit."""
        return self._json('GET', "/api/v1/indicators", IndicatorList, query={'source': source, 'mode': mode, 'word': word, 'holds': holds, 'after': after, 'limit': limit})

    def indicators_override(self, body: NewOverride, *, idempotency_key: str = "") -> Answered[Overridden]:
        """Ask for a value to be blocked in spite of the lists of what never is, or agree with who asked."""
        return self._json('POST', "/api/v1/indicators/override", Overridden, body=body, idempotency_key=idempotency_key)

    def indicators_restore(self, body: Restored, *, idempotency_key: str = "") -> Answered[Overridden]:
        """Take an override back; one person is enough."""
        return self._json('POST', "/api/v1/indicators/restore", Overridden, body=body, idempotency_key=idempotency_key)

    def me_me(self) -> Answered[Me]:
        """Who asks, and what they may."""
        return self._json('GET', "/api/v1/me", Me)

    def me_ask_proof(self, *, idempotency_key: str = "") -> Answered[ProofWanted]:
        """How you may show that it is you who sits there."""
        return self._json('POST', "/api/v1/me/proof/options", ProofWanted, idempotency_key=idempotency_key)

    def me_prove(self, body: appliance_console_api_me_Proof, *, idempotency_key: str = "") -> Answered[None]:
        """Show that it is you, as at a log-in: for ten minutes you may change who comes in and what with."""
        return self._nothing('POST', "/api/v1/me/proof", body=body, idempotency_key=idempotency_key)

    def me_credentials(self) -> Answered[Credentials]:
        """What you come in with."""
        return self._json('GET', "/api/v1/me/credentials", Credentials)

    def me_ask_passkey(self, *, idempotency_key: str = "") -> Answered[dict[str, object]]:
        """What the browser is to ask your device for, to make another passkey."""
        return self._json('POST', "/api/v1/me/passkeys/options", dict[str, object], idempotency_key=idempotency_key)

    def me_add_passkey(self, body: NewPasskey, *, idempotency_key: str = "") -> Answered[PasskeyView]:
        """Add the passkey that your device made."""
        return self._json('POST', "/api/v1/me/passkeys", PasskeyView, body=body, idempotency_key=idempotency_key)

    def me_remove_passkey(self, name: str, *, idempotency_key: str = "") -> Answered[None]:
        """Take a passkey away."""
        return self._nothing('DELETE', f"/api/v1/me/passkeys/{place(name)}", idempotency_key=idempotency_key)

    def me_new_app(self, *, idempotency_key: str = "") -> Answered[NewApp]:
        """A secret for an authenticator app, which a passphrase needs."""
        return self._json('POST', "/api/v1/me/app", NewApp, idempotency_key=idempotency_key)

    def me_set_passphrase(self, body: NewPassphrase, *, idempotency_key: str = "") -> Answered[None]:
        """Set a passphrase with the app that shows this code; what was there before is good no more."""
        return self._nothing('PUT', "/api/v1/me/passphrase", body=body, idempotency_key=idempotency_key)

    def me_remove_passphrase(self, *, idempotency_key: str = "") -> Answered[None]:
        """Take the passphrase and its app away."""
        return self._nothing('DELETE', "/api/v1/me/passphrase", idempotency_key=idempotency_key)

    def sessions_sessions(self, *, person: str | None = None, limit: int | None = None, after: str | None = None) -> Answered[tuple[SessionView, ...]]:
        """Who is in, the newest first."""
        return self._json('GET', "/api/v1/sessions", tuple[SessionView, ...], query={'person': person, 'limit': limit, 'after': after})

    def sessions_end_all(self, *, person: str | None = None, idempotency_key: str = "") -> Answered[Ended]:
        """End all sessions of a person; of your own all but the one that asks."""
        return self._json('DELETE', "/api/v1/sessions", Ended, query={'person': person}, idempotency_key=idempotency_key)

    def sessions_end(self, id: str, *, idempotency_key: str = "") -> Answered[None]:
        """End a session; what it has open ends within seconds."""
        return self._nothing('DELETE', f"/api/v1/sessions/{place(id)}", idempotency_key=idempotency_key)

    def tokens_tokens(self, *, person: str | None = None, limit: int | None = None, after: str | None = None) -> Answered[tuple[TokenView, ...]]:
        """Your tokens or, for administrators, those of others."""
        return self._json('GET', "/api/v1/tokens", tuple[TokenView, ...], query={'person': person, 'limit': limit, 'after': after})

    def tokens_make(self, body: NewToken, *, idempotency_key: str = "") -> Answered[TokenMade]:
        """Make a token for some of what you may."""
        return self._json('POST', "/api/v1/tokens", TokenMade, body=body, idempotency_key=idempotency_key)

    def tokens_revoke(self, id: str, *, idempotency_key: str = "") -> Answered[None]:
        """Revoke a token, which opens nothing from then on."""
        return self._nothing('DELETE', f"/api/v1/tokens/{place(id)}", idempotency_key=idempotency_key)

    def accounts_accounts(self) -> Answered[tuple[AccountView, ...]]:
        """The people of the running policy."""
        return self._json('GET', "/api/v1/accounts", tuple[AccountView, ...])

    def accounts_account(self, id: str) -> Answered[AccountView]:
        """One of them."""
        return self._json('GET', f"/api/v1/accounts/{place(id)}", AccountView)

    def accounts_invite(self, id: str, body: Inviting, *, idempotency_key: str = "") -> Answered[LinkView]:
        """A link by which they make their first passkey or come in again."""
        return self._json('POST', f"/api/v1/accounts/{place(id)}/invite", LinkView, body=body, idempotency_key=idempotency_key)

    def accounts_remove_passkey(self, id: str, name: str, *, idempotency_key: str = "") -> Answered[None]:
        """Take a passkey of theirs away."""
        return self._nothing('DELETE', f"/api/v1/accounts/{place(id)}/passkeys/{place(name)}", idempotency_key=idempotency_key)

    def accounts_remove_passphrase(self, id: str, *, idempotency_key: str = "") -> Answered[None]:
        """Take their passphrase and its app away."""
        return self._nothing('DELETE', f"/api/v1/accounts/{place(id)}/passphrase", idempotency_key=idempotency_key)

    def links_links(self) -> Answered[tuple[WantedView, ...]]:
        """Who wants a link for whom, while the policy asks for four eyes."""
        return self._json('GET', "/api/v1/links", tuple[WantedView, ...])

    def links_agree(self, id: str, *, idempotency_key: str = "") -> Answered[LinkView]:
        """Agree that they get a link, which is told to you: give it to them."""
        return self._json('POST', f"/api/v1/links/{place(id)}/agree", LinkView, idempotency_key=idempotency_key)

    def links_refuse(self, id: str, *, idempotency_key: str = "") -> Answered[None]:
        """They get none: for whom it is for, who wants it, approvers and administrators."""
        return self._nothing('DELETE', f"/api/v1/links/{place(id)}", idempotency_key=idempotency_key)

    def asking_ask(self, process: Literal['alertd', 'policyd', 'recordd', 'watchd'], body: bytes, *, idempotency_key: str = "") -> Answered[bytes]:
        """Ask a process of the gateway as `reef --gateway https://…` does."""
        return self._raw('POST', f"/api/v1/ask/{place(process)}", body=body, media_type='application/vnd.reef.message+json', idempotency_key=idempotency_key)

    def audit_listed(self, *, limit: int | None = None, after: str | None = None, since: float | None = None, until: float | None = None, actor: str | None = None, action: str | None = None, words: str | None = None) -> Answered[tuple[AuditLine, ...]]:
        """Who did what to what, when and why: the newest entries of the trail."""
        return self._json('GET', "/api/v1/audit", tuple[AuditLine, ...], query={'limit': limit, 'after': after, 'since': since, 'until': until, 'actor': actor, 'action': action, 'words': words})

    def audit_health(self) -> Answered[AuditHealthIs]:
        """Whether the trail is kept, signed and vouched for."""
        return self._json('GET', "/api/v1/audit/health", AuditHealthIs)

    def consumers_listed(self) -> Answered[ConsumerList]:
        """The consumers of the policy that runs, and what the outbox holds for them."""
        return self._json('GET', "/api/v1/consumers", ConsumerList)
