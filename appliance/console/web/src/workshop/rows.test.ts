import assert from "node:assert/strict";
import { test } from "node:test";

import { brought, grouped, pairKey, Searchable, statesOf } from "./rows.ts";
import type { RuleRow } from "./shapes.ts";

function row(id: string, said: Partial<RuleRow> = {}): RuleRow {
  return {
    id,
    pair: [["lan"], ["internet"]],
    source: [],
    destination: [],
    service: ["https"],
    people: [],
    when: "",
    action: "allow",
    inspect: "",
    log: "",
    why: "",
    owner: "it@health.example",
    ticket: "",
    limit: "",
    connections: "",
    expires: "",
    review: "",
    enabled: true,
    line: 1,
    inherited: "",
    hits: 1,
    recent: 1,
    last: 1,
    findings: [],
    section: "rules",
    ...said,
  };
}

const RECORDS = new Map([
  ["records", ["10.21.0.10", "2001:db8:21::/64"]],
  ["portal", ["www.health.example"]],
]);

function ids(rows: readonly RuleRow[]): string[] {
  return rows.map((one) => one.id);
}

test("a search looks at every word of a rule", () => {
  const rows = [row("R-1", { why: "Web access" }), row("R-2", { service: ["ssh"], ticket: "CHG-7" })];
  const searchable = new Searchable(rows, new Map());
  assert.deepEqual(ids(searchable.found("web")), ["R-1"]);
  assert.deepEqual(ids(searchable.found("SSH chg-7")), ["R-2"]);
  assert.deepEqual(ids(searchable.found("ssh web")), []);
  assert.deepEqual(ids(searchable.found("  ")), ["R-1", "R-2"]);
});

test("an address finds the rules whose objects, networks and ranges hold it", () => {
  const rows = [
    row("R-1", { destination: ["records"] }),
    row("R-2", { source: ["10.21.0.0/24"] }),
    row("R-3", { source: ["10.21.0.5-10.21.0.9"] }),
    row("R-4", { destination: ["portal"] }),
  ];
  const searchable = new Searchable(rows, RECORDS);
  assert.deepEqual(ids(searchable.found("10.21.0.10")), ["R-1", "R-2"]);
  assert.deepEqual(ids(searchable.found("10.21.0.7")), ["R-2", "R-3"]);
  assert.deepEqual(ids(searchable.found("2001:db8:21::1")), ["R-1"]);
  assert.deepEqual(ids(searchable.found("www.health")), ["R-4"]);
});

test("a word may be searched for under one key", () => {
  const rows = [
    row("R-1", { pair: [["lan"], ["dmz"]] }),
    row("R-2", { pair: [["dmz"], ["lan"]], destination: ["records"] }),
  ];
  const searchable = new Searchable(rows, RECORDS);
  assert.deepEqual(ids(searchable.found("from:lan")), ["R-1"]);
  assert.deepEqual(ids(searchable.found("destination:10.21.0.10")), ["R-2"]);
  assert.deepEqual(ids(searchable.found("source:10.21.0.10")), []);
});

test("rules stand by pair of zones, in the policy's order", () => {
  const rows = [row("R-1"), row("R-2", { pair: [["lan"], ["dmz"]] }), row("R-3")];
  assert.deepEqual(
    grouped(rows).map((group) => [group.key, ids(group.rows)]),
    [
      ["lan → internet", ["R-1", "R-3"]],
      ["lan → dmz", ["R-2"]],
    ],
  );
  assert.equal(pairKey(row("R-4", { pair: [["lan", "dmz"], ["any"]] })), "lan, dmz → any");
});

test("what waits for somebody is said of a rule", () => {
  const now = Date.parse("2027-03-01T12:00:00") / 1000;
  const said = (more: Partial<RuleRow>): string[] => statesOf(row("R-1", more), now);
  assert.deepEqual(said({}), []);
  assert.deepEqual(said({ expires: "2027-02-28" }), ["expired"]);
  assert.deepEqual(said({ expires: "2027-03-01" }), ["expiring"]);
  assert.deepEqual(said({ expires: "2027-12-31", review: "2027-02-01" }), ["review"]);
  assert.deepEqual(said({ recent: 0 }), ["unused"]);
  assert.deepEqual(said({ recent: 0, enabled: false, inherited: "national" }), ["disabled", "inherited"]);
});

test("rows are brought to another version by what is different", () => {
  const rows = [row("R-1", { line: 10 }), row("R-2", { line: 15 }), row("R-3", { line: 20 })];
  const same = { version: 2, whole: false, total: 3, broken: "", gone: [], order: null, shifts: [], rows: [] };
  assert.deepEqual(brought(rows, same), rows);
  const edited = brought(rows, { ...same, rows: [row("R-2", { line: 15, why: "new" })], shifts: [[2, 1]] });
  assert.deepEqual(
    edited.map((one) => [one.id, one.line, one.why]),
    [
      ["R-1", 10, ""],
      ["R-2", 15, "new"],
      ["R-3", 21, ""],
    ],
  );
  const moved = brought(rows, { ...same, gone: ["R-1"], order: ["R-4", "R-3", "R-2"], rows: [row("R-4")] });
  assert.deepEqual(ids(moved), ["R-4", "R-3", "R-2"]);
});

test("what was made ready in parts is found like what was not", () => {
  const rows = Array.from({ length: 25 }, (_, number) => row(`R-${number}`, { source: [`10.0.${number}.0/24`] }));
  const prepared = new Searchable(rows, new Map());
  assert.equal(prepared.prepare(10), false);
  assert.equal(prepared.prepare(10), false);
  assert.equal(prepared.prepare(10), true);
  const half = new Searchable(rows, new Map());
  half.prepare(7);
  for (const one of [prepared, half, new Searchable(rows, new Map())]) {
    assert.deepEqual(ids(one.found("10.0.19.7")), ["R-19"]);
    assert.equal(one.found("https").length, 25);
  }
});
