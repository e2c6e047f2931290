"""The documents: every link leads somewhere, and every `reef` command they show is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from appliance.cli import build_parser, spelled_out

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`(reef [^`]+)`|^(?: {4}\$? ?|gw )?(reef [a-z].*)$", re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The anchors that headings of a Markdown text get."""
    heads = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in _LINK.findall(document.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_readme_leads_to_every_document() -> None:
    linked = {link.partition("#")[0] for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def commands(document: Path) -> list[list[str]]:
    """The `reef` command lines of a document that hold no placeholder."""
    found = []
    for inline, line in _CODE.findall(document.read_text()):
        text = (inline or line).split("#")[0].split("||")[0].split(" | ")[0].split(" > ")[0].strip()
        words = shlex.split(text.replace("`", ""))[1:]
        placeholders = any(re.search(r"[A-Z]{2,}|…|<|\[|\$", word) for word in words)
        if words and not placeholders and words[0] not in {"lab"}:
            found.append(words)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_shown_is_one(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(document):
        if words in (["check"], ["fmt"], ["plan"], ["apply"], ["impact"], ["diff"], ["why"], ["completion"]):
            continue  # the verb is named, not typed
        if words == ["--version"]:
            continue
        try:
            build_parser().parse_args(spelled_out(words))
        except SystemExit:
            pytest.fail(f"{document.name}: reef {' '.join(words)}: {capsys.readouterr().err}")


def test_commands_are_found() -> None:
    assert len(commands(ROOT / "README.md")) > 15
