// What a key does to the active cell of a grid (ARIA Authoring Practices, "grid"). Pure.

export interface Cell {
  line: number;
  column: number;
}

/** The cell that `key` leads to from `at`, or null when the key moves nothing. */
export function moved(
  at: Cell,
  key: string,
  control: boolean,
  lines: number,
  columns: number,
  page: number,
): Cell | null {
  const last = Math.max(0, lines - 1);
  const line = (value: number): Cell => ({ line: Math.min(last, Math.max(0, value)), column: at.column });
  const column = (value: number): Cell => ({ line: at.line, column: Math.min(columns - 1, Math.max(0, value)) });
  switch (key) {
    case "ArrowDown":
      return line(control ? last : at.line + 1);
    case "ArrowUp":
      return line(control ? 0 : at.line - 1);
    case "PageDown":
      return line(at.line + Math.max(1, page - 1));
    case "PageUp":
      return line(at.line - Math.max(1, page - 1));
    case "ArrowRight":
      return column(control ? columns - 1 : at.column + 1);
    case "ArrowLeft":
      return column(control ? 0 : at.column - 1);
    case "Home":
      return control ? { line: 0, column: 0 } : column(0);
    case "End":
      return control ? { line: last, column: columns - 1 } : column(columns - 1);
    default:
      return null;
  }
}
