"""Every view, in both themes and languages, at a desk and on a phone: accessible, and within the page's policies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, ROOT, Person

WEB = ROOT / "appliance" / "console" / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATHS = re.compile(r"""path:\s*"(/[^":]*)\"""")


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
