"""The console: first view, filter, keystroke to proof, streams and memory, in Chromium beside the gateway.

A first view is a page that is opened in a profile without any files of it, to the frame that shows the rows; the
browser's own clock counts. A keystroke counts from the key to the frame that says what was proven. All of it shares
the machine: the browser, the two hundred viewers, the gateway.
"""

from __future__ import annotations

import statistics
import time

from playwright.sync_api import Page

from tests.bench.console_browser import (
    ROWS,
    Looking,
    beside,
    filtered,
    kept,
    proven,
    said,
    seen,
    settled,
    watch_bar,
)
from tests.bench.console_live import VIEWERS, echoed, streamed
from tests.bench.console_site import PEOPLE, Site, policy, short_policy
from tests.bench.table import Row

_FIRST, _FILTER, _PROOF, _STREAM, _MEMORY = 500, 50, 150, 100, 120  # milliseconds, MB: what it must reach
_SEARCH = "input[type=search]"
_WORDS = ["1", "10.", "10.0.", "R-77", "r-123", "10.0.7.9", "internet", "deny", "owner:it", "R-5 lan"]


def main(*, quick: bool) -> list[Row]:
    times = 3 if quick else 10
    rows: list[Row] = []
    with Site() as site:
        rows += _memory("nobody there", site.memory())
        rows += _streams(site, times)
        rows += _list(site, 10_000 if quick else 1_000_000)
        site.apply(policy(18))
        with Looking(site) as looking:
            constant = [beside(looking, PEOPLE[0]) for _ in range(times)]
            rows += _views(looking, 18, times, constant)
            count = 1_000 if quick else 10_000
            site.apply(policy(count))
            rows += _views(looking, count, times, constant)
            rows += _typing(site, looking, count, 10 if quick else 40)
            rows += _drafts(site, count)
            most = 2_000 if quick else 100_000
            site.apply(short_policy(most))
            rows += _views(looking, most, times, constant)
    return rows


def _memory(when: str, sizes: tuple[float, float]) -> list[Row]:
    shared, resident = sizes
    return [
        Row(
            f"memory of the process, {when}",
            f"{shared:.0f} MB of its own and its share (PSS), {resident:.0f} MB resident",
            wanted=f"< {_MEMORY} MB",
            holds=resident < _MEMORY,
        )
    ]


def _streams(site: Site, times: int) -> list[Row]:
    """Each generation that begins to run is an event for everybody."""
    late, sizes = streamed(site, lambda number: site.stand.apply(policy(2 + number)), times)
    plain = echoed(site, times)
    ours, theirs = (statistics.quantiles(one, n=100)[98] * 1000 for one in (late, plain))
    return [
        Row(
            f"an event to {VIEWERS} viewers, 99 of 100 ({len(late)} of {times} events)",
            f"{ours:.0f} ms, median {statistics.median(late) * 1000:.0f} ms",
            f"the same bytes, only sent: {theirs:.0f} ms",
            ours / theirs,
            f"< {_STREAM} ms",
            ours < _STREAM,
        ),
        *_memory(f"{VIEWERS} viewers", sizes),
    ]


def _list(site: Site, entries: int) -> list[Row]:
    """Pages of a list, each asked by a connection of its own: a handshake is in every figure."""
    site.load(entries)
    asked = [f"11.{number % 40}.{number * 7 % 256}.0/24" for number in range(40)]
    found = [_timed(site, f"/gate/prefixes?word={word}") for word in asked]
    pages = [_timed(site, f"/gate/prefixes?limit=100&after={number * entries // 20}") for number in range(20)]
    # As much of a way, and nothing to look for.
    plain = statistics.median([_timed(site, "/status") for _ in range(40)])
    return [
        Row(
            f"{what} a list of {entries:,} prefixes",
            said(figures),
            f"the status, asked in the same way: {plain:.0f} ms",
            statistics.median(figures) / plain,
            f"< {_FILTER} ms",
            statistics.median(figures) < _FILTER,
        )
        for what, figures in (("looking for a network in", found), ("a page anywhere of", pages))
    ]


def _timed(site: Site, path: str) -> float:
    begun = time.perf_counter()
    site.ask(PEOPLE[1], "GET", path)
    return (time.perf_counter() - begun) * 1000


def _views(looking: Looking, count: int, times: int, constant: list[float]) -> list[Row]:
    """First views in fresh profiles, then texts in the search field of the last of them."""
    with looking.page(PEOPLE[0]) as page:
        first = seen(page, "/rules", ROWS)  # the console reads the text of a generation when it is asked for it
    views = []
    for _ in range(times):
        with looking.page(PEOPLE[0]) as page:
            views.append(seen(page, "/rules", ROWS))
    with looking.page(PEOPLE[0]) as page:
        seen(page, "/rules", ROWS)
        settled(page, count)
        found = filtered(page, _SEARCH, [*_WORDS, ""])
    return [
        Row(
            f"first view, {count:,} rules",
            said(views),
            f"as many rows, written in the page: {statistics.median(constant):.0f} ms",
            statistics.median(views) / statistics.median(constant),
            f"< {_FIRST} ms",
            statistics.median(views) < _FIRST,
        ),
        Row(f"the very first of a generation, {count:,} rules", f"{first:.0f} ms"),
        Row(
            f"filter, {count:,} rules",
            said(found),
            wanted=f"< {_FILTER} ms",
            holds=statistics.median(found) < _FILTER,
        ),
    ]


def _typing(site: Site, looking: Looking, count: int, keys: int) -> list[Row]:
    draft = site.ask(PEOPLE[0], "POST", "/drafts", {"title": "typing"})["id"]
    with looking.page(PEOPLE[0]) as page:
        typed = _typed(page, draft, keys)
    with looking.page(PEOPLE[0]) as page:
        formed = _formed(page, draft, keys // 4)
    return [
        Row(
            f"{what}, {count:,} rules",
            said(found),
            wanted=f"< {_PROOF} ms",
            holds=statistics.median(found) < _PROOF,
        )
        for what, found in (("keystroke to proof, in the text", typed), ("the same, in a rule's form", formed))
    ]


def _typed(page: Page, draft: str, keys: int) -> list[float]:
    """A comment, letter by letter."""
    page.goto(f"/text?draft={draft}&line=3")
    page.locator(".cm-content").wait_for()
    watch_bar(page)
    page.locator(".cm-content").focus()
    for key in ("End", "Space", "#"):
        page.keyboard.press(key)
    kept(page)
    return [proven(page, "x") for _ in range(keys)]


def _formed(page: Page, draft: str, keys: int) -> list[float]:
    """The reason of a rule, once more and once more."""
    page.goto(f"/rules?draft={draft}&rule=R-7")
    reason = page.get_by_role("complementary").get_by_role("textbox", name="Reason")
    reason.wait_for()
    watch_bar(page)
    found = []
    for number in range(keys):
        reason.fill(f"another reason, number {number}")
        found.append(proven(page, "Tab"))
        kept(page)
    return found


def _drafts(site: Site, count: int) -> list[Row]:
    """Five people, each with a draft of what runs, rows on the screen and some changes; and one of another text."""
    for number, person in enumerate(PEOPLE[1:7]):
        body = {"title": "mine"} | ({} if number else {"text": policy(count).replace("of many", "of another")})
        draft = site.ask(person, "POST", "/drafts", body)
        for turn in range(4):
            version = draft["version"]
            operations = [{"op": "set", "rule": f"R-{number * 50 + turn}", "keys": {"why": f"{person}, {turn}"}}]
            sent = {"version": version, "operations": operations}
            draft = site.ask(person, "POST", f"/drafts/{draft['id']}/operations", sent, tag=str(version))["draft"]
            for offset in range(0, count, 5_000):
                site.ask(person, "GET", f"/drafts/{draft['id']}/rules?offset={offset}&limit=5000")
    time.sleep(10)  # nobody types any more
    return _memory(f"six people at drafts of {count:,} rules", site.memory())
