// The fields of a rule: which of them are lists, and what may stand in them. Pure.

import type { NamedThing, RuleRow } from "./shapes.ts";

export type FieldKey =
  | "from"
  | "to"
  | "source"
  | "destination"
  | "service"
  | "people"
  | "when"
  | "action"
  | "inspect"
  | "log"
  | "limit"
  | "connections"
  | "expires"
  | "review"
  | "owner"
  | "why"
  | "ticket"
  | "enabled";

export const LISTS: ReadonlySet<FieldKey> = new Set(["from", "to", "source", "destination", "service", "people"]);

export interface FieldChoice {
  readonly value: string;
  readonly note?: string;
}

const KINDS: Partial<Record<FieldKey, readonly string[]>> = {
  source: ["object"],
  destination: ["object"],
  service: ["service"],
  people: ["person", "group"],
  when: ["schedule"],
  inspect: ["profile"],
};
const FIXED: Partial<Record<FieldKey, readonly string[]>> = {
  from: ["any", "gateway"],
  to: ["any", "gateway"],
  service: ["any"],
  action: ["allow", "deny", "reject"],
  inspect: ["strict", "standard"],
  log: ["none", "start", "end", "both"],
  enabled: ["yes", "no"],
};
/** Fields that may say anything, and in which others have written already what is likely to be written again. */
export const LEARNT: ReadonlySet<FieldKey> = new Set(["owner", "ticket"]);
const FROM_RULES: ReadonlySet<FieldKey> = new Set([...LEARNT, "from", "to", "service"]);

/** What a field may be filled with: names of the policy, words of the language, and what other rules say there. */
export function choicesFor(key: FieldKey, names: readonly NamedThing[], rows: readonly RuleRow[]): FieldChoice[] {
  const found = new Map<string, FieldChoice>();
  const kinds = KINDS[key] ?? [];
  for (const one of names) {
    if (!kinds.includes(one.kind)) continue;
    const value = one.kind === "group" ? `group:${one.name}` : one.name;
    found.set(value, { value, note: one.description || one.words.slice(0, 4).join(", ") });
  }
  for (const value of FIXED[key] ?? []) if (!found.has(value)) found.set(value, { value });
  if (FROM_RULES.has(key))
    for (const row of rows) for (const value of said(row, key)) if (!found.has(value)) found.set(value, { value });
  return [...found.values()];
}

/** What a rule says under a key, as words. */
export function said(row: RuleRow, key: FieldKey): readonly string[] {
  if (key === "from") return row.pair[0];
  if (key === "to") return row.pair[1];
  if (key === "enabled") return [row.enabled ? "yes" : "no"];
  const value = row[key];
  if (typeof value === "string") return value === "" ? [] : [value];
  return value;
}

/** In which section of the text a kind of name stands; kinds that are not here are changed in the text. */
export const SECTIONS: Readonly<Record<string, string>> = {
  object: "objects",
  service: "services",
  schedule: "schedules",
  person: "people",
  group: "groups",
};
