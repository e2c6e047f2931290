// The rules of a draft, or of what runs, as the grid shows them; kept up to date without fetching ten thousand rows at each change.

import { Problem } from "../api/problem.ts";
import * as api from "./asking.ts";
import type { OpenDraft } from "./draft.svelte.ts";
import { brought, Searchable, type Contents } from "./rows.ts";
import type { NamedThing, Operation, RuleRow } from "./shapes.ts";

export class RuleList {
  rows = $state.raw<readonly RuleRow[]>([]);
  names = $state.raw<readonly NamedThing[]>([]);
  /** Why there are no rows: the text cannot be read as rules. */
  broken = $state("");
  problem = $state.raw<Problem | null>(null);
  waiting = $state(true);
  readonly draft: OpenDraft | null;
  readonly #contents = $derived<Contents>(new Map(this.names.map((one) => [one.name, one.words])));
  readonly #searchable = $derived(new Searchable(this.rows, this.#contents));
  #version: number | undefined;
  #running: AbortController | null = null;

  constructor(draft: OpenDraft | null) {
    this.draft = draft;
  }

  /** Bring the rows to what the draft is now. */
  async load(): Promise<void> {
    this.#running?.abort();
    const mine = (this.#running = new AbortController());
    this.waiting = true;
    try {
      await this.draft?.settled();
      const id = this.draft?.id ?? "";
      const [page, names] = await Promise.all([
        api.rules(id, this.draft === null ? undefined : this.#version, mine.signal),
        api.objects(id, mine.signal),
      ]);
      if (mine.signal.aborted) return;
      this.rows = this.#version === undefined || this.draft === null ? page.rows : brought(this.rows, page);
      this.names = names;
      this.broken = page.broken;
      this.#version = page.version;
      this.problem = null;
    } catch (problem) {
      if (mine.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.problem = problem;
    } finally {
      if (this.#running === mine) this.waiting = false;
    }
  }

  drop(): void {
    this.#running?.abort();
  }

  found(search: string): readonly RuleRow[] {
    return this.#searchable.found(search);
  }

  /** Change rules of the draft, and show what became of them. */
  async operate(operations: readonly Operation[]): Promise<void> {
    if (this.draft === null) return;
    await this.draft.operate(operations);
    await this.load();
  }
}
