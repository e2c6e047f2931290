import assert from "node:assert/strict";
import { test } from "node:test";
import { EventReader, backOff } from "./events.ts";

const STREAM =
  ': hello\r\n\r\nretry: 2000\nid: a-1\nevent: status\ndata: {"x":\ndata: 1}\n\nid: a-2\rdata:plain\r\revent: empty\n\ndata: cut off';

test("a stream cut anywhere reads the same", () => {
  const whole = new EventReader().feed(STREAM);
  assert.deepEqual(whole, [
    { kind: "status", data: '{"x":\n1}', id: "a-1" },
    { kind: "message", data: "plain", id: "a-2" },
  ]);
  for (let size = 1; size < STREAM.length; size++) {
    const reader = new EventReader();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...reader.feed(STREAM.slice(at, at + size)));
    assert.deepEqual(events, whole, `pieces of ${size}`);
    assert.equal(reader.lastId, "a-2");
    assert.equal(reader.retry, 2000);
  }
});

test("who comes back waits longer each time, never too long, and not all at once", () => {
  const waits = [0, 1, 2, 3, 4, 5, 50].map((tries) => backOff(tries, 1));
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assert.equal(backOff(2, 0), 2000);
});
