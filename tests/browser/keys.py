"""Going through the page as somebody without a mouse does."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

TABS = 120  # more than any page has places to be at
_HERE = "(element) => element === document.activeElement"


def reach(page: Page, where: Locator) -> None:
    """Go on with Tab until one is there."""
    for _ in range(TABS):
        if where.count() == 1 and where.evaluate(_HERE):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {where}")


def press(page: Page, where: Locator) -> None:
    """Go there, and press Enter."""
    expect(where).to_be_enabled()
    reach(page, where)
    page.keyboard.press("Enter")
