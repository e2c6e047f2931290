"""A lab whose console a browser of this machine reaches, and people with passkeys who use it.

Each person is a browser profile of their own with an authenticator in it. Pictures go to `build/browser/`, the last
one of every test too.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Response, sync_playwright

from appliance.lab.site import Lab
from tests.netns.conftest import lab_id, reef_says, until

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "browser"
STATIC = ROOT / "appliance" / "console" / "static" / "index.html"
CHROMIUM = "chromium"
PATIENCE = 60_000.0  # milliseconds for what the page is to show: two cores, and a browser on them
PHONE = {"width": 320, "height": 640}  # also a desk at 400 % (WCAG 1.4.10)
DESK = {"width": 1280, "height": 860}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A quiet lab with its console."""
    assert STATIC.exists(), "the console's page is not built; `make build` does it"
    with Lab(lab_id("b"), traffic=False, console=True) as running:
        until(lambda: answers(running), "the console answers", lab=running, patience=60)
        yield running


def answers(lab: Lab) -> bool:
    """Does the console listen by now, as the policy of the lab says? Not every resolver knows names of localhost."""
    where = urlsplit(lab.console_url)
    context = ssl.create_default_context(cafile=lab.console_certificate)
    try:
        with (
            socket.create_connection(("127.0.0.1", where.port or 443), 10) as plain,
            context.wrap_socket(plain, server_hostname=where.hostname),
        ):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def playwright(lab: Lab) -> Iterator[Playwright]:
    """From after the lab is up until before it goes: both want the event loop of this thread."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium that believes the lab's console, as somebody would have theirs: no certificate error is passed over,
    since passkeys are refused on a page that has one."""
    program = shutil.which(CHROMIUM)
    assert program is not None, "Chromium is missing; `make deps` installs it"
    home = tmp_path_factory.mktemp("chromium")
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    database = f"sql:{store}"
    for command in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "lab", "-i", str(lab.console_certificate)],
    ):
        subprocess.run(["certutil", "-d", database, *command], check=True, capture_output=True, timeout=60)
    running = playwright.chromium.launch(
        executable_path=program,
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],  # root has no other namespace to be in
        env={"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        timeout=PATIENCE,
    )
    yield running
    running.close()


class Person:
    """Somebody at the console: a profile with an authenticator, and what their browser complained about."""

    def __init__(
        self,
        name: str,
        browser: Browser,
        lab: Lab,
        *,
        size: dict[str, int] = DESK,
        dark: bool = False,
        locale: str = "en-GB",
    ) -> None:
        self.name = name
        self.lab = lab
        self.complaints: list[str] = []
        self.context: BrowserContext = browser.new_context(
            base_url=lab.console_url.rstrip("/"),
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if dark else "light",
            locale=locale,
            timezone_id="America/Belize",
        )
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("response", self._answered)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        session = self.context.new_cdp_session(self.page)
        session.send("WebAuthn.enable", {"enableUI": False})
        authenticator = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        session.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})

    def _answered(self, response: Response) -> None:
        """What is refused is said with its address: the browser's own words lack it."""
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.request.method} {response.url}")

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def invited(self) -> str:
        """Where they make their first passkey: the link that an administrator makes at the gateway."""
        link: str = reef_says(self.lab, "console", "invite", self.name)["link"]
        return urlsplit(link).path

    def enter(self, *, called: str = "") -> None:
        """Take the invitation, make a passkey (with that name), and be at the console."""
        self.page.goto(self.invited())
        if called:
            self.page.get_by_label("What to call it").fill(called)
        self.page.locator("#new-passkey").click()
        self.page.wait_for_url("**/")
        self.page.locator("main h1").wait_for()

    def picture(self, name: str) -> Path:
        """What they see now, kept as a file."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def violations(self) -> list[str]:
        """What the browser refused because of the page's policies (CSP, Trusted Types)."""
        return [words for words in self.complaints if "Content Security Policy" in words or "Trusted" in words]

    def leave(self) -> None:
        self.context.close()


@pytest.fixture
def people(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Person]]:
    """Makes people; what each saw last is kept as a picture."""
    there: list[Person] = []

    def made(name: str, **asked: Any) -> Person:
        there.append(Person(name, browser, lab, **asked))
        return there[-1]

    yield made
    for person in there:
        person.picture(f"last-{request.node.name}-{person.name}")
        person.leave()
