// What the characters of one line of a policy are. Pure.

export type PieceKind = "key" | "comment" | "mark" | "quoted";

export interface ColouredPiece {
  readonly from: number;
  readonly to: number;
  readonly kind: PieceKind;
}

const MOST = 4_000; // characters of a line that are looked at
const KEY = /(?:[\p{L}\p{N}_][^\s,[\]{}#"']*(?: [^\s,[\]{}#"':]+)*)(?=:(?:\s|$))/uy;

/** The pieces of a line that are not plain words, in order. */
export function piecesOf(line: string): ColouredPiece[] {
  const found: ColouredPiece[] = [];
  const end = Math.min(line.length, MOST);
  let canBeKey = true; // at the start of an entry, behind `- `, `{` and `,`
  let at = 0;
  while (at < end) {
    const char = line[at] ?? "";
    if (char === " ") {
      at += 1;
    } else if (char === "#" && (at === 0 || line[at - 1] === " ")) {
      found.push({ from: at, to: line.length, kind: "comment" });
      break;
    } else if (char === '"' || char === "'") {
      const to = closing(line, at);
      found.push({ from: at, to, kind: "quoted" });
      canBeKey = false;
      at = to;
    } else if ("[]{},".includes(char)) {
      found.push({ from: at, to: at + 1, kind: "mark" });
      canBeKey = char === "{" || char === ",";
      at += 1;
    } else if (char === "-" && canBeKey && (line[at + 1] === " " || at + 1 === line.length)) {
      found.push({ from: at, to: at + 1, kind: "mark" });
      at += 1;
    } else {
      KEY.lastIndex = at;
      const key = canBeKey ? KEY.exec(line) : null;
      if (key !== null) {
        found.push({ from: at, to: at + key[0].length, kind: "key" });
        at += key[0].length;
        found.push({ from: at, to: at + 1, kind: "mark" });
        at += 1;
      } else {
        while (at < end && !" ,[]{}\"'".includes(line[at] ?? "")) at += 1;
      }
      canBeKey = false;
    }
  }
  return found;
}

/** Behind the quotation mark that ends what begins at `from`; in double quotes a backslash hides one. */
function closing(line: string, from: number): number {
  const quote = line[from];
  for (let at = from + 1; at < line.length; at += 1) {
    if (quote === '"' && line[at] === "\\") at += 1;
    else if (line[at] === quote) return at + 1;
  }
  return line.length;
}
