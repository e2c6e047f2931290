// What the API says of standards, risks and figures, as this view wants it.

export type Outcome = "pass" | "fail" | "unknown";

export interface Evidence {
  query: string;
  value: string;
  time: number;
  digest: string;
}

export interface Judgement {
  check: string;
  title: string;
  outcome: Outcome;
  words: string;
  findings: string[];
  evidence: Evidence[];
  mend: string;
}

export interface Clause {
  clause: string;
  title: string;
  outcome: Outcome;
  words: string;
  checks: string[];
}

export interface Section {
  id: string;
  name: string;
  edition: string;
  about: string;
  answers: Clause[];
}

/** `value` is null where `missing` says why; `of` is what it is a part of, 0 for nothing. */
export interface Figure {
  id: string;
  group: string; // changes, rules, alerts, protection
  title: string;
  unit: string; // count, seconds, percent
  value: number | null;
  of: number;
  missing: string;
  query: string;
}

export interface Trend {
  id: string;
  title: string;
  days: number[]; // seconds since the epoch
  lines: { id: string; title: string; values: number[] }[];
}

export interface Report {
  taken: number;
  software: string;
  subject: { site: string; words: string; generation: number; text_digest: string };
  sections: Section[];
  judgements: Judgement[];
  risk: { gaps: string[] };
  figures: { since: number; until: number; figures: Figure[]; trends: Trend[] } | null;
}
