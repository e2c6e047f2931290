// Changes of a text as values: applied, composed and rebased without knowing who made them. Pure.
//
// Offsets are UTF-16 code units of the text that the edits are made on, as JavaScript and the API count them.

/** Replace what stands from `start` to `end` (not included) by `insert`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly insert: string;
}

/** Edits of one text at once: sorted, not overlapping. */
export type Edits = readonly Edit[];

// A change as it is walked through from left to right: so much is kept, dropped or added. What is behind the last piece is kept.
type Piece =
  | { readonly kind: "keep"; readonly length: number }
  | { readonly kind: "drop"; readonly length: number }
  | { readonly kind: "add"; readonly text: string };

/** The text with the edits made. Throws RangeError where they do not fit it. */
export function applied(text: string, edits: Edits): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of edits) {
    if (edit.start < at || edit.end < edit.start || edit.end > text.length) {
      throw new RangeError(`an edit of ${edit.start} to ${edit.end} does not fit a text of ${text.length}`);
    }
    parts.push(text.slice(at, edit.start), edit.insert);
    at = edit.end;
  }
  parts.push(text.slice(at));
  return parts.join("");
}

/** What `first` and then `second` do, as edits of the text that `first` is made on. */
export function composed(first: Edits, second: Edits): Edits {
  const a = new Walk(first);
  const b = new Walk(second);
  const out = new Written();
  while (!a.over || !b.over) {
    const one = a.piece;
    const two = b.piece;
    if (one?.kind === "drop") {
      out.drop(one.length);
      a.pass(one.length);
    } else if (two?.kind === "add") {
      out.add(two.text);
      b.pass(two.text.length);
    } else {
      const length = Math.min(lengthOf(one), lengthOf(two));
      if (two?.kind === "drop") {
        // What the first added and the second dropped was never there.
        if (one?.kind !== "add") out.drop(length);
      } else if (one?.kind === "add") {
        out.add(one.text.slice(0, length));
      } else {
        out.keep(length);
      }
      a.pass(length);
      b.pass(length);
    }
  }
  return out.edits();
}

/**
 * Two changes of one text, each made as if the other had been made before: `applied(applied(t, theirs), mine)` and
 * `applied(applied(t, mine), theirs)` of the answer are the same text. Where both add at one place theirs comes first.
 */
export function rebased(mine: Edits, theirs: Edits): { mine: Edits; theirs: Edits } {
  const a = new Walk(mine);
  const b = new Walk(theirs);
  const newMine = new Written();
  const newTheirs = new Written();
  while (!a.over || !b.over) {
    const one = a.piece;
    const two = b.piece;
    if (two?.kind === "add") {
      newMine.keep(two.text.length);
      newTheirs.add(two.text);
      b.pass(two.text.length);
    } else if (one?.kind === "add") {
      newMine.add(one.text);
      newTheirs.keep(one.text.length);
      a.pass(one.text.length);
    } else {
      const length = Math.min(lengthOf(one), lengthOf(two));
      const oneDrops = one?.kind === "drop";
      const twoDrops = two?.kind === "drop";
      if (oneDrops && !twoDrops) newMine.drop(length);
      else if (twoDrops && !oneDrops) newTheirs.drop(length);
      else if (!oneDrops) {
        newMine.keep(length);
        newTheirs.keep(length);
      }
      a.pass(length);
      b.pass(length);
    }
  }
  return { mine: newMine.edits(), theirs: newTheirs.edits() };
}

function lengthOf(piece: Piece | null): number {
  if (piece === null) return Infinity;
  return piece.kind === "add" ? piece.text.length : piece.length;
}

/** Edits read from left to right, in portions as small as one likes. */
class Walk {
  readonly #pieces: Piece[] = [];
  #next = 0;
  #passed = 0;

  constructor(edits: Edits) {
    let at = 0;
    for (const edit of edits) {
      if (edit.start > at) this.#pieces.push({ kind: "keep", length: edit.start - at });
      if (edit.insert) this.#pieces.push({ kind: "add", text: edit.insert });
      if (edit.end > edit.start) this.#pieces.push({ kind: "drop", length: edit.end - edit.start });
      at = edit.end;
    }
  }

  get over(): boolean {
    return this.#next >= this.#pieces.length;
  }

  /** What is left of the piece that comes; null behind the last, where everything is kept. */
  get piece(): Piece | null {
    const piece = this.#pieces[this.#next];
    if (piece === undefined) return null;
    if (piece.kind === "add") return { kind: "add", text: piece.text.slice(this.#passed) };
    return { kind: piece.kind, length: piece.length - this.#passed };
  }

  pass(length: number): void {
    const piece = this.#pieces[this.#next];
    if (piece === undefined) return;
    this.#passed += length;
    if (this.#passed >= lengthOf(piece)) {
      this.#next += 1;
      this.#passed = 0;
    }
  }
}

/** Edits written from left to right. What touches becomes one edit. */
class Written {
  readonly #edits: { start: number; end: number; insert: string }[] = [];
  #at = 0;

  keep(length: number): void {
    this.#at += length;
  }

  drop(length: number): void {
    this.#here().end = this.#at + length;
    this.#at += length;
  }

  add(text: string): void {
    this.#here().insert += text;
  }

  edits(): Edits {
    return this.#edits.filter((edit) => edit.insert !== "" || edit.end > edit.start);
  }

  #here(): { start: number; end: number; insert: string } {
    const last = this.#edits.at(-1);
    if (last !== undefined && last.end === this.#at) return last;
    const made = { start: this.#at, end: this.#at, insert: "" };
    this.#edits.push(made);
    return made;
  }
}
