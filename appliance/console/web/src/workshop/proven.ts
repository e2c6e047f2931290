// What was proven of a rule, in words. Pure.

import type { Proven } from "./shapes.ts";
import type { WorkshopWords } from "../words/workshop.en.ts";

export function provenWords(proven: Proven, words: WorkshopWords): string {
  const w = words.workshop.draft;
  const others = proven.others.join(", ");
  switch (proven.kind) {
    case "dead":
      return w.dead(proven.rule, others);
    case "no-effect":
      return w.noEffect(proven.rule);
    case "conflict":
      return w.conflict(proven.rule, others);
    case "invariant":
      return w.invariant(proven.rule, proven.name);
    case "baseline":
      return w.baseline(proven.rule, proven.name);
  }
}
