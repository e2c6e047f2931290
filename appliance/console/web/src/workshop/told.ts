// What is found of a text, each thing once: the proof's findings stand among those of the text too, with what helps. Pure.

import type { WorkshopWords } from "../words/workshop.en.ts";
import { provenWords } from "./proven.ts";
import type { Finding, Proof, Proven } from "./shapes.ts";

export interface Told {
  bad: boolean;
  words: string;
  remedy: string;
  example: string;
  line: number;
  column: number;
}

// By what the gateway's words of each kind are known.
const SIGNS: Readonly<Record<Proven["kind"], RegExp>> = {
  dead: /^`([^`]+)` (never matches|can match nothing)/,
  "no-effect": /^`([^`]+)` changes nothing/,
  conflict: /^`([^`]+)` \(\w+\) and .* share packets/,
  invariant: /^`([^`]+)` allows .*, which `([^`]+)`.* is never to pass/,
  baseline: /^(?:`([^`]+)`|nothing here) .* of the baseline `/,
};

/** What was proven that a finding says too; conflicts of one rule are said together. */
function same(finding: Finding, shown: readonly Proven[]): Proven[] {
  return shown.filter((one) => {
    const sign = SIGNS[one.kind].exec(finding.message);
    if (sign === null) return false;
    if (one.kind === "conflict") return one.rule === sign[1] || one.others[0] === sign[1];
    if (one.kind === "invariant") return one.rule === sign[1] && one.name === sign[2];
    return one.rule === (sign[1] ?? one.rule) && (one.line === finding.line || one.line === 0);
  });
}

export function told(findings: readonly Finding[], proof: Proof | null, words: WorkshopWords): Told[] {
  let left = [...(proof?.shown ?? [])];
  const all: Told[] = findings.map((finding) => {
    const { line, column, remedy } = finding;
    const twins = same(finding, left);
    const [first] = twins;
    const plain = { bad: finding.severity === "error", remedy, line, column };
    if (first === undefined) return { ...plain, words: finding.message, example: "" };
    left = left.filter((one) => !twins.includes(one));
    const upper = SIGNS.conflict.exec(finding.message)?.[1];
    const others = [...new Set(twins.flatMap((one) => [one.rule, ...one.others]))].filter((one) => one !== upper);
    const one = first.kind === "conflict" && upper !== undefined ? { ...first, rule: upper, others } : first;
    return { ...plain, words: provenWords(one, words), example: one.example };
  });
  const rest = left.map((one) => ({
    bad: one.kind === "invariant" || one.kind === "baseline",
    words: provenWords(one, words),
    remedy: "",
    example: one.example,
    line: one.line,
    column: 1,
  }));
  return [...all, ...rest];
}
