import assert from "node:assert/strict";
import { test } from "node:test";
import { workshopEn } from "../words/workshop.en.ts";
import type { Finding, Proof, Proven } from "./shapes.ts";
import { told } from "./told.ts";

const finding = (message: string, line: number, severity = "warning"): Finding => ({
  file: "policy.yaml",
  line,
  column: 5,
  message,
  remedy: "remove it",
  severity,
});
const proven = (kind: Proven["kind"], rule: string, others: string[], line: number, name = ""): Proven => ({
  kind,
  rule,
  others,
  name,
  example: `tcp of ${rule}`,
  line,
});
const proof = (...shown: Proven[]): Proof => ({ shown, conflicts: 0, undecided: [], seconds: 0 });

test("what the proof found is told once, in one's own words, with what helps", () => {
  const found = told(
    [finding("`R-5` never matches: `R-2` above hides all of it", 12), finding("`R-9` has expired", 30)],
    proof(proven("dead", "R-5", ["R-2"], 12)),
    workshopEn,
  );
  assert.deepEqual(
    found.map((one) => [one.words, one.remedy, one.example, one.line]),
    [
      [workshopEn.workshop.draft.dead("R-5", "R-2"), "remove it", "tcp of R-5", 12],
      ["`R-9` has expired", "remove it", "", 30],
    ],
  );
});

test("a rule that crosses several is told once, with all of them", () => {
  const words = "`R-1` (allow) and `R-2` and `R-3` below it share packets and decide them differently: `R-1` wins";
  const shown = [proven("conflict", "R-2", ["R-1"], 8), proven("conflict", "R-1", ["R-3"], 4)];
  const found = told([finding(words, 4)], proof(...shown), workshopEn);
  assert.deepEqual(
    found.map((one) => one.words),
    [workshopEn.workshop.draft.conflict("R-1", "R-2, R-3")],
  );
});

test("what only the proof says is told behind, and what is like it but of another rule is not lost", () => {
  const words = "`R-7` changes nothing: without it the default would decide the same";
  const found = told([finding(words, 4)], proof(proven("no-effect", "R-8", [], 9)), workshopEn);
  assert.deepEqual(
    found.map((one) => one.words),
    [words, workshopEn.workshop.draft.noEffect("R-8")],
  );
});

test("a broken invariant is an error, told once", () => {
  const words =
    "`R-4` allows tcp from lan to dmz, which `I-1` (policy.yaml:9:3) says is never to pass, for example x";
  const found = told([finding(words, 4, "error")], proof(proven("invariant", "R-4", [], 4, "I-1")), workshopEn);
  assert.deepEqual(
    found.map((one) => [one.bad, one.words]),
    [[true, workshopEn.workshop.draft.invariant("R-4", "I-1")]],
  );
});
