import assert from "node:assert/strict";
import { test } from "node:test";
import { size, speed } from "./sizes.ts";

test("an amount is said in its largest unit", () => {
  assert.equal(size(0, "en"), "0 byte");
  assert.equal(size(999, "en"), "999 byte");
  assert.equal(size(1400, "en"), "1.4 kB");
  assert.equal(size(3_200_000_000, "es"), "3,2 GB");
  assert.equal(size(5e17, "en"), "500,000 TB");
});

test("a speed that is not known is not said to be nothing", () => {
  assert.equal(speed(1400, "en"), "1.4 kB/s");
  assert.equal(speed(-1, "en"), "–");
  assert.equal(speed(0.3, "en"), "0 byte/s");
});
