import assert from "node:assert/strict";
import { test } from "node:test";
import { TALLEST, scrollTo, windowOf } from "./windowing.ts";

test("what can be seen is drawn, where it belongs, and little more", () => {
  const [line, visible, lines] = [36, 600, 100_000];
  for (let scrolled = 0; scrolled < lines * line; scrolled += 9_973) {
    const part = windowOf(scrolled, visible, lines, line, 8);
    assert.ok(part.top <= scrolled, "no gap above");
    assert.ok(part.top + part.count * line >= Math.min(scrolled + visible, part.height), "no gap below");
    assert.equal(part.top, part.first * line);
    assert.ok(part.count <= Math.ceil(visible / line) + 1 + 2 * 8);
  }
});

test("a list taller than a browser can draw is reached to its last line", () => {
  const [line, visible, lines] = [36, 600, 3_000_000];
  const end = windowOf(Number.MAX_SAFE_INTEGER, visible, lines, line, 8);
  assert.equal(end.height, TALLEST);
  assert.equal(end.first + end.count, lines);
  assert.ok(Math.abs(end.top + end.count * line - TALLEST) < 1);
  const start = windowOf(0, visible, lines, line, 8);
  assert.deepEqual([start.first, start.top], [0, 0]);
});

test("a line that is gone to can be seen then, and one that is seen moves nothing", () => {
  for (const lines of [10, 1000, 2_500_000]) {
    const [line, visible] = [36, 600];
    for (const index of [0, 1, Math.floor(lines / 3), lines - 2, lines - 1]) {
      const to = scrollTo(index, 0, visible, lines, line) ?? 0;
      const part = windowOf(to, visible, lines, line, 0);
      const top = part.top + (index - part.first) * line;
      assert.ok(index >= part.first && index < part.first + part.count, `${index} of ${lines}`);
      assert.ok(top >= to - 1 && top + line <= to + visible + 1, `${index} of ${lines} is at ${top - to}`);
      if (lines <= 1000) assert.equal(scrollTo(index, to, visible, lines, line), null);
    }
  }
});

test("an empty list draws nothing", () => {
  assert.deepEqual(windowOf(0, 600, 0, 36, 8), { first: 0, count: 0, top: 0, height: 0 });
});
