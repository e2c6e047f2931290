// A list that the gateway searches and gives a page at a time: the first page at once, others when they are asked for.

import { Problem } from "../api/problem.ts";
import { Asked, asked } from "./asking.svelte.ts";

/** A page as the view wants it. `after` is where the next begins, "" at the end; `all` is what else the answer said. */
export interface Page<Row, All> {
  rows: readonly Row[];
  after: string;
  all: All;
}

export class Pages<Row, All> {
  first: Asked<Page<Row, All>>;
  problem = $state.raw<Problem | null>(null);
  busy = $state(false);
  #further = $state.raw<readonly Row[]>([]);
  #after = $state("");
  #of = $state.raw<Page<Row, All> | undefined>(undefined);
  #ask: (after: string, signal: AbortSignal) => Promise<Page<Row, All>>;

  constructor(ask: (after: string, signal: AbortSignal) => Promise<Page<Row, All>>) {
    this.#ask = ask;
    this.first = asked(async (signal) => {
      const page = await ask("", signal);
      this.#of = page;
      this.#further = [];
      this.#after = page.after;
      this.problem = null;
      return page;
    });
  }

  get rows(): readonly Row[] {
    return this.#further.length > 0 ? [...(this.#of?.rows ?? []), ...this.#further] : (this.#of?.rows ?? []);
  }

  get goesOn(): boolean {
    return this.#after !== "";
  }

  async more(): Promise<void> {
    const of = this.#of;
    this.busy = true;
    this.problem = null;
    try {
      const page = await this.#ask(this.#after, new AbortController().signal);
      if (of !== this.#of) return; // something else was asked for meanwhile
      this.#further = [...this.#further, ...page.rows];
      this.#after = page.after;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.problem = problem;
    } finally {
      this.busy = false;
    }
  }

  again(): Promise<void> {
    return this.first.again();
  }
}

/** What somebody types, once they pause: a search is not asked for at each letter. Call it while a component is made. */
export function settled(typed: () => string, pause = 150): { readonly value: string } {
  let value = $state(typed());
  $effect(() => {
    const next = typed();
    const timer = window.setTimeout(() => (value = next.trim()), next === value ? 0 : pause);
    return () => window.clearTimeout(timer);
  });
  return {
    get value() {
      return value;
    },
  };
}
