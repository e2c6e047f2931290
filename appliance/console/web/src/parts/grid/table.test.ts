import assert from "node:assert/strict";
import { test } from "node:test";
import { Table, wordsOf, type Column, type Wanted } from "./table.ts";

interface Row {
  id: string;
  zones: string[];
  hits: number;
  why: string;
}

const ROWS: Row[] = [
  { id: "R-10", zones: ["lan", "dmz"], hits: 5, why: "Web access" },
  { id: "R-9", zones: ["lan"], hits: 100, why: "mail for the officer" },
  { id: "r-1", zones: ["dmz"], hits: 20, why: "ámbito público" },
  { id: "R-2", zones: [], hits: 5, why: "web for guests" },
];
const COLUMNS: Column<Row>[] = [
  { id: "id", title: "Rule", value: (row) => row.id },
  { id: "zones", title: "Zones", value: (row) => row.zones },
  { id: "hits", title: "Hits", value: (row) => row.hits },
  { id: "why", title: "Why", value: (row) => row.why },
];
const ALL: Wanted = { search: "", columns: {}, order: null };

function found(wanted: Partial<Wanted>, table = new Table(ROWS, COLUMNS)): string[] {
  return [...table.lines({ ...ALL, ...wanted })].map((index) => ROWS[index]?.id ?? "");
}

test("every word must be in the line somewhere, in whatever case", () => {
  assert.deepEqual(found({ search: "WEB" }), ["R-10", "R-2"]);
  assert.deepEqual(found({ search: "web lan" }), ["R-10"]);
  assert.deepEqual(found({ search: "nothing" }), []);
});

test("what is searched for may be text that no column shows", () => {
  const table = new Table(ROWS, COLUMNS, (row) => (row.id === "R-9" ? "10.20.0.12" : ""));
  assert.deepEqual(found({ search: "10.20.0" }, table), ["R-9"]);
});

test("typing on and taking letters back give what a new search gives", () => {
  const table = new Table(ROWS, COLUMNS);
  for (const search of ["w", "we", "web", "web g", "web", "w", "", "la", "lan", "an", "dmz r-1", "r-1"]) {
    for (const columns of [{}, { zones: "=lan" }, { why: "web" }]) {
      assert.deepEqual(
        found({ search, columns }, table),
        found({ search, columns }),
        JSON.stringify([search, columns]),
      );
    }
  }
});

test("columns filter by a part of their text or by one of their values", () => {
  assert.deepEqual(found({ columns: { zones: "=lan" } }), ["R-10", "R-9"]);
  assert.deepEqual(found({ columns: { zones: "=la" } }), []);
  assert.deepEqual(found({ columns: { why: "OFFICER" } }), ["R-9"]);
  assert.deepEqual(found({ columns: { gone: "x" } }), ["R-10", "R-9", "r-1", "R-2"]);
});

test("numbers sort by size, names by the numbers in them, and equals stay as they stand", () => {
  assert.deepEqual(found({ order: { column: "id", down: false } }), ["r-1", "R-2", "R-9", "R-10"]);
  assert.deepEqual(found({ order: { column: "hits", down: false } }), ["R-10", "R-2", "r-1", "R-9"]);
  assert.deepEqual(found({ order: { column: "hits", down: true } }), ["R-9", "r-1", "R-10", "R-2"]);
  assert.deepEqual(found({ order: { column: "why", down: false } })[0], "r-1", "accents do not count");
});

test("choices are the values that occur, unless they are too many", () => {
  const table = new Table(ROWS, COLUMNS);
  assert.deepEqual(table.choices("zones"), ["dmz", "lan"]);
  assert.deepEqual(table.choices("id"), ["r-1", "R-2", "R-9", "R-10"]);
  assert.equal(table.choices("id", 3), null);
});

test("cells say lists, numbers and yes in words", () => {
  assert.deepEqual([["a", "b"], 3, true, false, null, undefined].map(wordsOf), ["a b", "3", "✓", "", "", ""]);
});
