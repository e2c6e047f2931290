import assert from "node:assert/strict";
import { test } from "node:test";
import { errors, picture, thickness } from "./picture.ts";

const zone = (name: string, interfaces: string[], external = false) => ({
  name,
  external,
  antispoofing: true,
  interfaces,
  networks: [],
});

test("what leads outside stands above the gateway, the rest below, and nothing lies on anything else", () => {
  const zones = [
    zone("internet", ["wan0", "lte0"], true),
    ...["lan", "dmz", "guest"].map((name) => zone(name, [name])),
  ];
  const drawn = picture(zones, [{ name: "edge", between: ["ens1", "ens2"], inspect: "strict" }]);
  assert.deepEqual(
    drawn.zones.map((box) => [box.name, box.y < drawn.gateway.y]),
    [
      ["internet", true],
      ["lan", false],
      ["dmz", false],
      ["guest", false],
    ],
  );
  assert.deepEqual(
    drawn.bridges.map((box) => box.name),
    ["edge"],
  );
  const boxes = [...drawn.zones, ...drawn.bridges, drawn.gateway];
  for (const one of boxes) {
    assert.ok(one.x >= 0 && one.y >= 0 && one.x + one.width <= drawn.width && one.y + one.height <= drawn.height);
    for (const other of boxes) {
      const apart =
        one === other ||
        one.x + one.width <= other.x ||
        other.x + other.width <= one.x ||
        one.y + one.height <= other.y ||
        other.y + other.height <= one.y;
      assert.ok(apart, `${one.name} lies on ${other.name}`);
    }
  }
});

test("each line leads from its zone to the gateway, at a place of its own", () => {
  const drawn = picture([zone("internet", ["wan0", "lte0"], true), zone("lan", ["lan0"])], []);
  assert.deepEqual(
    drawn.strokes.map((stroke) => stroke.line),
    ["wan0", "lte0", "lan0"],
  );
  assert.equal(new Set(drawn.strokes.map((stroke) => `${stroke.x1} ${stroke.y1}`)).size, 3);
  for (const stroke of drawn.strokes) assert.ok(stroke.y1 < stroke.y2 && stroke.x1 === stroke.x2);
});

test("a line that carries more is thicker, up to a bound, and one of which nothing is known is thin", () => {
  const carrying = (byte_rate: number) => thickness({ name: "a", state: "up", received: { byte_rate } });
  assert.equal(thickness(undefined), 2);
  assert.equal(carrying(-1), 2);
  assert.ok(carrying(1000) > 2 && carrying(1e6) > carrying(1000));
  assert.equal(carrying(1e12), 14);
});

test("errors are those of both sides, dropped packets too", () => {
  assert.equal(errors({ name: "a", state: "up", received: { errors: 1, dropped: 2 }, sent: { dropped: 4 } }), 7);
  assert.equal(errors({ name: "a", state: "missing" }), 0);
});
