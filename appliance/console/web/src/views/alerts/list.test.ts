import assert from "node:assert/strict";
import { test } from "node:test";

import { added, end, MOST, wanting, type Filter } from "./list.ts";
import type { Alert, AlertsLive } from "./shapes.ts";

const ALL: Filter = { severity: 0, kind: "", rule: "", signature: "", address: "" };

function alert(id: number, more: Partial<Alert> = {}): Alert {
  return {
    id, at: id, severity: 2, kind: "signature", signature: "1:2019401", title: "ET SCAN Night", category: "",
    action: "allowed", source: "203.0.113.66", source_port: 1, destination: "10.20.0.12", destination_port: 80,
    protocol: "tcp", application: "", interface: "", rule: "R-1", from_zone: "", to_zone: "", generation: 1, tlp: "",
    pseudonyms: false, flow: "", ...more,
  }; // prettier-ignore
}

function event(after: number, through: number, ...ids: number[]): AlertsLive {
  return { after, through, alerts: ids.map((id) => alert(id)), hour: 0, day: 0, away: "", as_of: 1 };
}

test("what comes stands first, once, however often it is told", () => {
  const begun = { rows: [alert(5)], through: 7 };
  const more = added(begun, event(7, 12, 9, 11), wanting(ALL));
  assert.deepEqual(more?.rows.map((one) => one.id), [11, 9, 5]); // prettier-ignore
  assert.equal(more?.through, 12);
  assert.equal(more && added(more, event(7, 12, 9, 11), wanting(ALL))?.rows.length, 3);
});

test("a gap is told, and what tells of the past takes nothing back", () => {
  const begun = { rows: [alert(5)], through: 7 };
  assert.equal(added(begun, event(8, 12, 9), wanting(ALL)), null);
  assert.deepEqual(added(begun, event(2, 3), wanting(ALL)), begun);
});

test("a page keeps the newest, and not without end", () => {
  const many = Array.from({ length: MOST + 10 }, (_, index) => index + 1);
  const known = added({ rows: [], through: 0 }, event(0, MOST + 10, ...many), wanting(ALL));
  assert.equal(known?.rows.length, MOST);
  assert.equal(known?.rows[0]?.id, MOST + 10);
});

test("what comes is chosen as the gateway would choose it", () => {
  const chosen = (filter: Partial<Filter>, one = alert(1)): boolean => wanting({ ...ALL, ...filter })(one);
  assert.ok(chosen({}));
  assert.ok(chosen({ severity: 2 }) && !chosen({ severity: 1 }));
  assert.ok(!chosen({ severity: 3 }, alert(1, { severity: 0 })));
  assert.ok(chosen({ kind: "signature" }) && !chosen({ kind: "finding" }));
  assert.ok(chosen({ rule: "R-1" }) && !chosen({ rule: "R-10" }));
  assert.ok(chosen({ signature: "2019401" }) && chosen({ signature: "1:2019401" }));
  assert.ok(!chosen({ signature: "2:2019401" }) && !chosen({ signature: "401" }));
  assert.ok(chosen({ signature: "scan n" }) && !chosen({ signature: "day" }));
  assert.ok(chosen({ address: "10.20.0.0/16" }) && chosen({ address: "203.0.113.66" }));
  assert.ok(!chosen({ address: "10.21.0.0/16" }) && !chosen({ address: "nonsense" }));
});

test("ends are written as people write them", () => {
  assert.equal(end("10.20.0.12", 443), "10.20.0.12:443");
  assert.equal(end("2001:db8::7", 443), "[2001:db8::7]:443");
  assert.equal(end("10.20.0.12", 0), "10.20.0.12");
});
