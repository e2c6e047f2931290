import assert from "node:assert/strict";
import { test } from "node:test";

import { between } from "./compare.ts";
import { applied, type Edits } from "./edits.ts";
import { Sending, type Batch } from "./sending.ts";

function keys(): () => string {
  let count = 0;
  return () => `key-${(count += 1)}`;
}

/** What the gateway does with drafts, as far as a page can tell. */
class Kept {
  version = 1;
  text: string;
  readonly #seen = new Map<string, number>();

  constructor(text: string) {
    this.text = text;
  }

  take(batch: Batch): number | "behind" {
    const known = this.#seen.get(batch.key);
    if (known !== undefined) return known;
    if (batch.version !== this.version) return "behind";
    this.text = applied(this.text, batch.edits);
    this.version += 1;
    this.#seen.set(batch.key, this.version);
    return this.version;
  }
}

class Page {
  text: string;
  #base: string;
  readonly sending: Sending;

  constructor(kept: Kept, name: string) {
    this.text = kept.text;
    this.#base = kept.text;
    const made = keys();
    this.sending = new Sending(kept.version, () => `${name}-${made()}`);
  }

  type(edits: Edits): void {
    this.text = applied(this.text, edits);
    this.sending.typed(edits);
  }

  flush(kept: Kept): void {
    for (let batch = this.sending.next(); batch !== null; batch = this.sending.next()) this.give(batch, kept);
  }

  give(batch: Batch, kept: Kept): void {
    const answer = kept.take(batch);
    if (answer === "behind") {
      this.text = applied(this.text, this.sending.overtaken(kept.version, between(this.#base, kept.text)));
      this.#base = kept.text;
    } else {
      this.#base = applied(this.#base, batch.edits);
      this.text = applied(this.text, this.sending.answered(answer));
    }
  }
}

test("what is typed while a batch flies waits, and goes with the next one", () => {
  const sending = new Sending(4, keys());
  sending.typed([{ start: 0, end: 0, insert: "a" }]);
  const first = sending.next();
  assert.deepEqual(first?.edits, [{ start: 0, end: 0, insert: "a" }]);
  sending.typed([{ start: 1, end: 1, insert: "b" }]);
  sending.typed([{ start: 2, end: 2, insert: "c" }]);
  assert.equal(sending.next(), null);
  sending.answered(5);
  assert.deepEqual(sending.next(), { version: 5, edits: [{ start: 1, end: 1, insert: "bc" }], key: "key-2" });
  sending.answered(6);
  assert.ok(sending.settled);
});

test("a batch without an answer is sent again under its key, and is made once", () => {
  const kept = new Kept("policy");
  const page = new Page(kept, "one");
  page.type([{ start: 0, end: 0, insert: "my " }]);
  const batch = page.sending.next();
  assert.ok(batch);
  kept.take(batch); // it arrived; the answer was lost
  page.type([{ start: 0, end: 0, insert: "# " }]);
  const again = page.sending.again();
  assert.equal(again, batch);
  page.give(again, kept);
  page.flush(kept);
  assert.equal(kept.text, "# my policy");
  assert.equal(page.text, kept.text);
});

test("two pages that type into one draft end with the same text, and nothing typed is lost", () => {
  const kept = new Kept("rules:\n  - R-1\n  - R-2\n  - R-3\n");
  const one = new Page(kept, "one");
  const two = new Page(kept, "two");
  one.type([{ start: 7, end: 7, insert: "  - R-0\n" }]);
  two.type([{ start: kept.text.length, end: kept.text.length, insert: "  - R-4\n" }]);
  one.flush(kept);
  two.flush(kept);
  one.type([{ start: 0, end: 0, insert: "# x\n" }]);
  one.flush(kept);
  assert.equal(kept.text, "# x\nrules:\n  - R-0\n  - R-1\n  - R-2\n  - R-3\n  - R-4\n");
  assert.equal(one.text, kept.text);
  two.type([{ start: 0, end: 0, insert: "" }]);
  two.type([{ start: two.text.length, end: two.text.length, insert: "# y\n" }]);
  two.flush(kept);
  assert.equal(two.text, kept.text);
});
