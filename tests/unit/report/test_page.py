"""The report as a page and as PDF: sound HTML that everybody can read, nothing fetched, the same bytes again."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from importlib import resources
from itertools import pairwise
from typing import Any

import html5lib
import msgspec
import pypdf
import pytest

from appliance.report import render_html, render_pdf, render_text
from appliance.report.catalogue import load
from appliance.report.report import make
from tests.unit.report.cases import SITE, facts_of, records_of, within

pytestmark = pytest.mark.timeout(180)  # a PDF takes seconds of a free core

REPORT = make(
    within("status", drift="<script>alert(1)</script>\x1b[31m\u202e")(facts_of(SITE)), load(), (), records_of()
)
PAGE = render_html.render(REPORT)
HTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def tree() -> Any:
    """The page, by a parser that takes no mistake."""
    return html5lib.HTMLParser(strict=True).parse(PAGE)


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return render_pdf.render(PAGE)


def elements(tree: Any, *names: str) -> list[Any]:
    return [one for one in tree.iter() if one.tag in {f"{HTML}{name}" for name in names}]


def test_it_has_a_language_a_title_and_one_first_heading(tree: Any) -> None:
    assert tree.get("lang") == "en"
    assert elements(tree, "title")[0].text == "Risk and standards report: sound"
    assert len(elements(tree, "h1")) == 1
    assert len(elements(tree, "main")) == 1


def test_a_report_that_somebody_else_wrote_brings_no_markup_of_its_own() -> None:
    bad = '"><b>'
    sections = tuple(
        msgspec.structs.replace(
            section,
            id=bad,
            answers=tuple(
                msgspec.structs.replace(answer, clause=bad, words=bad, checks=(bad,)) for answer in section.answers
            ),
        )
        for section in REPORT.sections
    )
    judgements = tuple(
        msgspec.structs.replace(
            one,
            check=bad,
            title=bad,
            evidence=tuple(
                msgspec.structs.replace(shown, query=bad, value=bad, digest=bad) for shown in one.evidence
            ),
        )
        for one in REPORT.judgements
    )
    subject = msgspec.structs.replace(REPORT.subject, site=bad, text_digest=bad, query=bad)
    page = render_html.render(
        msgspec.structs.replace(REPORT, subject=subject, sections=sections, judgements=judgements, software=bad)
    )
    assert "<b>" not in page


def test_no_heading_is_skipped(tree: Any) -> None:
    levels = [int(one.tag[-1]) for one in elements(tree, "h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_table_says_what_it_is_and_what_its_columns_and_rows_are(tree: Any) -> None:
    tables = elements(tree, "table")
    assert len(tables) > 6
    for table in tables:
        assert table.find(f"{HTML}caption") is not None
        heads = elements(table, "th")
        assert heads
        assert {head.get("scope") for head in heads} <= {"col", "row", "colgroup"}


def test_every_row_of_a_table_is_as_wide_as_its_head(tree: Any) -> None:
    for table in elements(tree, "table"):
        width = sum(int(one.get("colspan", "1")) for one in table.find(f"{HTML}thead")[0])
        for row in table.find(f"{HTML}tbody"):
            assert sum(int(one.get("colspan", "1")) for one in row) == width


def test_every_link_leads_somewhere_on_the_page(tree: Any) -> None:
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    for link in elements(tree, "a"):
        assert link.get("href")[0] == "#"
        assert link.get("href")[1:] in ids


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(tree: Any) -> None:
    assert not elements(tree, "script", "img", "link", "iframe", "object", "form")
    assert "url(" not in PAGE and "@import" not in PAGE
    assert not [name for one in tree.iter() for name in one.attrib if name.startswith("on") or name == "style"]
    assert "default-src 'none'" in PAGE


def test_what_comes_from_outside_is_text(tree: Any) -> None:
    assert "<script>" not in PAGE
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\x202e" in PAGE


def test_no_answer_is_said_by_colour_alone(tree: Any) -> None:
    marked = [one for one in tree.iter() if set((one.get("class") or "").split()) & {"pass", "fail", "unknown"}]
    assert len(marked) > 150
    assert all("".join(one.itertext()).strip() for one in marked)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_colours_have_contrast_enough_for_small_print() -> None:
    style = resources.files("appliance.report").joinpath("page.css").read_text()
    pairs = re.findall(r"^\.(\w+) \{ background: (#\w{6}); color: (#\w{6}); \}", style, re.MULTILINE)
    assert {name for name, _, _ in pairs} == {"pass", "fail", "unknown"}
    quiet = re.findall(r"\.quiet \{ color: (#\w{6})", style)
    pairs += [("link", "#ffffff", "#0b4a8f"), ("quiet", "#ffffff", quiet[0])]
    for name, back, front in pairs:
        light, dark = sorted((luminance(back), luminance(front)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 7, name


def test_the_text_has_everything_that_the_page_has() -> None:
    text = " ".join(render_text.render(REPORT).split())
    for section in REPORT.sections:
        for answer in section.answers:
            assert answer.title in text
    for one in REPORT.judgements:
        for shown in one.evidence:
            assert shown.digest in text


def test_the_pdf_opens_and_says_what_the_page_says(pdf: bytes) -> None:
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert reader.metadata is not None
    assert reader.metadata.title == "Risk and standards report: sound"
    text = " ".join(" ".join(page.extract_text().split()) for page in reader.pages)
    for words in (
        "Seventy-two cells",
        "What to mend first",
        "Threats and safeguards",
        REPORT.subject.text_digest[:12],
    ):
        assert words in text, words


def test_the_pdf_is_tagged_for_screen_readers(pdf: bytes) -> None:
    root: Any = pypdf.PdfReader(io.BytesIO(pdf)).root_object
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert "/StructTreeRoot" in root


def test_the_same_report_is_the_same_pdf(pdf: bytes) -> None:
    """Also in another process, where everything hashes otherwise."""
    program = (
        "import sys; from appliance.report.render_pdf import render; "
        "sys.stdout.buffer.write(render(sys.stdin.read()))"
    )
    again = subprocess.run(
        [sys.executable, "-c", program],
        input=PAGE.encode(),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert again.stdout == pdf


def test_a_page_that_wants_something_from_elsewhere_ends() -> None:
    from weasyprint.urls import FatalURLFetchingError

    for place in ("file:///etc/hostname", "http://127.0.0.1:1/x.png", "data:image/gif;base64,R0lGODlhAQABAAAAACw="):
        asked = f'<!DOCTYPE html><html lang="en"><title>t</title><img alt="" src="{place}">'
        with pytest.raises(FatalURLFetchingError):
            render_pdf.render(asked)


def test_without_the_typesetter_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(render_pdf.NoTypesetter, match=r"install reef-gateway\[report\]"):
        render_pdf.render(PAGE)
