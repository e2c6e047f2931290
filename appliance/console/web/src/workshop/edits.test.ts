import assert from "node:assert/strict";
import { test } from "node:test";

import { applied, composed, rebased, type Edit, type Edits } from "./edits.ts";

/** Numbers that are the same in each run: a failure can be read again. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
}

function someEdits(text: string, roll: (below: number) => number): Edits {
  const found: Edit[] = [];
  let at = 0;
  for (let count = roll(4); count > 0; count -= 1) {
    const start = at + roll(text.length - at + 1);
    const end = Math.min(text.length, start + roll(4));
    found.push({ start, end, insert: "xyz".slice(0, roll(4)) });
    at = end + 1;
    if (at > text.length) break;
  }
  return found;
}

test("edits are made where they say", () => {
  const edits = [
    { start: 0, end: 1, insert: "J" },
    { start: 5, end: 5, insert: "!" },
  ];
  assert.equal(applied("hello", edits), "Jello!");
  assert.throws(() => applied("hello", [{ start: 3, end: 9, insert: "" }]), RangeError);
});

test("composed edits do what both do, one after the other", () => {
  const roll = dice(7);
  for (let round = 0; round < 2000; round += 1) {
    const text = "abcdefghijkl".slice(0, roll(13));
    const first = someEdits(text, roll);
    const between = applied(text, first);
    const second = someEdits(between, roll);
    assert.equal(applied(text, composed(first, second)), applied(between, second));
  }
});

test("two who edit one text end with the same text, whoever is first", () => {
  const roll = dice(11);
  for (let round = 0; round < 2000; round += 1) {
    const text = "abcdefghijkl".slice(0, roll(13));
    const mine = someEdits(text, roll);
    const theirs = someEdits(text, roll);
    const after = rebased(mine, theirs);
    assert.equal(applied(applied(text, theirs), after.mine), applied(applied(text, mine), after.theirs));
  }
});

test("what both add at one place is there once each, theirs first", () => {
  const after = rebased([{ start: 2, end: 2, insert: "M" }], [{ start: 2, end: 2, insert: "T" }]);
  assert.equal(applied(applied("abcd", [{ start: 2, end: 2, insert: "T" }]), after.mine), "abTMcd");
});
