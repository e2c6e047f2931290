import assert from "node:assert/strict";
import { test } from "node:test";

import { holds, spanOf } from "./addresses.ts";

function within(outer: string, inner: string): boolean {
  const [one, other] = [spanOf(outer), spanOf(inner)];
  assert.ok(one, outer);
  assert.ok(other, inner);
  return holds(one, other);
}

test("an address is found in networks and ranges of its version", () => {
  assert.ok(within("10.20.0.0/16", "10.20.3.9"));
  assert.ok(within("10.20.9.10-10.20.9.99", "10.20.9.10"));
  assert.ok(within("2001:db8:20::/48", "2001:db8:20:1::7"));
  assert.ok(within("::/0", "::ffff:10.0.0.1"));
  assert.ok(within("0.0.0.0/0", "203.0.113.0/24"));
  assert.ok(!within("10.20.0.0/16", "10.21.0.1"));
  assert.ok(!within("10.20.9.10-10.20.9.99", "10.20.9.100"));
  assert.ok(!within("::/0", "10.0.0.1"));
});

test("what is no address is none", () => {
  for (const word of [
    "records",
    "10.20.0",
    "10.20.0.256",
    "10.0.0.0/33",
    "1::2::3",
    "1:2:3:4:5:6:7:8:9",
    "a-b",
    "",
    ":",
    "10.0.0.9-10.0.0.1",
  ]) {
    assert.equal(spanOf(word), null, word);
  }
});
