import assert from "node:assert/strict";
import { test } from "node:test";

import type { WhyAnswer } from "./shapes.ts";
import { BOX, drawn, stationsOf } from "./trail.ts";

const REFUSED: WhyAnswer = {
  at: "2026-11-22T10:00:00-06:00",
  source: "10.20.0.12",
  source_zone: "lan",
  enters: "lan0",
  destination: "198.51.100.25:25",
  destination_zone: "internet",
  leaves: "wan0",
  via: "203.0.113.1",
  service: "tcp/25",
  action: "reject",
  rule: "R-6",
  why: "mail leaves through the mail server",
  owner: "it@health.example",
  expires: "",
  schedule: "",
  inspect: "",
  leaves_from: "10.20.0.12",
  leaves_to: "198.51.100.25:25",
  source_nat: "",
  destination_nat: "",
  steps: [
    { kind: "enters", words: "through lan0, zone lan" },
    { kind: "source", words: "10.20.0.12 may be behind lan0" },
    { kind: "route", words: "198.51.100.25 is behind wan0" },
    { kind: "decision", words: "rejected by R-6" },
  ],
  near: [],
  near_count: 0,
};

test("a packet that is refused ends at the rule and never reaches the receiver", () => {
  const stations = stationsOf(REFUSED);
  assert.deepEqual(
    stations.map((one) => [one.kind, one.name, one.fate]),
    [
      ["from", "10.20.0.12", "passes"],
      ["enters", "lan0", "passes"],
      ["source", "", "passes"],
      ["route", "203.0.113.1", "passes"],
      ["decision", "R-6", "ends"],
    ],
  );
});

test("a packet that is allowed goes on to the receiver, and translation is told", () => {
  const stations = stationsOf({
    ...REFUSED,
    action: "allow",
    rule: "R-1",
    source_nat: "N-1",
    steps: [...REFUSED.steps, { kind: "lasts", words: "until" }, { kind: "leaves", words: "as 203.0.113.2" }],
  });
  assert.deepEqual(
    stations.slice(-3).map((one) => [one.kind, one.name, one.fate]),
    [
      ["decision", "R-1", "passes"],
      ["leaves", "N-1", "changes"],
      ["to", "198.51.100.25:25", "passes"],
    ],
  );
});

test("a source that may not be there ends at the source", () => {
  const stations = stationsOf({
    ...REFUSED,
    action: "deny",
    rule: "antispoofing",
    steps: [...REFUSED.steps.slice(0, 2), { kind: "decision", words: "denied" }],
  });
  assert.deepEqual(
    stations.filter((one) => one.fate === "ends").map((one) => one.kind),
    ["source"],
  );
});

test("stations stand in rows that fit the width, and every two that follow are joined", () => {
  const stations = stationsOf(REFUSED);
  for (const width of [100, 400, 2000]) {
    const drawing = drawn(stations, width);
    assert.equal(drawing.stations.length, 5);
    assert.equal(drawing.lines.length, 4);
    assert.ok(drawing.width <= Math.max(width, BOX.width));
    assert.equal(new Set(drawing.stations.map((one) => `${one.x} ${one.y}`)).size, 5);
    for (const { from, to } of drawing.lines) assert.ok(from.x === to.x || from.y === to.y);
  }
});
