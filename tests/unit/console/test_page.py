"""The built page: how much a first view weighs, what is not in it, and that its colours can be told apart."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "appliance" / "console" / "web"
STATIC = ROOT / "appliance" / "console" / "static"
FIRST_VIEW = 150_000  # bytes, gzipped: six seconds over 256 kbit/s

_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["']\./([^"']+\.js)["']""")
_TOKEN = re.compile(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")

# What is written on what (4.5:1, WCAG 1.4.3), and what only has to be seen (3:1, 1.4.11).
WRITTEN = [
    *((ink, paper) for ink in ("ink", "ink-soft", "accent") for paper in ("paper", "sheet", "sunk")),
    *((ink, paper) for ink in ("good", "warn", "bad", "quiet") for paper in ("paper", "sheet")),
    *((ink, "accent-soft") for ink in ("ink", "ink-soft", "accent", "good", "warn", "bad", "quiet")),
    *((ink, f"{tone}-soft") for tone in ("good", "warn", "bad", "quiet") for ink in ("ink", "ink-soft", tone)),
    ("on-accent", "accent"),
    ("on-bad", "bad"),
    ("paper", "ink"),
]
SEEN = [(line, paper) for line in ("edge", "focus", "accent") for paper in ("paper", "sheet", "sunk")]


def built(pattern: str) -> list[Path]:
    found = sorted(STATIC.glob(pattern))
    assert found, f"no {pattern} in {STATIC.relative_to(ROOT)}: build the page with tools/web.py build"
    return found


def loaded(entries: list[Path]) -> set[Path]:
    """Scripts with all that they import before they run."""
    scripts: set[Path] = set()
    waiting = list(entries)
    while waiting:
        script = waiting.pop()
        if script not in scripts:
            scripts.add(script)
            waiting += [script.parent / name for name in _IMPORT.findall(script.read_text(encoding="utf-8"))]
    return scripts


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_first_view_is_light() -> None:
    """Everything that comes before the overview stands there, in Spanish; all styles are counted as if they did."""
    index = (STATIC / "index.html") if built("index.html") else STATIC
    page = index.read_text(encoding="utf-8")
    entries = [STATIC / name for name in re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page)]
    entries += [path for name in ("Overview", "es") for path in built(f"assets/{name}-*.js")]
    files = {index, *loaded(entries), *built("assets/*.css")}
    weight = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in files}
    assert len(weight) > 5
    assert sum(weight.values()) < FIRST_VIEW, sorted(weight.items(), key=lambda item: -item[1])


def test_a_view_comes_in_few_files() -> None:
    """Over a long line each file costs more by its way than by its bytes: the rules with all that they show."""
    page = (STATIC / "index.html").read_text(encoding="utf-8") if built("index.html") else ""
    entries = [STATIC / name for name in re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page)]
    scripts = loaded([*entries, *built("assets/Rules-*.js")])
    assert len(scripts) <= 6, sorted(path.name for path in scripts)


def test_editor_and_charts_come_only_when_needed() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8") if built("index.html") else ""
    first = loaded([STATIC / name for name in re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page)])
    text = "".join(path.read_text(encoding="utf-8") for path in first)
    assert "cm-editor" not in text
    assert "u-legend" not in text


def test_nothing_is_inline_or_of_another_host() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8") if built("index.html") else ""
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page)
    assert not re.search(r"""(?:src|href)=["'](?!/)""", page)
    for path in built("assets/*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name


def test_sources_write_no_html_and_no_inline_styles() -> None:
    """Trusted Types stops the first at run time, the content security policy the second; here neither is written."""
    wrong = [
        f"{path.relative_to(WEB)}: {found[0]}"
        for path in sorted((WEB / "src").rglob("*"))
        if path.suffix in {".svelte", ".ts"}
        for found in re.finditer(
            r"\{@html|\.(?:inner|outer)HTML|insertAdjacentHTML|document\.write\b|\beval\(|new Function\("
            r"|\sstyle=[\"'{]",
            path.read_text(encoding="utf-8"),
        )
    ]
    assert wrong == []


def test_every_file_that_is_worth_it_lies_packed_beside() -> None:
    for path in [*built("assets/*.js"), *built("assets/*.css"), *built("index.html")]:
        packed = path.with_name(path.name + ".gz")
        if path.stat().st_size >= 512:
            assert gzip.decompress(packed.read_bytes()) == path.read_bytes()
            assert path.with_name(path.name + ".br").exists()


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(theme: int) -> None:
    css = (WEB / "src" / "look" / "tokens.css").read_text(encoding="utf-8")
    tokens = {name: colours[theme] for name, *colours in _TOKEN.findall(css)}
    low = [
        f"--{one} on --{other}: {contrast(tokens[one], tokens[other]):.2f}"
        for pairs, least in ((WRITTEN, 4.5), (SEEN, 3.0))
        for one, other in pairs
        if contrast(tokens[one], tokens[other]) < least
    ]
    assert low == []


def test_no_colour_stands_outside_the_tokens() -> None:
    """A colour that is written into a view has no other theme, and nobody measures it."""
    wrong = [
        f"{path.relative_to(WEB)}: {found[0]}"
        for path in sorted((WEB / "src").rglob("*"))
        if path.suffix in {".svelte", ".css"} and path.name != "tokens.css"
        for found in re.finditer(r":[^;{}]*#[0-9a-fA-F]{3,8}\b(?=[^{}]*;)", path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_parts_of_the_page_that_need_no_browser() -> None:
    """The page's own tests: windows of long lists, addresses, times, differences, streams of events."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "web.py"), "test"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=55,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
