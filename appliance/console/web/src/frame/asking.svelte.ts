// A view's question to the API as state: what came, what went wrong, and how to ask again.

import { on } from "../api/live.ts";
import { Problem } from "../api/problem.ts";

export class Asked<T> {
  value = $state.raw<T | undefined>(undefined);
  problem = $state.raw<Problem | null>(null);
  waiting = $state(true);
  #ask: (signal: AbortSignal) => Promise<T>;
  #running: AbortController | null = null;

  constructor(ask: (signal: AbortSignal) => Promise<T>) {
    this.#ask = ask;
  }

  /** Ask (again). What came before stays until the answer is here; an older question is dropped. */
  async again(): Promise<void> {
    this.#running?.abort();
    const mine = (this.#running = new AbortController());
    this.waiting = true;
    try {
      const value = await this.#ask(mine.signal);
      if (mine.signal.aborted) return;
      this.value = value;
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
}

/**
 * Ask while a component lives: at once, again whenever state that `ask` reads before its first await changes, and
 * again when events were missed.
 * Call it while the component is made.
 */
export function asked<T>(ask: (signal: AbortSignal) => Promise<T>): Asked<T> {
  const state = new Asked(ask);
  $effect(() => {
    void state.again();
    return () => state.drop();
  });
  $effect(() => on("reset", () => void state.again()));
  return state;
}
