import assert from "node:assert/strict";
import { test } from "node:test";
import { addressesOf, rest } from "./addresses.ts";

test("addresses are found between commas, spaces and lines, each once", () => {
  assert.deepEqual(addressesOf(" 203.0.113.9, 2001:db8::/32;\n192.0.2.1 - 192.0.2.9\t203.0.113.9 "), [
    "203.0.113.9",
    "2001:db8::/32",
    "192.0.2.1-192.0.2.9",
  ]);
  assert.deepEqual(addressesOf(" ,; "), []);
});

test("a ban that is made again lasts as long as it would have", () => {
  assert.equal(rest(1_000_600, 1_000_000), 600);
  assert.equal(rest(1_000_001, 1_000_000), 60);
  assert.equal(rest(0, 1_000_000), 0);
});
