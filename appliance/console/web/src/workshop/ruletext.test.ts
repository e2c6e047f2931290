import assert from "node:assert/strict";
import { test } from "node:test";

import { freeId, scalar, written } from "./ruletext.ts";

test("a rule is written in the order of the handbook, without what is empty", () => {
  assert.equal(
    written({
      why: "web access",
      id: "R-1",
      from: ["lan"],
      to: ["internet"],
      service: ["http", "https"],
      source: [],
      action: "allow",
      owner: "",
    }),
    "- id: R-1\n  from: lan\n  to: internet\n  service: [http, https]\n  action: allow\n  why: web access\n",
  );
});

test("what YAML would read as something else stands in quotes", () => {
  for (const word of [
    "::/0",
    "a: b",
    "# no",
    "- x",
    "[a]",
    "a, b",
    '"',
    "",
    "x ",
    "a #b",
    "{a}",
    "*",
    "&a",
    "!a",
    "%",
    "@a",
    "`",
  ]) {
    assert.equal(scalar(word), JSON.stringify(word), word);
  }
  for (const word of [
    "10.20.0.0/16",
    "not printers",
    "it@health.example",
    "tcp/443",
    "web access (staff)",
    "niños",
    "2027-03-31 17-00",
  ]) {
    assert.equal(scalar(word), word);
  }
});

test("a new id is behind the highest of its kind", () => {
  assert.equal(freeId(["R-1", "R-20", "P-40", "R-x"]), "R-21");
  assert.equal(freeId([]), "R-1");
  assert.equal(freeId(["mail-9", "R-2"], "mail-3"), "mail-10");
});
