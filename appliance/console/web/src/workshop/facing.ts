// Two texts side by side: only the lines that differ and some around them. Pure.

import { hunks, linesOf } from "./compare.ts";

/** A line of each side; 0 and "" where a side has none. */
export interface FacingRow {
  readonly old: number;
  readonly now: number;
  readonly oldText: string;
  readonly nowText: string;
  readonly differs: boolean;
}

/** Rows that stand together; `skipped` lines alike are left out above them. */
export interface FacingPart {
  readonly skipped: number;
  readonly rows: readonly FacingRow[];
}

const AROUND = 3;

export function facing(before: string, after: string): FacingPart[] {
  const old = linesOf(before);
  const now = linesOf(after);
  const found = hunks(old, now);
  const parts: { skipped: number; rows: FacingRow[] }[] = [];
  let shown = 0; // lines of the old text that are told of so far
  found.forEach((hunk, index) => {
    const previous = found[index - 1];
    const shift = hunk.newFrom - hunk.oldFrom;
    const from = Math.max(hunk.oldFrom - AROUND, previous?.oldTo ?? 0);
    let part = parts.at(-1);
    if (part === undefined || from > shown) {
      part = { skipped: from - shown, rows: [] };
      parts.push(part);
    }
    for (let line = Math.max(from, shown); line < hunk.oldFrom; line += 1)
      part.rows.push(alike(old, line, line + shift));
    const count = Math.max(hunk.oldTo - hunk.oldFrom, hunk.newTo - hunk.newFrom);
    for (let row = 0; row < count; row += 1)
      part.rows.push(different(old, now, hunk.oldFrom + row, hunk.oldTo, hunk.newFrom + row, hunk.newTo));
    const next = found[index + 1];
    const until = Math.min(hunk.oldTo + AROUND, next?.oldFrom ?? old.length);
    for (let line = hunk.oldTo; line < until; line += 1)
      part.rows.push(alike(old, line, line + hunk.newTo - hunk.oldTo));
    shown = until;
  });
  return parts;
}

function alike(old: readonly string[], line: number, other: number): FacingRow {
  const text = shownText(old[line]);
  return { old: line + 1, now: other + 1, oldText: text, nowText: text, differs: false };
}

function different(
  old: readonly string[],
  now: readonly string[],
  oldLine: number,
  oldTo: number,
  newLine: number,
  newTo: number,
): FacingRow {
  const left = oldLine < oldTo;
  const right = newLine < newTo;
  return {
    old: left ? oldLine + 1 : 0,
    now: right ? newLine + 1 : 0,
    oldText: left ? shownText(old[oldLine]) : "",
    nowText: right ? shownText(now[newLine]) : "",
    differs: true,
  };
}

function shownText(line: string | undefined): string {
  return (line ?? "").replace(/\n$/, "");
}
