"""What a person sees: escaped text, tables, colour only where it is wanted, JSON where it is asked for.

Whatever comes from packets, logs, names or texts passes `escape` before it reaches a terminal, so that no
control sequence of somebody else's making is ever obeyed there.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TextIO

# Control characters, and the invisible ones that reorder what is read: bidirectional controls, line separators.
_UNSAFE = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F)]
_UNSAFE += [*range(0x2060, 0x2070), 0xFEFF, *range(0xD800, 0xE000), *range(0xE0000, 0xE0080)]
_ESCAPES = {point: f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" for point in _UNSAFE}
_ESCAPES |= {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
# Within JSON the same characters, where the encoder left them as they are; a line feed only stands between lines.
_JSON_ESCAPES = {point: f"\\u{point:04x}" for point in _UNSAFE if point != 0x0A and point < 0x10000}
_JSON_ESCAPES |= {point: f"\\udb40\\u{0xDC00 + (point & 0x3FF):04x}" for point in _UNSAFE if point >= 0x10000}

# More rows than this nobody reads wrapped, and wrapping takes seconds.
_MANY_ROWS = 300

_SGR = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


def escape(text: str) -> str:
    """`text` on one line, safe to print: control characters become visible escapes like `\\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_ESCAPES)


def escape_lines(text: str) -> str:
    """`text` safe to print, its line feeds kept."""
    return "\n".join(escape(line) for line in text.split("\n"))


def escape_json(text: str) -> str:
    """JSON that says the same and is safe to print: what `escape` escapes is written as `\\u001b` and the like."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_JSON_ESCAPES)


def cells(text: str) -> int:
    """How many terminal columns `text` takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) != 0 for letter in text)


def cut(text: str, width: int) -> str:
    """`text`, or its beginning and "…" where it is wider than `width` columns."""
    if cells(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    while kept and cells(kept) > width - 1:
        kept = kept[:-1]
    return kept + "…"


class Terminal:
    """Standard output and standard error of one run of `reef`.

    `json` says that the verb shall print data for programs; then nothing else goes to standard output.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        err: TextIO | None = None,
        *,
        json: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.out = out if out is not None else sys.stdout
        self.err = err if err is not None else sys.stderr
        self.json = json
        self._environ = os.environ if environ is None else environ
        self.tty = self.out.isatty()
        plain = bool(self._environ.get("NO_COLOR")) or self._environ.get("TERM") == "dumb"
        self.colour = self.tty and not plain
        self._err_colour = self.err.isatty() and not plain

    @property
    def width(self) -> int:
        """Columns of the terminal; without one, lines are never cut or wrapped (0)."""
        return shutil.get_terminal_size().columns if self.tty else 0

    def line(self, text: str = "", style: str = "") -> None:
        print(self.paint(text, style), file=self.out)

    def note(self, text: str, style: str = "") -> None:
        """Words beside the result (progress, warnings, hints): they go to standard error."""
        print(_paint(text, style) if self._err_colour and style else text, file=self.err, flush=True)

    def paint(self, text: str, style: str) -> str:
        return _paint(text, style) if self.colour and style else text

    def data(self, value: object) -> None:
        """`value` as indented JSON: the whole answer of a verb under `--json`."""
        import msgspec

        print(escape_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()), file=self.out)

    def record(self, value: object) -> None:
        """`value` as one line of JSON: one of many in a stream."""
        import msgspec

        print(escape_json(msgspec.json.encode(value).decode()), file=self.out, flush=True)

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: frozenset[int] | set[int] = frozenset(),
        styles: Sequence[str] | None = None,
        empty: str = "nothing",
    ) -> None:
        """Rows under `heads`; `right` are the columns of numbers, `styles` one style per row.

        A column with nothing in it is left out.
        """
        if not rows:
            self.line(f"({empty})", "dim")
            return
        used = [column for column in range(len(heads)) if any(row[column] for row in rows)]
        right = {used.index(column) for column in right if column in used}
        heads = [heads[column] for column in used]
        clean = [[escape(row[column]) for column in used] for row in rows]
        if self.tty and len(clean) <= _MANY_ROWS:
            self._rich_table(heads, clean, right, styles)
            return
        widths = [max(cells(row[column]) for row in (list(heads), *clean)) for column in range(len(heads))]
        for row in ([head.upper() for head in heads], *clean):
            parts = [
                _pad(cell, width, column in right)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            print("  ".join(parts).rstrip(), file=self.out)

    def _rich_table(
        self,
        heads: Sequence[str],
        rows: list[list[str]],
        right: frozenset[int] | set[int],
        styles: Sequence[str] | None,
    ) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for column, head in enumerate(heads):
            table.add_column(head, justify="right" if column in right else "left", overflow="fold")
        for index, row in enumerate(rows):
            table.add_row(*(Text(cell) for cell in row), style=styles[index] if styles else None)
        console = Console(file=self.out, width=self.width, no_color=not self.colour, highlight=False)
        console.print(table)

    def ask(self, question: str) -> bool:
        """Ask a person; only "y" or "yes" is yes."""
        print(f"{question} [y/N] ", end="", file=self.err, flush=True)
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            print(file=self.err)
        return answer.strip().lower() in {"y", "yes"}


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - cells(text))
    return space + text if right else text + space


def _paint(text: str, style: str) -> str:
    codes = ";".join(_SGR[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"
