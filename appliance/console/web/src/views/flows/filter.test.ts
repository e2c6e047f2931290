import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, filtered } from "./filter.ts";
import type { Flow } from "./shapes.ts";

const flow = (id: string, sent: number): Flow => ({
  id,
  protocol: "tcp",
  source: "10.20.0.11",
  source_port: 50000,
  source_name: "",
  source_zone: "lan",
  destination: "192.0.2.1",
  destination_port: 443,
  destination_name: "",
  destination_zone: "internet",
  asked: "",
  service: "https",
  state: "established",
  inspection: "",
  rule: "R-1",
  said: "",
  sent,
  received: 0,
  packets_sent: 1,
  packets_received: 1,
  age: 1,
  timeout: 1,
});

test("only what is said is asked for", () => {
  assert.deepEqual(filtered({ address: " 10.20.0.0/16 ", port: "", zone: "", rule: "R-1", order: "newest" }), {
    address: "10.20.0.0/16",
    rule: "R-1",
    order: "newest",
  });
});

test("rows stay where they are and say what they carried meanwhile; one without a number is no other", () => {
  const rows = [flow("1", 10), flow("", 20), flow("3", 30)];
  const after = counted(rows, [flow("3", 99), flow("", 7), flow("8", 5)]);
  assert.deepEqual(
    after.map((one) => [one.id, one.sent]),
    [
      ["1", 10],
      ["", 20],
      ["3", 99],
    ],
  );
});
