// What is said of generations and of what changes between them, as policyd says it.

import type { Finding } from "./problem.ts";

/** GET /generations, /generations/{n} */
export interface Generation {
  generation: number;
  state: string; // running, confirmed, superseded, rolled-back, failed
  author: string;
  reason: string;
  created: number;
  digest: string;
  parent: number;
  rules: number;
  confirmed_by: string;
  confirmed_at: number;
  note: string;
  // Of a generation that was a proposal; 0 and "" otherwise.
  proposal: number;
  proposer: string;
  why: string;
  ticket: string;
  approvers: string[];
}

/** Whether what is kept of a generation is what was signed. */
export interface Seal {
  generation: number;
  state: "good" | "bad" | "unreadable" | "gone";
  digest: string;
  words: string;
}

export interface Seals {
  seals: Seal[];
  key: string; // SHA-256 of the key that was checked with
  at: number;
}

export interface Change {
  kind: "added" | "removed" | "changed" | "moved";
  what: string;
  words: string;
}

export interface TrafficChange {
  words: string;
  example: string;
  old_action: string;
  new_action: string;
  old_rule: string;
  new_rule: string;
}

export interface TrafficDifference {
  opened: TrafficChange[];
  closed: TrafficChange[];
  other: TrafficChange[];
  unlisted: number;
  undecided: string[];
}

/** GET /generations/{n}/difference?from={m} */
export interface Planned {
  base: number;
  changes: Change[];
  findings: Finding[];
  statements: number;
  omitted: string[];
  traffic: TrafficDifference | null;
}
