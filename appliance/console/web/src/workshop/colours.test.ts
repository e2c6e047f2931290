import assert from "node:assert/strict";
import { test } from "node:test";

import { piecesOf } from "./colours.ts";

function said(line: string): string[] {
  return piecesOf(line).map((piece) => `${piece.kind} ${line.slice(piece.from, piece.to)}`);
}

test("keys, marks, quotes and comments of a line are told apart", () => {
  assert.deepEqual(said("  - id: R-1 # the first"), ["mark -", "key id", "mark :", "comment # the first"]);
  assert.deepEqual(said("    source: [clinics, not 10.20.9.0/24]"), [
    "key source",
    "mark :",
    "mark [",
    "mark ,",
    "mark ]",
  ]);
  assert.deepEqual(said('  lan: {networks: ["::/0"], role: dmz}'), [
    "key lan", "mark :", "mark {", "key networks", "mark :", "mark [", 'quoted "::/0"', "mark ]", "mark ,", "key role", "mark :", "mark }",
  ]); // prettier-ignore
  assert.deepEqual(said("      severity 1 inbound: drop"), ["key severity 1 inbound", "mark :"]);
  assert.deepEqual(said("# all of it"), ["comment # all of it"]);
});

test("what only looks like a key or a comment is none", () => {
  assert.deepEqual(said("    to: 2001:db8::1"), ["key to", "mark :"]);
  assert.deepEqual(said("    why: web#1 and a: b"), ["key why", "mark :"]);
  assert.deepEqual(said("  - tcp/443"), ["mark -"]);
  assert.deepEqual(said("    at: 07:30-17:00"), ["key at", "mark :"]);
});

test("every line comes to an end, whatever is in it", () => {
  for (const line of [
    '"',
    "'",
    '"\\',
    "-",
    "- ",
    ":",
    "{",
    "]]]",
    "a:b",
    "\t\t",
    "☃: {",
    "x".repeat(100_000),
    "[".repeat(5000),
  ]) {
    for (const piece of piecesOf(line))
      assert.ok(piece.from < piece.to && piece.to <= line.length, line.slice(0, 20));
  }
});
