import assert from "node:assert/strict";
import { test } from "node:test";
import { lineOf } from "./whereabouts.ts";

const TEXT = `reef: 1
zones:
  wan0: {interfaces: [wan0]}
connections:
  # the fibre
  wan0: {provider: BTL}
  "lte0":
    provider: LTE
rules: []
flat: {lte1: {provider: none}}
`;

test("a name is found in its section, however it is written", () => {
  assert.equal(lineOf(TEXT, "connections.wan0"), 6);
  assert.equal(lineOf(TEXT, "connections.lte0"), 7);
  assert.equal(lineOf(TEXT, "zones.wan0"), 3);
});

test("what is not there is looked for in its section, and without one nowhere", () => {
  assert.equal(lineOf(TEXT, "connections.lte9"), 4);
  assert.equal(lineOf(TEXT, "flat.lte1"), 10);
  assert.equal(lineOf(TEXT, "bridges.edge"), 0);
  assert.equal(lineOf(TEXT, ""), 0);
});
