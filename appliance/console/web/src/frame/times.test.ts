import assert from "node:assert/strict";
import { test } from "node:test";
import { clockTime, countdown, fromNow, span, utcTime } from "./times.ts";

const AT = Date.UTC(2026, 5, 1, 23, 30, 15) / 1000;

test("a moment of today is a time, another has its day, each in the zone asked for", () => {
  assert.equal(clockTime(AT, AT + 60, "en", "UTC"), "23:30");
  assert.equal(clockTime(AT, AT + 60, "en", "UTC", true), "23:30:15");
  assert.match(clockTime(AT, AT + 3600, "en", "UTC"), /Jun 1, 2026.*23:30/);
  assert.equal(clockTime(AT, AT + 3600, "en", "America/Belize"), "17:30");
  assert.match(clockTime(AT, AT + 86_400, "es", "UTC"), /1 jun 2026.*23:30/);
});

test("UTC is said as logs say it", () => {
  assert.equal(utcTime(AT + 0.7), "2026-06-01T23:30:15Z");
});

test("lengths are said in two units at most", () => {
  assert.equal(span(0, "en"), "0 sec");
  assert.equal(span(90, "en"), "1 min 30 sec");
  assert.equal(span(3600, "en"), "1 hr");
  assert.equal(span(86_400 * 2 + 3600 * 5 + 59, "en"), "2 days 5 hr");
  assert.equal(span(3605, "en"), "1 hr", "seconds do not matter beside hours");
});

test("a countdown never says less than is left", () => {
  assert.equal(countdown(65), "1:05");
  assert.equal(countdown(0.2), "0:01");
  assert.equal(countdown(-5), "0:00");
  assert.equal(countdown(3725), "1:02:05");
});

test("how long ago is said in one unit", () => {
  assert.equal(fromNow(AT - 30, AT, "en"), "30 seconds ago");
  assert.equal(fromNow(AT - 7300, AT, "en"), "2 hours ago");
  assert.equal(fromNow(AT + 86_400 * 3, AT, "es"), "dentro de 3 días");
});
