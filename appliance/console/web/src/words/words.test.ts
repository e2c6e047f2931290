import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "./en.ts";
import { es } from "./es.ts";

/** Every path of words in a tree. */
function paths(words: object, above = ""): string[] {
  return Object.entries(words).flatMap(([name, value]: [string, unknown]) =>
    typeof value === "object" && value !== null ? paths(value, `${above}${name}.`) : [`${above}${name}`],
  );
}

test("Spanish has the words that English has, and no others", () => {
  assert.deepEqual(paths(es).sort(), paths(en).sort());
});

test("no words are empty", () => {
  for (const words of [en, es]) {
    const empty = paths(words).filter((path) => {
      let value: unknown = words;
      for (const part of path.split(".")) value = (value as Record<string, unknown>)[part];
      return typeof value === "string" && value.trim() === "";
    });
    assert.deepEqual(empty, []);
  }
});
