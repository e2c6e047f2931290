// A draft that is open on this page: its text, what was found in it, and whether what was typed is kept.
//
// All changes go through one queue, so that each is made on the text that the one before left. Typing is answered at once and sent
// behind it; what a form or an undo does is sent, and shown when it is done.

import { Problem } from "../api/problem.ts";
import * as api from "./asking.ts";
import { between } from "./compare.ts";
import { applied, type Edits } from "./edits.ts";
import { Sending, type Batch } from "./sending.ts";
import type { Conflict, Draft, DraftChecked, Finding, Operation, Proof } from "./shapes.ts";

/** kept: the gateway has everything. lost: it does not answer, and the page goes on trying. refused: it will not take it. */
export type Keeping = "kept" | "sending" | "lost" | "refused";

/** What is typed within so many milliseconds goes in one batch. */
const GATHER = 25;
const FIRST_RETRY = 1_000;
const LAST_RETRY = 15_000;

export class OpenDraft {
  about = $state.raw<Draft>() as Draft;
  findings = $state.raw<readonly Finding[]>([]);
  proof = $state.raw<Proof | null>(null);
  ok = $state(true);
  rules = $state(0);
  /** How long the gateway took to look at it, in seconds. */
  seconds = $state(0);
  keeping = $state<Keeping>("kept");
  problem = $state.raw<Problem | null>(null);
  /** Grows with every change, whoever makes it: what is read from the draft is read again. */
  changes = $state(0);

  readonly #sending: Sending;
  #text: string; // what the gateway has, at the version of #sending
  #queue: Promise<unknown> = Promise.resolve();
  #timer = 0;
  #closed = false;
  readonly #listeners = new Set<(edits: Edits) => void>();
  readonly #wake = new Set<() => void>();

  constructor(about: Draft, text: string) {
    this.about = about;
    this.#text = text;
    this.#sending = new Sending(about.version, () => crypto.randomUUID());
    window.addEventListener("online", this.#online);
  }

  static async open(id: string): Promise<OpenDraft> {
    const { draft, text } = await api.draftText(id);
    const opened = new OpenDraft(draft, text);
    await opened.look();
    return opened;
  }

  get id(): string {
    return this.about.id;
  }

  /** What findings call the text; list files and baselines have names of their own. */
  get file(): string {
    return "policy.yaml";
  }

  /** The text as it is shown: with what is typed and not kept yet. */
  get text(): string {
    return applied(this.#text, this.#sending.unkept);
  }

  get version(): number {
    return this.#sending.version;
  }

  /** Called with edits that the text which is shown needs, because somebody else made them. Returns how to stop. */
  onEdits(listener: (edits: Edits) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Somebody typed into the text that is shown. */
  type(edits: Edits): void {
    if (edits.length === 0 || this.keeping === "refused") return;
    this.#sending.typed(edits);
    if (this.keeping === "kept") this.keeping = "sending";
    if (this.#timer === 0) {
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        void this.#turn(() => this.#flush());
      }, GATHER);
    }
  }

  /** Done when the gateway has everything that was typed until now. */
  settled(): Promise<void> {
    return this.#turn(() => this.#flush());
  }

  /** Look at the draft anew: what is found in it, without a change. */
  look(): Promise<void> {
    return this.#turn(async () => this.#found(await api.checked(this.id)));
  }

  /** Do something to rules or objects; the text follows. */
  operate(operations: readonly Operation[]): Promise<void> {
    return this.#change(async () => this.#took(await api.operate(this.id, this.version, operations)));
  }

  undo(): Promise<void> {
    return this.#change(async () => this.#took(await api.undo(this.id, this.version)));
  }

  redo(): Promise<void> {
    return this.#change(async () => this.#took(await api.redo(this.id, this.version)));
  }

  /** Another title and ticket. */
  name(title: string, ticket: string): Promise<void> {
    return this.#change(async () => {
      this.about = await api.nameDraft(this.about, title, ticket);
    });
  }

  /** Rules from a CSV file. */
  takeCsv(file: Blob): Promise<void> {
    return this.#change(async () => this.#took(await api.takeCsv(this.id, this.version, file)));
  }

  /** Take over what another draft, or with "" what runs, changed. Returns what both changed, and not alike. */
  merge(other: string): Promise<readonly Conflict[]> {
    return this.#change(async () => {
      const merged = await api.merge(this.id, this.version, other);
      this.#advance(merged.draft.version, merged.edits);
      this.about = merged.draft;
      void this.look();
      return merged.conflicts;
    });
  }

  /** Other words for a piece of the text that stands there once; false when it does not (any more). */
  async swap(piece: string, other: string): Promise<boolean> {
    await this.settled();
    const { text } = this;
    const start = text.indexOf(piece);
    if (piece === "" || start < 0 || text.indexOf(piece, start + 1) >= 0) return false;
    const edits = [{ start, end: start + piece.length, insert: other }];
    this.#tell(edits);
    this.type(edits);
    await this.settled();
    return true;
  }

  /** Fetch the text anew if it changed elsewhere. */
  refresh(): Promise<void> {
    return this.#turn(async () => {
      if (!this.#sending.settled) return;
      const about = await api.draft(this.id);
      if (about.version === this.version) {
        this.about = about;
        return;
      }
      await this.#overtaken();
      this.#found(await api.checked(this.id));
    });
  }

  /** Give up what the gateway refused to take. */
  giveUp(): Promise<void> {
    return this.#turn(async () => {
      const shown = this.text;
      const { draft, text } = await api.draftText(this.id);
      this.#sending.dropped(draft.version);
      this.#text = text;
      this.about = draft;
      this.keeping = "kept";
      this.problem = null;
      this.#tell(between(shown, text));
      this.#found(await api.checked(this.id));
    });
  }

  close(): void {
    this.#closed = true;
    window.clearTimeout(this.#timer);
    window.removeEventListener("online", this.#online);
    for (const wake of this.#wake) wake();
  }

  readonly #online = (): void => {
    for (const wake of this.#wake) wake();
  };

  #turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  /** A change that is made at the gateway: on the text with all that was typed; once more where somebody was quicker. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn(async () => {
      await this.#flush();
      if (this.keeping === "kept") this.keeping = "sending";
      try {
        return await work();
      } catch (problem) {
        if (!isBehind(problem)) throw problem;
        await this.#overtaken();
        return await work();
      } finally {
        if (this.keeping === "sending") this.keeping = "kept";
      }
    });
  }

  async #flush(): Promise<void> {
    for (let batch = this.#sending.again() ?? this.#sending.next(); batch !== null; batch = this.#sending.next()) {
      if (!(await this.#send(batch))) return;
    }
    if (this.keeping !== "refused") this.keeping = "kept";
  }

  /** Sends one batch until there is an answer to it. False when it is of no use to go on. */
  async #send(batch: Batch): Promise<boolean> {
    for (let wait = FIRST_RETRY; !this.#closed; wait = Math.min(LAST_RETRY, wait * 2)) {
      this.keeping = this.keeping === "lost" ? "lost" : "sending";
      const problem = await this.#tried(batch);
      if (problem === null) return true;
      this.problem = problem;
      if (!passes(problem)) {
        this.keeping = "refused";
        return false;
      }
      this.keeping = "lost";
      await this.#pause(wait);
    }
    return false;
  }

  /** Null when the batch is kept, or waits to be sent on a newer text; else why not. */
  async #tried(batch: Batch): Promise<Problem | null> {
    try {
      try {
        const answer = await api.sendEdits(this.id, batch);
        this.#text = applied(this.#text, batch.edits);
        this.#tell(this.#sending.answered(answer.draft.version, answer.edits));
        this.#text = applied(this.#text, answer.edits);
        this.#found(answer);
        this.changes += 1;
        this.keeping = "sending";
      } catch (problem) {
        if (!isBehind(problem) && !isUnknown(problem)) throw problem;
        await this.#overtaken();
      }
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      return problem;
    }
    return null;
  }

  #pause(time: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        window.clearTimeout(timer);
        this.#wake.delete(wake);
        resolve();
      };
      const timer = window.setTimeout(wake, time);
      this.#wake.add(wake);
    });
  }

  /** Somebody else changed the draft: what was typed here moves onto the new text. */
  async #overtaken(): Promise<void> {
    const { draft, text } = await api.draftText(this.id);
    const sent = this.#sending.again();
    const arrived = sent !== null && draft.version > sent.version && text === applied(this.#text, sent.edits);
    const theirs = between(this.#text, text);
    this.#text = text;
    this.about = draft;
    // Where only the answer was lost the text is the one that was sent: it must not be typed into it again.
    this.#tell(arrived ? this.#sending.answered(draft.version) : this.#sending.overtaken(draft.version, theirs));
    this.changes += 1;
  }

  #took(answer: DraftChecked): void {
    this.#advance(answer.draft.version, answer.edits);
    this.#found(answer);
  }

  #advance(version: number, edits: Edits): void {
    this.#text = applied(this.#text, edits);
    this.#tell(this.#sending.overtaken(version, edits));
    this.changes += 1;
  }

  #found(answer: DraftChecked): void {
    this.about = answer.draft;
    this.findings = answer.findings;
    this.proof = answer.proof;
    this.ok = answer.ok;
    this.rules = answer.rules;
    this.seconds = answer.seconds;
    this.problem = null;
  }

  #tell(edits: Edits): void {
    if (edits.length > 0) for (const listener of this.#listeners) listener(edits);
  }
}

function isBehind(problem: unknown): boolean {
  return problem instanceof Problem && (problem.status === 412 || problem.code === "version");
}

/** It was asked before, and nobody knows whether it was done: the text says so. */
function isUnknown(problem: unknown): boolean {
  return problem instanceof Problem && problem.code === "outcome-unknown";
}

/** Whether it is worth while to ask again: no answer, or one that says that something is away for now. */
function passes(problem: Problem): boolean {
  const { offline, status, code } = problem;
  return offline || status === 401 || status === 429 || status >= 500 || code === "in-progress";
}
