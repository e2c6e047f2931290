import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, find, match } from "./routes.ts";

test("a pattern takes its parameters from an address", () => {
  assert.deepEqual(match("/history/:number?", "/history"), {});
  assert.deepEqual(match("/history/:number?", "/history/12"), { number: "12" });
  assert.deepEqual(match("/a/:b/c", "/a/x%2Fy/c"), { b: "x/y" });
  assert.equal(match("/history/:number?", "/history/12/more"), null);
  assert.equal(match("/a/:b", "/a"), null);
  assert.equal(match("/", "/health"), null);
  assert.deepEqual(match("/", "/"), {});
  assert.equal(match("/a/:b", "/a/%E0%A4"), null, "what is no text is no parameter");
});

test("an address made of a pattern is matched by it", () => {
  for (const params of [{}, { id: "R-1" }, { id: "a/b c?#" }]) {
    assert.deepEqual(match("/rules/:id?", fill("/rules/:id?", params)), params);
  }
  assert.equal(fill("/"), "/");
  assert.throws(() => fill("/rules/:id"));
});

test("the first view that fits is shown", () => {
  const views = [{ path: "/" }, { path: "/rules/new" }, { path: "/rules/:id?" }];
  assert.equal(find(views, "/rules/new")?.view.path, "/rules/new");
  assert.deepEqual(find(views, "/rules/R-1")?.params, { id: "R-1" });
  assert.equal(find(views, "/elsewhere"), null);
});
