import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, isWell, valueOf, type Words } from "./figures.ts";
import type { Figure, Section } from "./shapes.ts";

const words: Words = {
  part: (value, of) => `${value} of ${of}`,
  lasting: { days: (n) => `${n} d`, hours: (n) => `${n} h`, minutes: (n) => `${n} min`, seconds: (n) => `${n} s` },
};
const figure = (more: Partial<Figure>): Figure => ({
  id: "applied", group: "changes", title: "", unit: "count", value: 0, of: 0, missing: "", query: "", ...more,
}); // prettier-ignore

test("a figure is a number, a part, or a time", () => {
  const said = (more: Partial<Figure>): string => valueOf(figure(more), "en", words);
  assert.equal(said({ value: 1234 }), "1,234");
  assert.equal(said({ value: 3, of: 41 }), "3 of 41");
  const times = [20, 119, 120, 7199, 7200, 172_799, 172_800].map((value) => said({ unit: "seconds", value }));
  assert.deepEqual(times, ["20 s", "119 s", "2 min", "120 min", "2 h", "48 h", "2 d"]);
  assert.equal(said({ value: null }), "");
});

test("of some there should be none, of others it is not said", () => {
  assert.equal(isWell(figure({ id: "expired", value: 0, of: 9 })), true);
  assert.equal(isWell(figure({ id: "expired", value: 1, of: 9 })), false);
  assert.equal(isWell(figure({ id: "alive", value: 8, of: 9 })), false);
  assert.equal(isWell(figure({ id: "alive", value: 9, of: 9 })), true);
  assert.equal(isWell(figure({ id: "applied", value: 3 })), null);
  assert.equal(isWell(figure({ id: "expired", value: null })), null);
});

test("clauses are counted by what came out", () => {
  const answers = (["pass", "fail", "pass"] as const).map((outcome) => ({
    clause: "",
    title: "",
    outcome,
    words: "",
    checks: [],
  }));
  const section: Section = { id: "", name: "", edition: "", about: "", answers };
  assert.deepEqual(counted(section), { pass: 2, fail: 1, unknown: 0 });
});
