// Whether somebody who is logged in shows again that it is they, before what makes a way in.

import { provedBy } from "../api/client.ts";

class Proving {
  asking = $state(false);
  #answer: ((yes: boolean) => void) | null = null;
  #asked: Promise<boolean> | null = null;

  constructor() {
    provedBy(() => this.#ask());
  }

  /** One dialog, however many requests wait for it. */
  #ask(): Promise<boolean> {
    this.asking = true;
    this.#asked ??= new Promise((resolve) => (this.#answer = resolve));
    return this.#asked;
  }

  done(yes: boolean): void {
    this.asking = false;
    this.#answer?.(yes);
    this.#answer = this.#asked = null;
  }
}

export const proving = new Proving();
