import assert from "node:assert/strict";
import { test } from "node:test";

import { facing } from "./facing.ts";

function text(lines: readonly (string | number)[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

test("only what differs and three lines around it are shown", () => {
  const old = Array.from({ length: 40 }, (_, line) => `l${line + 1}`);
  const now = [...old];
  now[19] = "changed";
  const [part, ...more] = facing(text(old), text(now));
  assert.ok(part);
  assert.equal(more.length, 0);
  assert.equal(part.skipped, 16);
  assert.deepEqual(
    part.rows.map((row) => [row.old, row.now, row.differs]),
    [
      [17, 17, false],
      [18, 18, false],
      [19, 19, false],
      [20, 20, true],
      [21, 21, false],
      [22, 22, false],
      [23, 23, false],
    ],
  );
  assert.deepEqual([part.rows[3]?.oldText, part.rows[3]?.nowText], ["l20", "changed"]);
});

test("lines that came or went stand against nothing, and later ones keep their numbers", () => {
  const parts = facing(text(["a", "b", "c"]), text(["a", "x", "y", "b"]));
  assert.deepEqual(
    parts.flatMap((part) => part.rows.map((row) => [row.old, row.now, row.oldText, row.nowText])),
    [
      [1, 1, "a", "a"],
      [0, 2, "", "x"],
      [0, 3, "", "y"],
      [2, 4, "b", "b"],
      [3, 0, "c", ""],
    ],
  );
});

test("every line of both texts that differs is there once", () => {
  const old = Array.from({ length: 60 }, (_, line) => `l${line}`);
  const now = old
    .filter((_, line) => line % 11 !== 3)
    .flatMap((line, index) => (index % 13 === 5 ? [line, `new ${index}`] : [line]));
  const rows = facing(text(old), text(now)).flatMap((part) => part.rows);
  const numbers = rows.map((row) => row.old).filter((line) => line > 0);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((one, other) => one - other),
  );
  assert.deepEqual(
    rows.filter((row) => row.differs && row.old > 0).map((row) => row.oldText),
    old.filter((_, line) => line % 11 === 3),
  );
  assert.deepEqual(
    rows.filter((row) => row.differs && row.now > 0).map((row) => row.nowText),
    now.filter((line) => line.startsWith("new")),
  );
});

test("equal texts have nothing to show", () => {
  assert.deepEqual(facing("a\nb\n", "a\nb\n"), []);
});
