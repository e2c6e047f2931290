// Sorting and filtering of many lines, as lists of numbers of lines. Pure; what was computed for the same lines is kept.

export type Value = string | number | boolean | null | undefined | readonly string[];

export interface Column<Row> {
  id: string;
  title: string;
  /** What the cell says, and what is sorted and filtered by unless `sortBy` or `text` say otherwise. */
  value: (row: Row) => Value;
  /** What is searched; the words of `value` when missing. */
  text?: (row: Row) => string;
  sortBy?: (row: Row) => string | number;
  /** "choice" offers what occurs, up to 60 different values. */
  filter?: "text" | "choice";
  unsortable?: boolean;
  /** Share of the width, as CSS grid has it: "8rem", "minmax(6rem, 2fr)". */
  width?: string;
  numeric?: boolean;
  /** Seen on a phone too. When no column says so, all are. */
  narrow?: boolean;
}

export type Order = { column: string; down: boolean } | null;

export interface Wanted {
  search: string; // every word must be in the line somewhere
  columns: Readonly<Record<string, string>>; // column -> text that must be in it, or "=value" for a choice
  order: Order;
}

export function wordsOf(value: Value): string {
  if (value === null || value === undefined || value === false) return "";
  if (typeof value === "object") return value.join(" ");
  return value === true ? "✓" : String(value);
}

/** What strings are sorted by: no case, no accents, and numbers in them by their size. */
function sortKey(text: string): string {
  const plain = /^[\x20-\x7e]*$/.test(text) ? text : text.normalize("NFD").replace(/\p{M}/gu, "");
  return plain.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(16, "0"));
}

function counted(length: number): Uint32Array<ArrayBuffer> {
  const lines = new Uint32Array(length);
  for (let index = 0; index < length; index++) lines[index] = index;
  return lines;
}

/** Those of `lines` whose text has all `words` in it. */
function having(lines: Uint32Array, texts: readonly string[], words: readonly string[]): Uint32Array<ArrayBuffer> {
  const found = new Uint32Array(lines.length);
  let count = 0;
  for (let at = 0; at < lines.length; at++) {
    const index = lines[at] as number;
    const text = texts[index] as string;
    let has = true;
    for (let word = 0; has && word < words.length; word++) has = text.includes(words[word] as string);
    if (has) found[count++] = index;
  }
  return found.slice(0, count);
}

/** The lines of one table. Made anew when its rows or columns are. */
export class Table<Row> {
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  #search: ((row: Row) => string) | undefined;
  #all: Uint32Array | null = null;
  #texts: string[] | null = null;
  #columnTexts = new Map<string, string[]>();
  #ranks = new Map<string, Float64Array>();
  #last: { words: string[]; key: string; lines: Uint32Array } | null = null;

  constructor(rows: readonly Row[], columns: readonly Column<Row>[], search?: (row: Row) => string) {
    this.rows = rows;
    this.columns = columns;
    this.#search = search;
  }

  /** The numbers of the rows that are wanted, in the order wanted. */
  lines(wanted: Wanted): Uint32Array {
    const found = this.#filtered(wanted);
    if (!wanted.order) return found;
    const ranks = this.#rank(wanted.order.column);
    if (!ranks) return found;
    const sign = wanted.order.down ? -1 : 1;
    return found.slice().sort((a, b) => sign * ((ranks[a] ?? 0) - (ranks[b] ?? 0)) || a - b);
  }

  /** The different values of a column, sorted; null when they are too many to choose from. */
  choices(column: string, most = 60): string[] | null {
    const all = new Set<string>();
    const value = this.columns.find((one) => one.id === column)?.value;
    if (!value) return null;
    for (const row of this.rows) {
      const own = value(row);
      for (const one of typeof own === "object" && own !== null ? own : [wordsOf(own)]) all.add(one);
      if (all.size > most) return null;
    }
    all.delete("");
    const keys = new Map([...all].map((one) => [one, sortKey(one)]));
    return [...all].sort((a, b) => ((keys.get(a) ?? "") < (keys.get(b) ?? "") ? -1 : 1));
  }

  #filtered(wanted: Wanted): Uint32Array {
    const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
    const byColumn = Object.entries(wanted.columns).filter(([, text]) => text.trim() !== "");
    const key = JSON.stringify(byColumn);
    let from: Uint32Array;
    const last = this.#last;
    // One more letter can only take lines away: go on from what is left.
    if (last?.key === key && last.words.every((old) => words.some((word) => word.includes(old)))) from = last.lines;
    else {
      from = this.#all ??= counted(this.rows.length);
      for (const [id, text] of byColumn) from = this.#withColumn(from, id, text.trim());
    }
    if (words.length > 0) from = having(from, this.#allTexts(), words);
    this.#last = { words, key, lines: from };
    return from;
  }

  #withColumn(from: Uint32Array, id: string, text: string): Uint32Array {
    const column = this.columns.find((one) => one.id === id);
    if (!column) return from;
    if (text.startsWith("=")) {
      const exact = text.slice(1);
      return from.filter((index) => {
        const value = column.value(this.rows[index] as Row);
        return typeof value === "object" && value !== null ? value.includes(exact) : wordsOf(value) === exact;
      });
    }
    return having(from, this.#textsOf(column), [text.toLowerCase()]);
  }

  #textsOf(column: Column<Row>): string[] {
    let texts = this.#columnTexts.get(column.id);
    if (!texts) {
      const of = column.text ?? ((row: Row) => wordsOf(column.value(row)));
      texts = this.rows.map((row) => of(row).toLowerCase());
      this.#columnTexts.set(column.id, texts);
    }
    return texts;
  }

  #allTexts(): string[] {
    if (!this.#texts) {
      const columns = this.columns.map((column) => column.text ?? ((row: Row) => wordsOf(column.value(row))));
      const search = this.#search;
      this.#texts = this.rows.map((row) => {
        let text = search ? search(row) : "";
        for (const of of columns) text += `\n${of(row)}`;
        return text.toLowerCase();
      });
    }
    return this.#texts;
  }

  /** Build what the first search needs before somebody types. */
  prepare(): void {
    this.#allTexts();
  }

  /** For every row where its value stands among those of a column: sorting by numbers is quick. */
  #rank(id: string): Float64Array | null {
    let ranks = this.#ranks.get(id);
    if (ranks) return ranks;
    const column = this.columns.find((one) => one.id === id);
    if (!column) return null;
    const values = this.rows.map((row) => {
      if (column.sortBy) return column.sortBy(row);
      const value = column.value(row);
      return typeof value === "number" ? value : wordsOf(value);
    });
    ranks = new Float64Array(values.length);
    if (values.every((value) => typeof value === "number")) ranks.set(values);
    else {
      const keys = values.map((value) => sortKey(String(value)));
      const places = counted(keys.length).sort((a, b) => {
        const [one, other] = [keys[a] as string, keys[b] as string];
        return one < other ? -1 : one > other ? 1 : a - b;
      });
      // Equal ones have equal ranks, so that turning the order round leaves them as they stand.
      let rank = 0;
      for (let at = 0; at < places.length; at++) {
        if (at > 0 && keys[places[at] as number] !== keys[places[at - 1] as number]) rank = at;
        ranks[places[at] as number] = rank;
      }
    }
    this.#ranks.set(id, ranks);
    return ranks;
  }
}
