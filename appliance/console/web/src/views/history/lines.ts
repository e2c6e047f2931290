// The difference of two texts, line by line (Myers, "An O(ND) Difference Algorithm"). Pure.

export interface Line {
  kind: "same" | "added" | "removed";
  text: string;
  old: number; // its number in the old text, from 1; 0 where it is not
  new: number;
}

const MOST_EDITS = 3000; // beyond, two texts have little in common and the whole of both is shown

/** Every line of both texts, in order. */
export function difference(old: string, now: string): Line[] {
  const a = old.split("\n");
  const b = now.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail])
    tail++;
  const lines: Line[] = [];
  for (let at = 0; at < head; at++) lines.push({ kind: "same", text: a[at] ?? "", old: at + 1, new: at + 1 });
  for (const line of middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail))) {
    lines.push({ ...line, old: line.old && line.old + head, new: line.new && line.new + head });
  }
  for (let left = tail; left > 0; left--) {
    const [x, y] = [a.length - left, b.length - left];
    lines.push({ kind: "same", text: a[x] ?? "", old: x + 1, new: y + 1 });
  }
  return lines;
}

function middle(a: readonly string[], b: readonly string[]): Line[] {
  const trace = shortest(a, b);
  if (!trace) {
    return [
      ...a.map((text, at): Line => ({ kind: "removed", text, old: at + 1, new: 0 })),
      ...b.map((text, at): Line => ({ kind: "added", text, old: 0, new: at + 1 })),
    ];
  }
  const lines: Line[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = trace.length - 1; d >= 0; d--) {
    const reach = trace[d] as Map<number, number>;
    const k = x - y;
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const from = down ? k + 1 : k - 1;
    const [px, py] = d === 0 ? [0, 0] : [reach.get(from) ?? 0, (reach.get(from) ?? 0) - from];
    while (x > px && y > py) {
      x--;
      y--;
      lines.push({ kind: "same", text: a[x] ?? "", old: x + 1, new: y + 1 });
    }
    if (d === 0) break;
    if (down) lines.push({ kind: "added", text: b[--y] ?? "", old: 0, new: y + 1 });
    else lines.push({ kind: "removed", text: a[--x] ?? "", old: x + 1, new: 0 });
  }
  return lines.reverse();
}

/** For every number of edits how far each diagonal was reached before it; null when it takes too many. */
function shortest(a: readonly string[], b: readonly string[]): Map<number, number>[] | null {
  const trace: Map<number, number>[] = [];
  const reach = new Map<number, number>([[1, 0]]);
  const most = Math.min(a.length + b.length, MOST_EDITS);
  for (let d = 0; d <= most; d++) {
    const before = new Map<number, number>();
    for (let k = -d - 1; k <= d + 1; k++) {
      const value = reach.get(k);
      if (value !== undefined) before.set(k, value);
    }
    trace.push(before);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++;
        y++;
      }
      reach.set(k, x);
      if (x >= a.length && y >= b.length) return trace;
    }
  }
  return null;
}

/** Only what changed, with some lines around it; null stands for lines left out. */
export function around(lines: readonly Line[], context = 3): (Line | null)[] {
  const shown = new Uint8Array(lines.length);
  for (const [at, line] of lines.entries()) {
    if (line.kind === "same") continue;
    shown.fill(1, Math.max(0, at - context), Math.min(lines.length, at + context + 1));
  }
  const result: (Line | null)[] = [];
  for (const [at, line] of lines.entries()) {
    if (shown[at]) result.push(line);
    else if (result.length === 0 || result.at(-1) !== null) result.push(null);
  }
  return result;
}
