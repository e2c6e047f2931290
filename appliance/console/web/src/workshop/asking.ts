// Every question of the workshop to the API, in one place.

import { all, get, patch, post, put, remove, ROOT } from "../api/client.ts";
import type { Batch } from "./sending.ts";
import type {
  Applied,
  CalendarEntry,
  Choices,
  Draft,
  DraftChecked,
  DraftText,
  Impacted,
  Merged,
  NamedThing,
  Operation,
  Planned,
  Proposal,
  ProposalShown,
  RulePage,
  Tried,
  Use,
  WhyAnswered,
  WhyQuestion,
} from "./shapes.ts";

function path(...parts: (string | number)[]): string {
  return `/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

/** If-Match of a draft: the version that a change is made on. */
function tag(version: number): string {
  return `"${version}"`;
}

// --- drafts ---

export function drafts(): Promise<Draft[]> {
  return all<Draft>("/drafts");
}

export function draft(id: string): Promise<Draft> {
  return get<Draft>(path("drafts", id));
}

export async function openDraft(title: string, generation?: number): Promise<Draft> {
  return (await post<Draft>("/drafts", generation === undefined ? { title } : { title, generation })).value;
}

export async function nameDraft(draft: Draft, title: string, ticket: string): Promise<Draft> {
  return (await patch<Draft>(path("drafts", draft.id), { title, ticket }, { etag: tag(draft.version) })).value;
}

export async function dropDraft(draft: Draft): Promise<void> {
  await remove(path("drafts", draft.id), { etag: tag(draft.version) });
}

export function draftText(id: string): Promise<DraftText> {
  return get<DraftText>(path("drafts", id, "text"));
}

export function checked(id: string): Promise<DraftChecked> {
  return get<DraftChecked>(path("drafts", id, "proof"));
}

export async function sendEdits(id: string, batch: Batch): Promise<DraftChecked> {
  const { version, edits, key } = batch;
  return (await patch<DraftChecked>(path("drafts", id, "text"), { version, edits }, { etag: tag(version), key }))
    .value;
}

export async function undo(id: string, version: number): Promise<DraftChecked> {
  return (await post<DraftChecked>(path("drafts", id, "undo"), { version }, { etag: tag(version) })).value;
}

export async function redo(id: string, version: number): Promise<DraftChecked> {
  return (await post<DraftChecked>(path("drafts", id, "redo"), { version }, { etag: tag(version) })).value;
}

export async function operate(id: string, version: number, operations: readonly Operation[]): Promise<DraftChecked> {
  const body = { version, operations };
  return (await post<DraftChecked>(path("drafts", id, "operations"), body, { etag: tag(version) })).value;
}

/** Rules of a draft, of what runs with "": `limit` from `offset` on; with `since` only what is different from that version. */
export function rules(
  id: string,
  asked: { since: number } | { offset: number; limit: number },
  signal: AbortSignal,
): Promise<RulePage> {
  return get<RulePage>(id === "" ? "/rules" : path("drafts", id, "rules"), { query: { ...asked }, signal });
}

export function objects(id: string, signal?: AbortSignal): Promise<NamedThing[]> {
  return all<NamedThing>(id === "" ? "/objects" : path("drafts", id, "objects"), signal ? { signal } : {});
}

export function uses(id: string, name: string, signal?: AbortSignal): Promise<Use[]> {
  return get<Use[]>(id === "" ? path("uses", name) : path("drafts", id, "uses", name), signal ? { signal } : {});
}

/** What may stand at an offset of the text. */
export function completion(id: string, at: number): Promise<Choices> {
  return get<Choices>(path("drafts", id, "completion"), { query: { at } });
}

/** What may stand under a key of a rule and begins like that. */
export function completionOf(id: string, key: string, prefix: string): Promise<Choices> {
  return get<Choices>(path("drafts", id, "completion"), { query: { key, prefix } });
}

export function plan(id: string, signal?: AbortSignal): Promise<Planned> {
  return get<Planned>(path("drafts", id, "plan"), signal ? { signal } : {});
}

export function impact(id: string, days: number, addresses: boolean, signal?: AbortSignal): Promise<Impacted> {
  return get<Impacted>(path("drafts", id, "impact"), { query: { days, addresses }, ...(signal ? { signal } : {}) });
}

export async function merge(id: string, version: number, other: string): Promise<Merged> {
  return (await post<Merged>(path("drafts", id, "merge"), { version, other }, { etag: tag(version) })).value;
}

export async function propose(draft: Draft, title: string, why: string, ticket: string): Promise<Proposal> {
  const body = { title, why, ticket };
  return (await post<Proposal>(path("drafts", draft.id, "propose"), body, { etag: tag(draft.version) })).value;
}

export function csvAddress(id: string): string {
  return id === "" ? `${ROOT}/rules.csv` : `${ROOT}${path("drafts", id, "rules.csv")}`;
}

export async function takeCsv(id: string, version: number, csv: Blob): Promise<DraftChecked> {
  const options = { etag: tag(version), type: "text/csv" };
  return (await put<DraftChecked>(path("drafts", id, "rules.csv"), csv, options)).value;
}

// --- proposals ---

export function proposals(signal?: AbortSignal): Promise<Proposal[]> {
  return all<Proposal>("/proposals", signal ? { signal } : {});
}

export function proposal(number: number, signal?: AbortSignal): Promise<ProposalShown> {
  return get<ProposalShown>(path("proposals", number), signal ? { signal } : {});
}

export function proposalImpact(
  number: number,
  days: number,
  addresses: boolean,
  signal?: AbortSignal,
): Promise<Impacted> {
  const query = { days, addresses };
  return get<Impacted>(path("proposals", number, "impact"), { query, ...(signal ? { signal } : {}) });
}

/** One step of a proposal: what is approved or applied is named by its digest, so nobody agrees to what they did not see. */
export async function step(
  number: number,
  what: "comments" | "approve" | "reject" | "amend" | "withdraw" | "schedule",
  body: Readonly<Record<string, unknown>>,
  digest: string,
): Promise<void> {
  await post(path("proposals", number, what), body, { etag: `"${digest}"` });
}

/** What would become of a proposal with another text: nothing is kept. */
export async function tryText(number: number, digest: string, text: string, signal: AbortSignal): Promise<Tried> {
  return (await post<Tried>(path("proposals", number, "try"), { digest, text }, { signal })).value;
}

export async function tryImpact(
  number: number,
  digest: string,
  text: string,
  days: number,
  addresses: boolean,
  signal: AbortSignal,
): Promise<Impacted> {
  const query = { days, addresses };
  return (await post<Impacted>(path("proposals", number, "try", "impact"), { digest, text }, { query, signal }))
    .value;
}

/** `confirmWithin` seconds, or what comes back is what ran before; 0 is the gateway's own time. */
export async function apply(
  number: number,
  digest: string,
  confirmWithin: number,
  key: string,
  signal: AbortSignal,
): Promise<Applied> {
  const body = confirmWithin > 0 ? { digest, confirm_within: confirmWithin } : { digest };
  return (await post<Applied>(path("proposals", number, "apply"), body, { key, signal, etag: `"${digest}"` })).value;
}

/** Back to the generation before the one that runs. */
export async function rollBack(reason: string): Promise<Applied> {
  return (await post<Applied>("/running/rollback", { reason })).value;
}

// --- the rest ---

export function calendar(signal?: AbortSignal): Promise<CalendarEntry[]> {
  return all<CalendarEntry>("/calendar", signal ? { signal } : {});
}

export async function why(question: WhyQuestion): Promise<WhyAnswered> {
  return (await post<WhyAnswered>("/why", question)).value;
}
