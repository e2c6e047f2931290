import assert from "node:assert/strict";
import { test } from "node:test";

import { dateOf, further, monthName, monthOf, weeksOf } from "./days.ts";

test("a month has whole weeks that begin on Monday", () => {
  const weeks = weeksOf(2027, 2, [], true);
  assert.equal(weeks.length, 4);
  assert.deepEqual(weeks[0]?.map((day) => day.date).slice(0, 2), ["2027-02-01", "2027-02-02"]);
  const march = weeksOf(2026, 3, [], true);
  assert.deepEqual(
    march[0]?.map((day) => [day.number, day.inMonth]),
    [
      [23, false],
      [24, false],
      [25, false],
      [26, false],
      [27, false],
      [28, false],
      [1, true],
    ],
  );
  assert.equal(march.length, 6);
  for (const week of march) assert.equal(week.length, 7);
});

test("what falls on a day stands there", () => {
  const at = Date.UTC(2027, 2, 31, 17) / 1000;
  const found = weeksOf(2027, 3, [{ at, id: "R-7" }], true)
    .flat()
    .filter((day) => day.entries.length > 0);
  assert.deepEqual(
    found.map((day) => [day.date, day.entries[0]?.id]),
    [["2027-03-31", "R-7"]],
  );
  assert.equal(dateOf(at, true), "2027-03-31");
});

test("months are counted over the ends of years", () => {
  assert.deepEqual(further(2026, 12, 1), { year: 2027, month: 1 });
  assert.deepEqual(further(2026, 1, -1), { year: 2025, month: 12 });
  assert.deepEqual(monthOf("2027-03"), { year: 2027, month: 3 });
  for (const text of ["", "2027-13", "2027-3", "march"]) assert.equal(monthOf(text), null);
  assert.equal(monthName(2027, 3), "2027-03");
});
