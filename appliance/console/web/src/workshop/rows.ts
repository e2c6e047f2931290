// The rules of a policy as rows: what a search finds, what stands together, what a rule waits for. Pure.

import { holds, spanOf, type Span } from "./addresses.ts";
import type { RuleFinding, RulePage, RuleRow } from "./shapes.ts";

/** What an object stands for, as far as a search looks into it. */
export type Contents = ReadonlyMap<string, readonly string[]>;

export interface Group {
  readonly key: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly rows: readonly RuleRow[];
}

export const STATES = ["findings", "expired", "expiring", "review", "unused", "disabled", "inherited"] as const;
export type State = (typeof STATES)[number];

const DAY = 86_400;
/** A rule that ends within so many days is about to. */
export const SOON = 30;

/** What must be mended before the text can run; the rest is to be looked at. */
export function isGrave(finding: RuleFinding): boolean {
  return finding.kind === "error" || finding.kind === "invariant" || finding.kind === "baseline";
}

/** Whether a rule stands among those of the text itself, where it can be moved and others be put behind it. */
export function isOwn(row: RuleRow): boolean {
  return row.section === "rules";
}

export function pairKey(row: RuleRow): string {
  // A published service without a zone goes to the zone of its address.
  const to = row.pair[1].length > 0 ? row.pair[1] : row.destination;
  return `${row.pair[0].join(", ")} → ${to.join(", ")}`;
}

/** Rules by their pair of zones, in the order in which the first of each pair stands; the order within a pair decides. */
export function grouped(rows: readonly RuleRow[]): Group[] {
  const groups = new Map<string, RuleRow[]>();
  for (const row of rows) {
    const key = pairKey(row);
    const there = groups.get(key);
    if (there === undefined) groups.set(key, [row]);
    else there.push(row);
  }
  return [...groups].map(([key, members]) => {
    const [from, to] = members[0]?.pair ?? [[], []];
    return { key, from, to, rows: members };
  });
}

/** Rows of one version brought to another by what is different. */
export function brought(rows: readonly RuleRow[], page: RulePage): readonly RuleRow[] {
  const now = new Map<string, RuleRow>();
  let by = 0;
  let next = 0;
  rows.forEach((row, index) => {
    for (let shift = page.shifts[next]; shift !== undefined && shift[0] <= index; shift = page.shifts[next]) {
      by = shift[1];
      next += 1;
    }
    now.set(row.id, by === 0 ? row : { ...row, line: row.line + by });
  });
  for (const id of page.gone) now.delete(id);
  for (const row of page.rows) now.set(row.id, row);
  const order = page.order ?? [...now.keys()];
  return order.map((id) => now.get(id)).filter((row) => row !== undefined);
}

/** What a rule is besides what it says. `now` in seconds. */
export function statesOf(row: RuleRow, now: number): State[] {
  const found: State[] = [];
  if (row.findings.length > 0) found.push("findings");
  const ends = momentOf(row.expires, true);
  if (ends !== null && ends <= now) found.push("expired");
  else if (ends !== null && ends <= now + SOON * DAY) found.push("expiring");
  const review = momentOf(row.review, false);
  if (review !== null && review <= now) found.push("review");
  // -1: nothing is known of what it matched.
  if (row.recent === 0 && row.enabled) found.push("unused");
  if (!row.enabled) found.push("disabled");
  if (row.inherited) found.push("inherited");
  return found;
}

/** Seconds since the epoch of a date or minute of the policy; a date that ends something is the end of its day. */
export function momentOf(words: string, ends: boolean): number | null {
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}))?/.exec(words);
  if (match === null) return null;
  const at = Date.parse(`${match[1]}T${match[2] ?? "00:00"}:00`);
  if (Number.isNaN(at)) return null;
  return at / 1000 + (match[2] === undefined && ends ? DAY : 0);
}

const KEYS = new Map<string, (row: RuleRow) => readonly string[]>([
  ["id", (row) => [row.id]],
  ["from", (row) => row.pair[0]],
  ["to", (row) => row.pair[1]],
  ["source", (row) => row.source],
  ["destination", (row) => row.destination],
  ["service", (row) => row.service],
  ["people", (row) => row.people],
  ["when", (row) => [row.when]],
  ["action", (row) => [row.action]],
  ["inspect", (row) => [row.inspect]],
  ["log", (row) => [row.log]],
  ["owner", (row) => [row.owner]],
  ["why", (row) => [row.why]],
  ["ticket", (row) => [row.ticket]],
]);

const READS = [...KEYS.values()];

interface Term {
  readonly word: string;
  readonly read: ((row: RuleRow) => readonly string[]) | null;
  /** Words that stand for what is searched for without spelling it: networks around an address, objects that hold it. */
  readonly words: ReadonlySet<string>;
}

/** Rows in a form that a search walks quickly through: made once for a list of rows, asked at each keystroke. */
export class Searchable {
  readonly #rows: readonly RuleRow[];
  readonly #contents: Contents;
  readonly #texts: string[] = []; // of the first rows, as far as they are read
  // Spans by word, of words that may hold an address which they do not spell.
  readonly #wide = new Map<string, Span>();

  constructor(rows: readonly RuleRow[], contents: Contents) {
    this.#rows = rows;
    this.#contents = contents;
    for (const members of contents.values()) for (const member of members) this.#widen(member);
  }

  /** Read up to `most` more rows; true when all are read. */
  prepare(most: number): boolean {
    const end = Math.min(this.#rows.length, this.#texts.length + most);
    for (let index = this.#texts.length; index < end; index++) {
      const row = this.#rows[index] as RuleRow;
      let text = "";
      for (const read of READS) text += `${read(row).join(" ")}\n`;
      this.#texts.push(text.toLowerCase());
      for (const word of row.source) this.#widen(word);
      for (const word of row.destination) this.#widen(word);
    }
    return end === this.#rows.length;
  }

  /** The rows in which every word of the search is found, in their order. */
  found(search: string): readonly RuleRow[] {
    const words = search
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "");
    if (words.length === 0) return this.#rows;
    this.prepare(Infinity);
    const terms = words.map((word) => this.#term(word));
    return this.#rows.filter((row, index) => terms.every((term) => matches(row, this.#texts[index] ?? "", term)));
  }

  #term(written: string): Term {
    const colon = written.indexOf(":");
    const key = colon > 0 && KEYS.has(written.slice(0, colon)) ? written.slice(0, colon) : "";
    const word = key ? written.slice(colon + 1) : written;
    const span = spanOf(word);
    const words = new Set<string>();
    if (span !== null) for (const [wide, other] of this.#wide) if (holds(other, span)) words.add(wide);
    for (const [name, members] of this.#contents) {
      if (members.some((member) => words.has(member) || (word !== "" && member.toLowerCase().includes(word))))
        words.add(name);
    }
    return { word, read: KEYS.get(key) ?? null, words };
  }

  #widen(word: string): void {
    if (this.#wide.has(word) || !/[/:-]/.test(word)) return;
    const span = spanOf(word);
    if (span !== null) this.#wide.set(word, span);
  }
}

function matches(row: RuleRow, text: string, term: Term): boolean {
  if (term.read !== null) {
    const words = term.read(row);
    return words.some((word) => term.words.has(word) || word.toLowerCase().includes(term.word));
  }
  if (text.includes(term.word)) return true;
  if (term.words.size === 0) return false;
  const stands = (word: string): boolean => term.words.has(word);
  return row.source.some(stands) || row.destination.some(stands) || row.service.some(stands);
}
