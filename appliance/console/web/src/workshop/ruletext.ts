// A rule as a person would write it: YAML of the strict kind that a policy is. Pure.

/** Keys of a rule in the order in which they are written. */
export const RULE_KEYS = [
  "id",
  "from",
  "to",
  "source",
  "destination",
  "service",
  "people",
  "when",
  "action",
  "inspect",
  "log",
  "limit",
  "connections",
  "expires",
  "review",
  "owner",
  "why",
  "ticket",
  "enabled",
] as const;
export type RuleKey = (typeof RULE_KEYS)[number];

export type RuleWords = Partial<Record<RuleKey, string | readonly string[]>>;

/** The item of a list; keys without a word are left out. */
export function written(rule: RuleWords): string {
  const lines: string[] = [];
  for (const key of RULE_KEYS) {
    const words = rule[key];
    if (words === undefined || words.length === 0) continue;
    lines.push(`${key}: ${typeof words === "string" ? scalar(words) : listed(words)}`);
  }
  return lines.map((line, index) => `${index === 0 ? "- " : "  "}${line}\n`).join("");
}

function listed(words: readonly string[]): string {
  const [only] = words;
  return words.length === 1 && only !== undefined ? scalar(only) : `[${words.map(scalar).join(", ")}]`;
}

/** A word as it is, or in quotes where YAML would read it as something else. */
export function scalar(word: string): string {
  const plain = /^[\p{L}\p{N}_./][\p{L}\p{N}_./@+()' -]*$/u.test(word) && !word.endsWith(" ");
  return plain ? word : JSON.stringify(word);
}

/** The first id of the form `R-7` that nothing has, behind the highest of them. */
export function freeId(taken: Iterable<string>, like = "R-1"): string {
  const prefix = /^(.*?)\d+$/.exec(like)?.[1] ?? `${like}-`;
  let highest = 0;
  for (const id of taken) {
    if (!id.startsWith(prefix)) continue;
    const number = Number(id.slice(prefix.length));
    if (Number.isInteger(number) && number > highest) highest = number;
  }
  return `${prefix}${highest + 1}`;
}
