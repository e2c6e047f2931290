// Which connections are asked for, and what is known of them as they go on. Pure.

import type { Flow } from "./shapes.ts";

export interface Filter {
  address: string;
  port: string;
  zone: string;
  rule: string;
  order: string;
}

/** What the API is asked with: only what is said. */
export function filtered(filter: Filter): Record<string, string> {
  const said = Object.entries(filter).map(([name, value]) => [name, value.trim()] as const);
  return Object.fromEntries(said.filter(([, value]) => value !== ""));
}

/** The same rows in the same order, with what was told of some of them since. */
export function counted(rows: readonly Flow[], told: readonly Flow[]): readonly Flow[] {
  const known = new Map(told.filter((one) => one.id !== "").map((one) => [one.id, one]));
  return rows.map((row) => known.get(row.id) ?? row);
}
