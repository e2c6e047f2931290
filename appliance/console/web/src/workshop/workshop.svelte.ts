// The draft that this page works at; all views of the workshop show the same one.

import { on } from "../api/live.ts";
import { Problem } from "../api/problem.ts";
import { place } from "../frame/router.svelte.ts";
import { session } from "../frame/session.svelte.ts";
import * as api from "./asking.ts";
import { OpenDraft } from "./draft.svelte.ts";
import type { Draft } from "./shapes.ts";

class Workshop {
  /** null: what runs is looked at. */
  draft = $state.raw<OpenDraft | null>(null);
  opening = $state(false);
  problem = $state.raw<Problem | null>(null);
  #wanted = "";

  constructor() {
    on<{ id?: string }>("draft", (told) => {
      const { draft } = this;
      if (draft !== null && (told.id === undefined || told.id === draft.id))
        void draft.refresh().catch(unlessProblem);
    });
  }

  /** Whether the draft is the person's own and they may change it. */
  get editable(): boolean {
    const { draft } = this;
    return (
      draft !== null &&
      draft.about.person === session.me?.person &&
      session.may("edit") &&
      draft.keeping !== "refused"
    );
  }

  /** Show the draft that the address names; without one the address names the draft that is open. */
  follow(query: URLSearchParams): void {
    const named = query.get("draft");
    if (named !== null) {
      if (named !== this.#wanted) void this.choose(named);
    } else if (this.#wanted !== "") {
      place.ask({ draft: this.#wanted });
    }
  }

  /** Open a draft; "" goes back to what runs. */
  async choose(id: string): Promise<void> {
    this.#wanted = id;
    this.draft?.close();
    this.draft = null;
    this.problem = null;
    place.ask({ draft: id === "" ? null : id });
    if (id === "") return;
    this.opening = true;
    try {
      const opened = await OpenDraft.open(id);
      if (this.#wanted === id) this.draft = opened;
      else opened.close();
    } catch (problem) {
      unlessProblem(problem);
      if (this.#wanted !== id) return;
      this.problem = problem as Problem;
      this.#wanted = "";
      place.ask({ draft: null });
    } finally {
      this.opening = false;
    }
  }

  /** A new draft of what runs, or of a generation, and work at it. */
  async begin(title: string, generation?: number): Promise<Draft> {
    const made = await api.openDraft(title, generation);
    await this.choose(made.id);
    return made;
  }

  /** An address of the workshop, with the draft that is open. */
  to(path: string): string {
    return this.#wanted === "" ? path : `${path}?draft=${encodeURIComponent(this.#wanted)}`;
  }
}

function unlessProblem(problem: unknown): void {
  if (!(problem instanceof Problem)) throw problem;
}

export const workshop = new Workshop();
