"""Chromium at the console: how long it is until something is seen, by the browser's own clock.

The browser runs in the gateway's network and trusts its certificate, as somebody's would who looks after it.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.console_site import ADDRESS, NAME, PORT, Site

PATIENCE = 120_000.0  # milliseconds
SIZE = {"width": 1280, "height": 860}

# When something is there: looked for at each change of the document, and timed behind the frame that paints it.
_SEEN = """
((there) => {
  let done = false;
  const look = () => {
    if (done || document.body === null || !there()) return;
    done = true;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.seenAt = performance.now(); }));
  };
  const watch = new MutationObserver(look);
  watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
})(() => TEST)
"""
# How long from a text in a search field to the frame that shows what it finds.
_FILTERED = """
async ([field, words]) => {
  const input = document.querySelector(field);
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  await painted();
  const begun = performance.now();
  input.value = words;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  await painted();
  return performance.now() - begun;
}
"""
# From the key that somebody strikes to the frame in which the bar of the draft says that it is proven.
_WATCH_BAR = """
() => {
  const bar = document.querySelector("section.draft-bar");
  window.bench = { struck: 0, proven: 0 };
  addEventListener("keydown", (event) => { window.bench = { struck: event.timeStamp, proven: 0 }; }, true);
  new MutationObserver(() => {
    const { bench } = window;
    const said = bar.querySelector(".found .soft")?.textContent.trim();
    if (bench.struck === 0 || bench.proven !== 0 || said !== "Kept") return;
    if (!/rules proven/.test(bar.textContent)) return;
    bench.proven = -1;
    requestAnimationFrame(() => setTimeout(() => { bench.proven = performance.now(); }));
  }).observe(bar, { subtree: true, childList: true, characterData: true });
}
"""
ROWS = "document.querySelectorAll('[role=grid] [role=gridcell]').length > 20"


class Looking:
    """`with Looking(site) as looking:` is a browser."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._home = Path(tempfile.mkdtemp(prefix="reef-bench-"))

    def __enter__(self) -> Looking:
        store = self._home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        certificate = str(self._site.certificate)
        for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "console", "-i", certificate]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *words], check=True, capture_output=True, timeout=60)
        program = self._home / "chromium"
        program.write_text(f'#!/bin/sh\nexec ip netns exec {self._site.stand.namespace} chromium "$@"\n')
        program.chmod(0o755)
        self._playwright = sync_playwright().start()
        self._browser: Browser = self._playwright.chromium.launch(
            executable_path=str(program),
            args=[
                "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                f"--host-resolver-rules=MAP {NAME} {ADDRESS}",
            ],
            env={"HOME": str(self._home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            timeout=PATIENCE,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def home(self) -> Path:
        return self._home

    @contextmanager
    def page(self, name: str) -> Iterator[Page]:
        """A page in a profile of somebody's own, which has nothing of the console but their session."""
        context = self._browser.new_context(
            base_url=self._site.url, viewport={"width": SIZE["width"], "height": SIZE["height"]}, locale="en-GB"
        )
        context.set_default_timeout(PATIENCE)
        url = f"https://{NAME}:{PORT}/"
        context.add_cookies([{"name": "__Host-reef", "value": self._site.cookies[name], "url": url, "secure": True}])
        try:
            yield context.new_page()
        finally:
            context.close()


def seen(page: Page, path: str, test: str) -> float:
    """Milliseconds from the call of an address to the frame in which `test` (of the document) holds."""
    page.add_init_script(_SEEN.replace("TEST", test))
    page.goto(path, wait_until="commit")
    return float(_there(page, "() => window.seenAt"))


def _there(page: Page, what: str) -> Any:
    """A value of the page, when there is one. (The page allows no `eval`, so that it cannot wait for it itself.)"""
    deadline = time.monotonic() + PATIENCE / 1000
    while (found := page.evaluate(what)) is None:
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(20)
    return found


def beside(looking: Looking, name: str) -> float:
    """`seen`, of a page that has as many cells as fill the window, written in it, and lies on the disk."""
    cells = "".join(f"<td role=gridcell>198.18.0.{column}</td>" for column in range(10))
    rows = "".join(f"<tr>{cells}</tr>" for _ in range(40))
    file = looking.home / "rows.html"
    file.write_text(f"<!doctype html><title>rows</title><table role=grid>{rows}</table>")
    with looking.page(name) as page:
        return seen(page, file.as_uri(), ROWS)


def settled(page: Page, count: int) -> None:
    """Until all rules are there, and the page is at rest."""
    said = f"document.body.textContent.includes('All pairs ({count})')"
    _there(page, f"() => ({said} && !document.body.textContent.includes('others are coming') ? 1 : null)")
    page.wait_for_timeout(1_000)


def kept(page: Page) -> None:
    """Until everything that was changed is kept."""
    _there(
        page, "() => (document.querySelector('.draft-bar .found .soft')?.textContent.trim() === 'Kept' ? 1 : null)"
    )


def filtered(page: Page, field: str, words: list[str]) -> list[float]:
    """Milliseconds from each text in the field to what is found, painted."""
    return [float(page.evaluate(_FILTERED, [field, one])) for one in words]


def watch_bar(page: Page) -> None:
    page.evaluate(_WATCH_BAR)


def proven(page: Page, key: str) -> float:
    """Milliseconds from a key to its proof, painted."""
    page.keyboard.press(key)
    return float(_there(page, "() => (window.bench.proven > 0 ? window.bench.proven - window.bench.struck : null)"))


def said(figures: list[float]) -> str:
    return f"median {statistics.median(figures):.0f} ms, worst {max(figures):.0f} ms of {len(figures)}"
