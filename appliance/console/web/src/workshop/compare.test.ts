import assert from "node:assert/strict";
import { test } from "node:test";

import { between, hunks, linesOf } from "./compare.ts";
import { applied, rebased } from "./edits.ts";

test("the edits between two texts make the one of the other", () => {
  const texts = ["", "a\nb\nc\n", "a\nc\nb", "x\na\nb\nc\ny\n", "a\n\n\nb\n", "b\nb\nb\n", "c\na\nb\n"];
  for (const old of texts) for (const now of texts) assert.equal(applied(old, between(old, now)), now);
});

test("changes far from each other are edits of their own", () => {
  const old = Array.from({ length: 1000 }, (_, line) => `line ${line}\n`).join("");
  const now = old.replace("line 3\n", "line three\n").replace("line 990\n", "");
  const edits = between(old, now);
  assert.equal(edits.length, 2);
  const mine = [{ start: old.indexOf("line 500"), end: old.indexOf("line 500"), insert: "typed meanwhile\n" }];
  assert.ok(applied(now, rebased(mine, edits).mine).includes("line 499\ntyped meanwhile\nline 500\n"));
});

test("an edit never begins or ends inside a character of two units", () => {
  for (const [old, now] of [
    ["why: \u{1f600}\n", "why: \u{1f601}\n"],
    ["\u{1f600}", "\u{1fa00}"],
  ] as const) {
    const [edit] = between(old, now);
    assert.ok(edit);
    assert.equal(edit.insert.length, 2);
    assert.equal(edit.end - edit.start, 2);
  }
});

test("moved lines are one hunk less and one more", () => {
  const found = hunks(linesOf("a\nb\nc\nd\n"), linesOf("b\nc\nd\na\n"));
  assert.deepEqual(found, [
    { oldFrom: 0, oldTo: 1, newFrom: 0, newTo: 0 },
    { oldFrom: 4, oldTo: 4, newFrom: 3, newTo: 4 },
  ]);
});
