import assert from "node:assert/strict";
import { test } from "node:test";
import { act, attended, watchHands } from "./attended.ts";

test("nobody is at a screen that was not touched for a minute, until they touch it", () => {
  act(1_000_000);
  assert.ok(attended(1_059_999));
  assert.ok(!attended(1_060_000));
  const target = new EventTarget();
  watchHands(target);
  target.dispatchEvent(new Event("keydown"));
  assert.ok(attended());
});
