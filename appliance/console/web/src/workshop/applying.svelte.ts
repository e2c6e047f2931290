// A change on its way to run: asked for, perhaps without an answer because it cut this page off, then confirmed or taken back.

import { Problem } from "../api/problem.ts";
import { gateway } from "../frame/gateway.svelte.ts";
import * as api from "./asking.ts";

export type Course = "idle" | "asking" | "lost" | "runs" | "confirmed" | "back";

const BETWEEN = 1_000; // ms between two tries; each is a connection of its own once the old one is dead
const PATIENCE = 8_000; // ms that one try may take: a cut connection is not told, it is only silent

export class Applying {
  course = $state<Course>("idle");
  tries = $state(0);
  generation = $state(0);
  #over = false;
  // What the page knows of the gateway may be older than the apply: until it is seen to run, nothing came back.
  #seen = false;
  #confirmBy = 0;

  /**
   * Apply exactly what `digest` names. The request has one key however often it is sent: it is done once. Throws `Problem` when the
   * gateway refuses.
   */
  async apply(number: number, digest: string, confirmWithin: number): Promise<void> {
    const key = crypto.randomUUID();
    this.course = "asking";
    this.tries = 0;
    this.#over = false;
    this.#seen = false;
    while (!this.#over) {
      this.tries += 1;
      try {
        const applied = await api.apply(number, digest, confirmWithin, key, AbortSignal.timeout(PATIENCE));
        this.generation = applied.generation;
        this.#confirmBy = applied.confirm_by;
        this.course = applied.confirm_by > 0 ? "runs" : "confirmed";
        await gateway.ask();
        return;
      } catch (problem) {
        // The first request may still be at work while the second asks for its answer.
        if (problem instanceof Problem && !problem.offline && problem.code !== "in-progress") {
          this.course = "idle";
          throw problem;
        }
        if (!(problem instanceof Problem) && !(problem instanceof DOMException)) throw problem;
        this.course = "lost";
        await new Promise((resolve) => window.setTimeout(resolve, BETWEEN));
      }
    }
  }

  /** What became of it, by what the gateway says runs at `now` (seconds). An answer may be heard when all is over. */
  follow(running: number, confirmed: number, now: number): void {
    if (this.course !== "runs") return;
    if (running === this.generation) this.#seen = true;
    if (running === this.generation && confirmed === this.generation) this.course = "confirmed";
    else if (running !== this.generation && (this.#seen || now > this.#confirmBy)) this.course = "back";
  }

  stop(): void {
    this.#over = true;
  }
}
