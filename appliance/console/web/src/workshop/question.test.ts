import assert from "node:assert/strict";
import { test } from "node:test";

import { read } from "./question.ts";

function asked(text: string): unknown {
  const found = read(text);
  return found.kind === "question" ? found.question : found.kind;
}

test("two ends and a service may be written in many ways", () => {
  const same = { source: "10.20.0.12", destination: "198.51.100.25", service: "tcp/443" };
  for (const text of [
    "10.20.0.12 to 198.51.100.25 tcp/443",
    "10.20.0.12 -> 198.51.100.25:443",
    "10.20.0.12 198.51.100.25 443",
    " from 10.20.0.12 to 198.51.100.25 port 443 ",
    "de 10.20.0.12 a 198.51.100.25 puerto 443",
    "10.20.0.12 → 198.51.100.25 tcp 443",
    "10.20.0.12 → 198.51.100.25 443 TCP",
  ])
    assert.deepEqual(asked(text), same, text);
  assert.deepEqual(asked("2001:db8::7 [2001:db8:1::9]:53 udp"), {
    source: "2001:db8::7",
    destination: "2001:db8:1::9",
    service: "udp/53",
  });
  assert.deepEqual(asked("lan internet https"), { source: "lan", destination: "internet", service: "https" });
  assert.deepEqual(asked("h.officer to gateway ping"), {
    source: "h.officer",
    destination: "gateway",
    service: "ping",
  });
});

test("two ends alone want a service", () => {
  assert.equal(asked("10.20.0.12 to 198.51.100.25"), "no-service");
  assert.equal(asked("10.20.0.12 2001:db8::1"), "no-service");
});

test("a number is a flow, and nothing is nothing", () => {
  assert.deepEqual(asked("flow 3914182733"), { flow: 3914182733 });
  assert.deepEqual(asked("3914182733"), { flow: 3914182733 });
  assert.equal(asked("   "), "nothing");
});

test("everything else is a line of a log", () => {
  for (const text of [
    "Nov 22 10:00:01 gw kernel: reef R-7 deny IN=lan0 OUT=wan0 SRC=10.20.0.12 DST=198.51.100.25 PROTO=TCP SPT=5 DPT=25",
    '{"event":"deny","rule":"R-7"}',
    "2026-11-22 10:00:01 deny R-7 lan 10.20.0.12:51312 → internet 198.51.100.25:25 tcp",
  ])
    assert.deepEqual(asked(text), { line: text });
});
