import assert from "node:assert/strict";
import { test } from "node:test";
import { going, type Course } from "./course.ts";

const NOTHING: Course = { times: [], received: [], sent: [] };

test("a course goes on with points that are apart, and not with what is not known", () => {
  let course = going(NOTHING, 100, [10, 20]);
  course = going(course, 102, [11, 21]);
  course = going(course, 106, [-1, -1]);
  course = going(course, 108, [12, 22]);
  assert.deepEqual(course, { times: [100, 108], received: [10, 12], sent: [20, 22] });
});

test("a course is of the last minutes", () => {
  let course = NOTHING;
  for (let at = 5; at <= 5000; at += 5) course = going(course, at, [at, 0]);
  assert.equal(course.times.length, 121);
  assert.equal(course.times.at(-1), 5000);
});
