// What was typed and is not yet kept: one batch in flight, the rest waits, and all of it moves when others were quicker. Pure.
//
//     text at `version` ──flying──▶ what the gateway has been sent ──waiting──▶ what the page shows
//
// Whoever holds the text applies what `answered` and `overtaken` return; nothing here holds a text.

import { composed, rebased, type Edits } from "./edits.ts";

/** Edits of the text at `version`. `key` makes sending them again the same request and not a second one. */
export interface Batch {
  readonly version: number;
  readonly edits: Edits;
  readonly key: string;
}

export class Sending {
  #version: number;
  #flying: Batch | null = null;
  #waiting: Edits = [];
  readonly #makeKey: () => string;

  constructor(version: number, makeKey: () => string) {
    this.#version = version;
    this.#makeKey = makeKey;
  }

  /** The version of the last text that the gateway is known to have. */
  get version(): number {
    return this.#version;
  }

  /** Nothing is typed that the gateway does not have. */
  get settled(): boolean {
    return this.#flying === null && this.#waiting.length === 0;
  }

  /** All that was typed and is not known to be kept, as edits of the text at `version`. */
  get unkept(): Edits {
    return composed(this.#flying?.edits ?? [], this.#waiting);
  }

  /** Somebody edited the text that is shown. */
  typed(edits: Edits): void {
    this.#waiting = composed(this.#waiting, edits);
  }

  /** The batch to send now; null while one is under way, or when there is nothing. */
  next(): Batch | null {
    if (this.#flying !== null || this.#waiting.length === 0) return null;
    this.#flying = { version: this.#version, edits: this.#waiting, key: this.#makeKey() };
    this.#waiting = [];
    return this.#flying;
  }

  /** The batch whose answer never came: it may have arrived, so it is sent as it was, under its key. */
  again(): Batch | null {
    return this.#flying;
  }

  /**
   * The batch is kept, and the text is now at `version`. `theirs` is what the gateway changed besides, on the text with
   * the batch. Returns the edits for the text that is shown.
   */
  answered(version: number, theirs: Edits = []): Edits {
    this.#flying = null;
    this.#version = version;
    const after = rebased(this.#waiting, theirs);
    this.#waiting = after.mine;
    return after.theirs;
  }

  /**
   * Somebody else changed the text, from this version to `version`, by `theirs`; a batch in flight was refused for it.
   * All that was typed stands on the new text now, and waits. Returns the edits for the text that is shown.
   */
  overtaken(version: number, theirs: Edits): Edits {
    const typed = this.unkept;
    this.#flying = null;
    this.#version = version;
    const after = rebased(typed, theirs);
    this.#waiting = after.mine;
    return after.theirs;
  }

  /** Give up what was typed and is not kept. */
  dropped(version: number): void {
    this.#flying = null;
    this.#waiting = [];
    this.#version = version;
  }
}
