import assert from "node:assert/strict";
import { test } from "node:test";
import { around, difference } from "./lines.ts";

/** What the old text and the new text are, told by the difference alone. */
function sides(old: string, now: string): [string, string] {
  const lines = difference(old, now);
  const of = (kind: string): string =>
    lines
      .filter((line) => line.kind === "same" || line.kind === kind)
      .map((line) => line.text)
      .join("\n");
  return [of("removed"), of("added")];
}

test("both texts can be read from their difference", () => {
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 300; round++) {
    const text = (): string => Array.from({ length: random(12) }, () => "abc"[random(3)]).join("\n");
    const [old, now] = [text(), text()];
    assert.deepEqual(sides(old, now), [old, now]);
  }
});

test("the difference is the shortest, and lines know their numbers", () => {
  const lines = difference("a\nb\nc\nd", "a\nx\nc\nd\ne");
  assert.deepEqual(
    lines.map((line) => [line.kind, line.text, line.old, line.new]),
    [
      ["same", "a", 1, 1],
      ["removed", "b", 2, 0],
      ["added", "x", 0, 2],
      ["same", "c", 3, 3],
      ["same", "d", 4, 4],
      ["added", "e", 0, 5],
    ],
  );
});

test("texts with nothing in common are both shown whole", () => {
  const old = Array.from({ length: 4000 }, (_, at) => `old ${at}`).join("\n");
  const now = Array.from({ length: 4000 }, (_, at) => `new ${at}`).join("\n");
  assert.deepEqual(sides(old, now), [old, now]);
});

test("what is far from a change is left out", () => {
  const old = Array.from({ length: 100 }, (_, at) => String(at)).join("\n");
  const lines = around(difference(old, old.replace("50", "fifty")), 2);
  assert.deepEqual(
    lines.map((line) => line?.text ?? null),
    [null, "48", "49", "50", "fifty", "51", "52", null],
  );
});
