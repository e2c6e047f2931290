// The rules of a draft, or of what runs, as the grid shows them; kept up to date without fetching ten thousand rows at each change.

import { Problem } from "../api/problem.ts";
import * as api from "./asking.ts";
import type { OpenDraft } from "./draft.svelte.ts";
import { choicesFor, LEARNT, type FieldChoice, type FieldKey } from "./fields.ts";
import { brought, Searchable, type Contents } from "./rows.ts";
import type { NamedThing, Operation, RulePage, RuleRow } from "./shapes.ts";

/** What fills a screen comes first, and is shown at once. */
const FIRST = 100;
/** Rules of each part after it: few enough that reading one keeps nobody from typing. */
const PART = 5_000;

export class RuleList {
  /** While they come: the first ones. */
  rows = $state.raw<readonly RuleRow[]>([]);
  /** How many there are. */
  total = $state(0);
  names = $state.raw<readonly NamedThing[]>([]);
  /** Why there are no rows: the text cannot be read as rules. */
  broken = $state("");
  problem = $state.raw<Problem | null>(null);
  waiting = $state(true);
  readonly draft: OpenDraft | null;
  readonly #contents = $derived<Contents>(new Map(this.names.map((one) => [one.name, one.words])));
  readonly #searchable = $derived(new Searchable(this.rows, this.#contents));
  #preparing = 0;
  #version: number | undefined;
  #running: AbortController | null = null;

  constructor(draft: OpenDraft | null) {
    this.draft = draft;
  }

  /** Bring the rows to what the draft is now; and the names, unless it is known that they are the same. */
  async load(names = true): Promise<void> {
    this.#running?.abort();
    const mine = (this.#running = new AbortController());
    this.waiting = true;
    try {
      await this.draft?.settled();
      const rows = await this.#bring(mine.signal);
      if (mine.signal.aborted) return;
      this.rows = rows;
      this.total = rows.length;
      if (names || this.names.length === 0) this.names = await api.objects(this.draft?.id ?? "", mine.signal);
      this.problem = null;
      this.#prepare();
    } catch (problem) {
      if (mine.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.problem = problem;
    } finally {
      if (this.#running === mine) this.waiting = false;
    }
  }

  /** What changed since the rows that are here, where the gateway can tell; else all, a part at a time. */
  async #bring(signal: AbortSignal): Promise<readonly RuleRow[]> {
    const id = this.draft?.id ?? "";
    if (this.#version !== undefined) {
      const page = await api.rules(id, { since: this.#version }, signal);
      const rows = page.whole ? page.rows : brought(this.rows, page);
      // Two rules of one id cannot be told apart by what changed.
      if (rows.length === page.total) return this.#took(page, rows);
    }
    let page = await api.rules(id, { offset: 0, limit: FIRST }, signal);
    let rows = [...page.rows];
    if (this.rows.length === 0 && !signal.aborted) {
      this.total = page.total;
      this.rows = page.rows;
    }
    while (rows.length < page.total) {
      const next = await api.rules(id, { offset: rows.length, limit: PART }, signal);
      if (next.rows.length === 0) break;
      // Another version than the parts before: from the beginning.
      if (next.version !== page.version) rows = [];
      else for (const row of next.rows) rows.push(row);
      page = next;
    }
    return this.#took(page, rows);
  }

  #took(page: RulePage, rows: readonly RuleRow[]): readonly RuleRow[] {
    this.broken = page.broken;
    this.#version = page.version;
    return rows;
  }

  drop(): void {
    this.#running?.abort();
    window.clearTimeout(this.#preparing);
  }

  /** Make ready what the first search needs, a little at a time. */
  #prepare(): void {
    window.clearTimeout(this.#preparing);
    this.#preparing = window.setTimeout(() => {
      if (!this.#searchable.prepare(PART)) this.#prepare();
    });
  }

  found(search: string): readonly RuleRow[] {
    return this.#searchable.found(search);
  }

  /** What may stand in a field and has what was typed in it: by the gateway, which knows every name; else what is known here. */
  async choices(key: FieldKey, typed: string): Promise<readonly FieldChoice[]> {
    const part = typed.trim().toLowerCase();
    const known = choicesFor(key, this.names, this.rows).filter(
      (choice) => choice.value.toLowerCase().includes(part) || choice.note?.toLowerCase().includes(part),
    );
    if (this.draft === null || LEARNT.has(key)) return known;
    try {
      const offered = (await api.completionOf(this.draft.id, key, typed.trim())).items;
      const found = new Map(known.map((choice) => [choice.value, choice]));
      for (const item of offered)
        found.set(item.insert || item.label, { value: item.insert || item.label, note: item.detail });
      return [...found.values()];
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return known;
    }
  }

  /** Change rules of the draft, and show what became of them. */
  async operate(operations: readonly Operation[]): Promise<void> {
    if (this.draft === null) return;
    await this.draft.operate(operations);
    await this.load(false);
  }
}
