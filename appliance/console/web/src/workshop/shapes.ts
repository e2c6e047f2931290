// What the API answers in the workshop, as far as its views read it.

import type { Edit } from "./edits.ts";

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly remedy: string;
  readonly severity: string;
}

/** What was found in a rule, or proven of it. */
export interface RuleFinding {
  readonly kind: "error" | "warning" | "dead" | "no-effect" | "conflict" | "invariant" | "baseline";
  readonly words: string;
  readonly others: readonly string[];
  readonly example: string;
}

/** One rule in the grid. `expires` and `review` are words of the policy, "" for none; `last` is seconds since the epoch, 0 for never; hits are -1 where nothing is known of them. */
export interface RuleRow {
  readonly id: string;
  readonly pair: readonly [readonly string[], readonly string[]];
  readonly source: readonly string[];
  readonly destination: readonly string[];
  readonly service: readonly string[];
  readonly people: readonly string[];
  readonly when: string;
  readonly action: string;
  readonly inspect: string;
  readonly log: string;
  readonly why: string;
  readonly owner: string;
  readonly ticket: string;
  readonly limit: string;
  readonly connections: string;
  readonly expires: string;
  readonly review: string;
  readonly enabled: boolean;
  readonly line: number;
  readonly inherited: string;
  readonly hits: number;
  readonly recent: number;
  readonly last: number;
  readonly findings: readonly RuleFinding[];
  /** "rules" and "publish" are the text's own; "first" and "last" stand around them in baselines. */
  readonly section: string;
}

/**
 * The rules of a version: from `offset` on as many as fit an answer, or where it is not `whole` what is different since another: rows
 * that read otherwise, `order` when ids came, went or moved, ids that are `gone`. `shifts`: from the row of that index on, lines are so many more. `broken` says why there are none.
 */
export interface RulePage {
  readonly version: number;
  readonly whole: boolean;
  readonly total: number;
  readonly broken: string;
  readonly rows: readonly RuleRow[];
  readonly order: readonly string[] | null;
  readonly gone: readonly string[];
  readonly shifts: readonly (readonly [number, number])[];
}

/** `findings` is how many there were when the draft was looked at last, `ok` whether it could be applied then. */
export interface Draft {
  readonly id: string;
  readonly person: string;
  readonly title: string;
  readonly base: number;
  readonly version: number;
  readonly created: number;
  readonly changed: number;
  readonly ok: boolean;
  readonly findings: number;
  readonly ticket: string;
  readonly undo: number;
  readonly redo: number;
}

export interface DraftText {
  readonly draft: Draft;
  readonly text: string;
}

export interface Proven {
  readonly kind: "dead" | "no-effect" | "conflict" | "invariant" | "baseline";
  readonly rule: string;
  readonly others: readonly string[];
  readonly name: string;
  readonly example: string;
  readonly line: number;
}

export interface Proof {
  readonly shown: readonly Proven[];
  readonly conflicts: number;
  readonly undecided: readonly string[];
  readonly seconds: number;
}

/** A draft after a change. `edits` bring an editor from the text before to this one. */
export interface DraftChecked {
  readonly draft: Draft;
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  readonly edits: readonly Edit[];
  readonly proof: Proof | null;
  readonly rules: number;
  readonly seconds: number;
}

export type Words = string | readonly string[] | null;

/** A change of a text that keeps every line which it does not speak of. */
export type Operation =
  | { readonly op: "set"; readonly rule: string; readonly keys: Readonly<Record<string, Words>> }
  | { readonly op: "insert"; readonly after: string | null; readonly yaml: string }
  | { readonly op: "delete"; readonly rules: readonly string[] }
  | { readonly op: "move"; readonly rules: readonly string[]; readonly after: string }
  | { readonly op: "copy"; readonly rule: string; readonly id: string; readonly after: string }
  | { readonly op: "object"; readonly section: string; readonly name: string; readonly yaml: string | null };

export interface TextChange {
  readonly kind: "added" | "removed" | "changed" | "moved";
  readonly what: string;
  readonly words: string;
}

export interface TrafficChange {
  readonly words: string;
  readonly example: string;
  readonly old_action: string;
  readonly new_action: string;
  readonly old_rule: string;
  readonly new_rule: string;
}

export interface TrafficDifference {
  readonly opened: readonly TrafficChange[];
  readonly closed: readonly TrafficChange[];
  readonly other: readonly TrafficChange[];
  readonly unlisted: number;
  readonly undecided: readonly string[];
}

export interface Planned {
  readonly base: number;
  readonly changes: readonly TextChange[];
  readonly findings: readonly Finding[];
  readonly statements: number;
  readonly omitted: readonly string[];
  readonly traffic: TrafficDifference | null;
}

export interface Tally {
  readonly words: string;
  readonly flows: number;
}

export interface ImpactGroup {
  readonly kind: "denied" | "allowed" | "elsewhere" | "refused" | "another-rule";
  readonly from_zone: string;
  readonly to_zone: string;
  readonly rule: string;
  readonly rule_now: string;
  readonly action: string;
  readonly action_now: string;
  readonly owner: string;
  readonly owner_now: string;
  readonly flows: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  readonly services: readonly Tally[];
  readonly sources: number;
  readonly from_places: readonly Tally[];
  readonly destinations: number;
  readonly to_places: readonly Tally[];
  readonly example: string;
}

export interface Impacted {
  readonly base: number;
  readonly flows: number;
  readonly logged: number;
  readonly since: number;
  readonly until: number;
  readonly seconds: number;
  readonly groups: readonly ImpactGroup[];
  readonly unlisted: number;
  readonly unsure: number;
  readonly unlike_log: number;
  readonly missing: readonly string[];
}

export type ProposalState =
  | "proposed"
  | "approved"
  | "scheduled"
  | "applied"
  | "confirmed"
  | "rolled-back"
  | "rejected"
  | "withdrawn"
  | "stale";

/** A text that somebody asks to have run. An approval is of its `digest`, and of none of the `writers`; those of `agreed` hold. `at` is when it is to be applied, 0 for nobody said. */
export interface Proposal {
  readonly number: number;
  readonly title: string;
  readonly why: string;
  readonly ticket: string;
  readonly author: string;
  readonly base: number;
  readonly digest: string;
  readonly state: ProposalState;
  readonly created: number;
  readonly approvals: number;
  readonly needed: number;
  readonly at: number;
  readonly changed: number;
  readonly generation: number;
  readonly note: string;
  readonly writers: readonly string[];
  readonly agreed: readonly string[];
}

export interface Comment {
  readonly person: string;
  readonly at: number;
  readonly words: string;
  readonly rule: string;
}

export interface Approval {
  readonly person: string;
  readonly at: number;
  readonly words: string;
  readonly digest: string;
  readonly holds: boolean;
}

export interface Step {
  readonly at: number;
  readonly person: string;
  readonly action: string;
  readonly words: string;
}

/** What would become of a proposal with another text. */
export interface Tried {
  planned: Planned | null;
  findings: readonly Finding[];
}

export interface ProposalShown {
  readonly proposal: Proposal;
  readonly text: string;
  readonly base_text: string;
  readonly planned: Planned | null;
  readonly findings: readonly Finding[];
  readonly comments: readonly Comment[];
  readonly approvals: readonly Approval[];
  readonly history: readonly Step[];
}

/** What runs now. `confirm_by`: seconds since the epoch, 0 when it needs no confirm. */
export interface Applied {
  readonly generation: number;
  readonly confirm_by: number;
}

/** A piece of the policy that two drafts changed differently; "" where it is not there. */
export interface Conflict {
  readonly section: string;
  readonly name: string;
  readonly kind: string;
  readonly base: string;
  readonly mine: string;
  readonly theirs: string;
}

export interface Merged {
  readonly draft: Draft;
  readonly edits: readonly Edit[];
  readonly conflicts: readonly Conflict[];
}

/** Something that a policy gives a name: an object, a service, a schedule, a group. `words` is what it stands for. */
export interface NamedThing {
  readonly name: string;
  readonly kind: string;
  readonly words: readonly string[];
  readonly uses: number;
  readonly line: number;
  readonly description: string;
  readonly yaml: string;
  /** The baseline that defines it. */
  readonly inherited: string;
}

/** A place that names something; `through` is what it names instead, where that contains it. */
export interface Use {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly holder: string;
  readonly holder_id: string;
  readonly key: string;
  readonly through: readonly string[];
}

export interface Choice {
  readonly label: string;
  readonly detail: string;
  readonly kind: string;
  readonly insert: string;
}

/** What may stand in the place of the text from `start` to `end`. */
export interface Choices {
  readonly start: number;
  readonly end: number;
  readonly items: readonly Choice[];
}

export interface CalendarEntry {
  readonly at: number;
  readonly kind: string;
  readonly id: string;
  readonly what: string;
  readonly owner: string;
  readonly why: string;
}

export type WhyQuestion =
  | { readonly line: string }
  | { readonly flow: number }
  | { readonly source: string; readonly destination: string; readonly service: string; readonly person?: string };

export interface WhyStep {
  readonly kind: string;
  readonly words: string;
}

export interface NearMiss {
  readonly rule: string;
  readonly action: string;
  readonly missed: readonly string[];
  readonly words: string;
}

/** As `reef why --json` says it. */
export interface WhyAnswer {
  readonly at: string;
  readonly source: string;
  readonly source_zone: string;
  readonly enters: string;
  readonly destination: string;
  readonly destination_zone: string;
  readonly leaves: string;
  readonly via: string;
  readonly service: string;
  readonly action: string;
  readonly rule: string;
  readonly why: string;
  readonly owner: string;
  readonly expires: string;
  readonly schedule: string;
  readonly inspect: string;
  readonly leaves_from: string;
  readonly leaves_to: string;
  readonly source_nat: string;
  readonly destination_nat: string;
  readonly steps: readonly WhyStep[];
  readonly near: readonly NearMiss[];
  readonly near_count: number;
}

/** `logged` is what a line says was decided; `note` what was chosen for words that mean more than one thing. */
export interface WhyAnswered {
  readonly answer: WhyAnswer;
  readonly logged: string;
  readonly note: string;
}
