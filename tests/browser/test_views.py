"""Every view, in both themes and languages, at a desk and on a phone: accessible, and within the page's policies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from appliance.lab.site import Lab
from tests.browser.conftest import DESK, PATIENCE, PHONE, ROOT, Person
from tests.netns.conftest import reef_says, until

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(300)
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


SLOW = {"offline": False, "latency": 300, "downloadThroughput": 32_000, "uploadThroughput": 32_000}  # bytes, ms
FIRST_VIEW = 150_000  # bytes on the line


def test_the_first_view_is_there_on_a_slow_line(people: Callable[..., Person]) -> None:
    """256 kbit/s, and 300 ms there and back: little comes over the line before somebody can read and go on."""
    ana = people("ana")
    ana.enter()
    page, sizes = ana.page, [0]
    line = ana.context.new_cdp_session(page)
    line.on("Network.loadingFinished", lambda told: sizes.append(round(told["encodedDataLength"])))
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send("Network.emulateNetworkConditions", SLOW)
    page.goto("/")
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    expect(page.get_by_role("region", name="What is wrong now").get_by_role("listitem").first).to_be_visible()
    expect(page.get_by_role("navigation", name="Views").get_by_role("link", name="Rules")).to_be_visible()
    assert 10_000 < sum(sizes) < FIRST_VIEW, sizes
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


def test_a_line_that_goes_down_is_seen_where_somebody_looks(people: Callable[..., Person], lab: Lab) -> None:
    """It comes by itself: on the overview, among the lines, in the register with whom to call."""
    ana = people("ana")
    ana.enter()
    page = ana.page
    lines = page.get_by_role("region", name="Lines")
    expect(lines).to_contain_text(re.compile("All [0-9]+ lines are up"))
    lab.run("gw", "ip", "link", "set", "dmz0", "down")
    try:
        expect(lines).to_contain_text("dmz0 switched off")
        lines.get_by_role("link", name="dmz0").click()
        expect(page.get_by_role("region", name="Line dmz0")).to_contain_text(
            re.compile(r"switched off\s+since", re.IGNORECASE)
        )
        row = page.get_by_role("table", name="Lines", exact=True).get_by_role("row").filter(has_text="dmz0")
        expect(row).to_contain_text("switched off")
        expect(page.get_by_role("group", name="Zones and lines").get_by_role("link", name="dmz0")).to_contain_text(
            "switched off"
        )
        ana.picture("line-down")
    finally:
        lab.run("gw", "ip", "link", "set", "dmz0", "up")
    expect(row).to_contain_text("up")
    page.get_by_role("link", name="Who answers for it").click()
    officer = page.get_by_role("row").filter(has_text="wan0")
    expect(officer.get_by_role("link", name=re.compile("^[+]501"))).to_have_attribute(
        "href", re.compile("^tel:[+]501")
    )
    officer.get_by_role("link", name="wan0 in the text").click()
    expect(page.get_by_role("textbox").filter(has_text="wan0:")).to_be_visible()
    assert not ana.complaints


def test_a_connection_is_found_and_asked_why_it_passes(people: Callable[..., Person]) -> None:
    """The browser's own, to the console: with its rule, from the list of what passes now."""
    ana = people("ana")
    ana.enter()
    page = ana.page
    page.goto("/flows")
    expect(page.get_by_role("grid").get_by_role("row")).not_to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Port").fill("8444")
    with page.expect_response(re.compile(r"/flows\?.*port=8444")):
        page.keyboard.press("Enter")
    rows = page.get_by_role("grid").get_by_role("row")
    expect(rows.filter(has_not_text="R-10")).to_have_count(1)  # the heads of the columns
    row = rows.filter(has_text="R-10").first
    expect(row).to_contain_text("lan → gateway")
    row.get_by_text("R-10", exact=True).click()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="One connection")
    expect(dialog).to_contain_text("R-10")
    ana.picture("flow")
    dialog.get_by_role("link", name="Why does it pass?").click()
    expect(page.get_by_text("R-10").first).to_be_visible()
    assert not ana.complaints


def test_the_officer_on_duty_bans_from_a_telephone_and_takes_it_back(people: Callable[..., Person]) -> None:
    """From a link with the address in it, as an alert has one. What must not be banned is refused beforehand."""
    amara = people("amara", size=PHONE)

    def reached() -> bool:
        return amara.lab.run("lan1", "ping", "-c", "1", "-W", "1", "198.51.100.80").returncode == 0

    until(reached, "the host is reached", lab=amara.lab)
    amara.enter()
    page = amara.page
    page.goto("/bans?ban=198.51.100.80")
    dialog = page.get_by_role("dialog", name="Ban an address")
    expect(dialog).to_contain_text(re.compile("[Cc]onnections?"))
    dialog.get_by_role("textbox", name="Addresses").fill("198.51.100.80 0.0.0.0/1")
    expect(dialog).to_contain_text("is an address of the gateway; what is banned must not hold it")
    dialog.get_by_role("textbox", name="Reason").fill("tries passwords")
    ban = dialog.get_by_role("button", name="Ban", exact=True)
    expect(ban).to_be_disabled()
    dialog.get_by_role("textbox", name="Addresses").fill("198.51.100.80")
    amara.picture("ban-phone")
    assert not findings(page)
    ban.click()
    expect(page.get_by_role("main")).to_contain_text("Banned: 198.51.100.80")
    grid = page.get_by_role("grid", name="Bans")
    expect(grid).to_contain_text("198.51.100.80")
    assert not wide(page)
    assert not reached()
    amara.picture("bans-phone")
    banned = reef_says(amara.lab, "ban", "list")["bans"]
    assert [(one["address"], one["by"], one["reason"]) for one in banned] == [
        ("198.51.100.80", "amara", "tries passwords")
    ]
    page.get_by_role("searchbox", name="Find").fill("198.51.100.81")
    expect(page.get_by_role("main")).to_contain_text("No ban holds that or says it")
    page.get_by_role("searchbox", name="Find").fill("PASSWORDS")
    expect(grid).to_contain_text("198.51.100.80")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("main")).to_contain_text("It is as it was before")
    assert reef_says(amara.lab, "ban", "list")["bans"] == []
    until(reached, "the host is reached again", lab=amara.lab)
    for tab in ("Lists", "Never banned"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        expect(page.get_by_role("grid")).to_have_count(1)
        assert not findings(page)
        assert not wide(page)
    assert not amara.complaints
