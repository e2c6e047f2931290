import assert from "node:assert/strict";
import { test } from "node:test";
import { address, nextOf } from "./client.ts";
import { problemOf } from "./problem.ts";

test("the next page is found among links, also where an address has a comma", () => {
  assert.equal(nextOf('</api/v1/a?after=3>; rel="next"'), "/api/v1/a?after=3");
  assert.equal(nextOf('</x>; rel="prev", </api/v1/a?after=3,4>; title="a"; rel=next'), "/api/v1/a?after=3,4");
  assert.equal(nextOf('</x>; rel="prev"'), "");
  assert.equal(nextOf(null), "");
});

test("addresses carry what is asked for", () => {
  assert.equal(
    address("/rules", { search: "a b&c", limit: 5, gone: undefined }),
    "/api/v1/rules?search=a+b%26c&limit=5",
  );
  assert.equal(address("/api/v1/rules?after=3"), "/api/v1/rules?after=3");
});

test("a refusal keeps the gateway's words, code and findings; a proxy's page has none", async () => {
  const finding = { file: "policy.yaml", line: 3, column: 1, message: "no", remedy: "", severity: "error" };
  const told = { title: "Refused", detail: "The text is wrong", code: "findings", findings: [finding] };
  const answer = new Response(JSON.stringify(told), {
    status: 422,
    headers: { "Content-Type": "application/problem+json" },
  });
  const problem = await problemOf(answer);
  assert.deepEqual([problem.status, problem.code, problem.message], [422, "findings", "The text is wrong"]);
  assert.deepEqual(problem.findings, [finding]);
  const page = await problemOf(
    new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "Content-Type": "text/html" } }),
  );
  assert.deepEqual([page.status, page.code, page.message], [502, "", ""]);
});
