// Two texts line by line: what is common, and the edits that lead from one to the other. Pure.
//
// Lines that stand once in both texts hold the rest in place (patience diff), so a change at the top and one at the end are two
// edits and not one that covers all between them: who rebases on these edits keeps what was typed in the middle.

import type { Edit, Edits } from "./edits.ts";

/** Lines `oldFrom` to `oldTo` (not included) of one text became lines `newFrom` to `newTo` of the other. */
export interface Hunk {
  readonly oldFrom: number;
  readonly oldTo: number;
  readonly newFrom: number;
  readonly newTo: number;
}

export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  return lines.map((line, index) => (index < lines.length - 1 ? `${line}\n` : line)).filter((line) => line !== "");
}

/** Where two lists of lines differ, in order. */
export function hunks(old: readonly string[], now: readonly string[]): Hunk[] {
  const found: Hunk[] = [];
  const open: Hunk[] = [{ oldFrom: 0, oldTo: old.length, newFrom: 0, newTo: now.length }];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const rest = trimmed(old, now, range);
    if (rest.oldFrom === rest.oldTo && rest.newFrom === rest.newTo) continue;
    const anchors = rest.oldFrom === rest.oldTo || rest.newFrom === rest.newTo ? [] : anchored(old, now, rest);
    if (anchors.length === 0) {
      found.push(rest);
      continue;
    }
    let { oldFrom, newFrom } = rest;
    for (const [inOld, inNew] of anchors) {
      open.push({ oldFrom, oldTo: inOld, newFrom, newTo: inNew });
      oldFrom = inOld + 1;
      newFrom = inNew + 1;
    }
    open.push({ oldFrom, oldTo: rest.oldTo, newFrom, newTo: rest.newTo });
  }
  return found.sort((one, other) => one.oldFrom - other.oldFrom || one.newFrom - other.newFrom);
}

/** The edits that make `now` of `old`. */
export function between(old: string, now: string): Edits {
  const oldLines = linesOf(old);
  const newLines = linesOf(now);
  const starts: number[] = [0];
  for (const line of oldLines) starts.push((starts.at(-1) ?? 0) + line.length);
  return hunks(oldLines, newLines)
    .map((hunk) =>
      narrow(
        old,
        starts[hunk.oldFrom] ?? 0,
        starts[hunk.oldTo] ?? 0,
        newLines.slice(hunk.newFrom, hunk.newTo).join(""),
      ),
    )
    .filter((edit) => edit.insert !== "" || edit.end > edit.start);
}

/** One replacement, without what is the same at both of its ends; never through the middle of a surrogate pair. */
function narrow(text: string, start: number, end: number, insert: string): Edit {
  const most = Math.min(end - start, insert.length);
  let head = 0;
  while (head < most && text.charCodeAt(start + head) === insert.charCodeAt(head)) head += 1;
  if (head > 0 && isHigh(text.charCodeAt(start + head - 1))) head -= 1;
  let tail = 0;
  while (tail < most - head && text.charCodeAt(end - 1 - tail) === insert.charCodeAt(insert.length - 1 - tail))
    tail += 1;
  if (tail > 0 && isLow(text.charCodeAt(end - tail))) tail -= 1;
  return { start: start + head, end: end - tail, insert: insert.slice(head, insert.length - tail) };
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function trimmed(old: readonly string[], now: readonly string[], range: Hunk): Hunk {
  let { oldFrom, oldTo, newFrom, newTo } = range;
  while (oldFrom < oldTo && newFrom < newTo && old[oldFrom] === now[newFrom]) {
    oldFrom += 1;
    newFrom += 1;
  }
  while (oldFrom < oldTo && newFrom < newTo && old[oldTo - 1] === now[newTo - 1]) {
    oldTo -= 1;
    newTo -= 1;
  }
  return { oldFrom, oldTo, newFrom, newTo };
}

/** Pairs of lines that stand once in both ranges, the longest row of them that is in order in both. */
function anchored(old: readonly string[], now: readonly string[], range: Hunk): [number, number][] {
  const inOld = once(old, range.oldFrom, range.oldTo);
  const pairs: [number, number][] = [];
  for (const [line, place] of once(now, range.newFrom, range.newTo)) {
    const other = inOld.get(line);
    if (other !== undefined && place >= 0 && other >= 0) pairs.push([other, place]);
  }
  return rising(pairs.sort((one, other) => one[1] - other[1]));
}

/** The lines of a range with their places; -1 where a line stands more than once. */
function once(lines: readonly string[], from: number, to: number): Map<string, number> {
  const places = new Map<string, number>();
  for (let place = from; place < to; place += 1) {
    const line = lines[place] ?? "";
    places.set(line, places.has(line) ? -1 : place);
  }
  return places;
}

function rising(pairs: readonly [number, number][]): [number, number][] {
  const ends: number[] = []; // ends[n]: the pair that ends the best row of n + 1 pairs
  const before = new Array<number>(pairs.length).fill(-1);
  pairs.forEach(([value], index) => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((pairs[ends[middle] ?? 0]?.[0] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    before[index] = low > 0 ? (ends[low - 1] ?? -1) : -1;
    ends[low] = index;
  });
  const row: [number, number][] = [];
  for (let index = ends.at(-1) ?? -1; index >= 0; index = before[index] ?? -1) {
    const pair = pairs[index];
    if (pair !== undefined) row.push(pair);
  }
  return row.reverse();
}
