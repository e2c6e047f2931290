"""Every view, in both themes and languages, at a desk and on a phone: accessible, and within the page's policies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PATIENCE, PHONE, ROOT, Person

expect.set_options(timeout=PATIENCE)
WEB = ROOT / "appliance" / "console" / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATHS = re.compile(r"""path:\s*"(/[^":]*?)(?:/:[^"]*)?\"""")


def views() -> list[str]:
    """The paths of all views that stand in the navigation, from the one list of them."""
    found: list[str] = []
    for index in sorted((WEB / "src" / "views").glob("*/index.ts")):
        found += PATHS.findall(index.read_text())
    assert "/" in found
    return sorted(set(found))


def findings(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA. It runs as code of the test: the page's policies hold it not."""
    page.evaluate(AXE.read_text())
    options = json.dumps({"runOnly": {"type": "tag", "values": TAGS}})
    answer: dict[str, Any] = page.evaluate(f"axe.run(document, {options})")
    return [f"{one['id']}: {node['target']}" for one in answer["violations"] for node in one["nodes"]]


def wide(page: Page) -> bool:
    """Does the page have to be moved sideways to be read?"""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("size", "dark", "locale"), [(DESK, False, "en-GB"), (PHONE, True, "es-BZ")])
def test_every_view_is_for_everyone(
    people: Callable[..., Person], size: dict[str, int], dark: bool, locale: str
) -> None:
    ana = people("ana", size=size, dark=dark, locale=locale)
    ana.enter()
    assert ana.page.locator("html").get_attribute("lang") == locale[:2]
    wrong: list[str] = []
    for path in views():
        ana.page.goto(path)
        ana.page.locator("main h1").wait_for()
        expect(ana.page.locator("main [aria-busy=true]")).to_have_count(0)
        ana.picture(f"view-{locale}{path.replace('/', '-')}")
        wrong += [f"{path}: {words}" for words in findings(ana.page)]
        if wide(ana.page):
            wrong.append(f"{path}: wider than {size['width']} pixels")
    assert not wrong
    assert not ana.complaints


def test_a_report_is_read_clause_by_clause_and_saved(people: Callable[..., Person]) -> None:
    ana = people("ana", size=PHONE)
    ana.enter()
    page = ana.page
    page.goto("/report")
    expect(page.get_by_role("row", name="Expired")).to_contain_text("0 of")
    page.get_by_role("tab", name="Standards").click()
    page.get_by_role("row").nth(2).dblclick()
    expect(page.get_by_role("dialog").get_by_text("SHA-256").first).to_be_visible()
    assert not findings(page)
    assert not wide(page)
    page.keyboard.press("Escape")
    with page.expect_download(timeout=PATIENCE) as saved:
        page.get_by_role("button", name="Save as CSV").click()
    assert saved.value.path().read_text().startswith("kind,of,id,title,value")
    page.goto("/history/1")
    expect(page.get_by_role("region", name="Generation 1")).to_contain_text("signed")
    assert not ana.complaints
