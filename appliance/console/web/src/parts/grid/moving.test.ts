import assert from "node:assert/strict";
import { test } from "node:test";
import { moved } from "./moving.ts";

const go = (key: string, control = false, at = { line: 5, column: 1 }): [number, number] | null => {
  const cell = moved(at, key, control, 100, 3, 10);
  return cell && [cell.line, cell.column];
};

test("arrows, pages and ends move as the ARIA practices say", () => {
  assert.deepEqual(go("ArrowDown"), [6, 1]);
  assert.deepEqual(go("ArrowUp"), [4, 1]);
  assert.deepEqual(go("ArrowRight"), [5, 2]);
  assert.deepEqual(go("ArrowLeft"), [5, 0]);
  assert.deepEqual(go("PageDown"), [14, 1]);
  assert.deepEqual(go("PageUp"), [0, 1]);
  assert.deepEqual(go("Home"), [5, 0]);
  assert.deepEqual(go("End"), [5, 2]);
  assert.deepEqual(go("Home", true), [0, 0]);
  assert.deepEqual(go("End", true), [99, 2]);
  assert.deepEqual(go("ArrowDown", true), [99, 1]);
});

test("nothing moves out of the grid, and other keys move nothing", () => {
  assert.deepEqual(go("ArrowDown", false, { line: 99, column: 2 }), [99, 2]);
  assert.deepEqual(go("ArrowRight", false, { line: 99, column: 2 }), [99, 2]);
  assert.deepEqual(go("ArrowUp", false, { line: 0, column: 0 }), [0, 0]);
  assert.equal(go("Enter"), null);
  assert.deepEqual(moved({ line: 0, column: 0 }, "End", true, 0, 3, 10), { line: 0, column: 2 });
});
