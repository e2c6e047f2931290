"""People come in by the browser: a link, a passkey, out and in again; what they come in with, and who else is in."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from PIL import Image
from playwright.sync_api import Page, expect

from appliance.lab.site import Lab
from tests.browser.conftest import PATIENCE, PHONE, ROOT, Person, answers
from tests.netns.conftest import until

AXE = ROOT / "appliance" / "console" / "web" / "node_modules" / "axe-core" / "axe.min.js"
expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(300)

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def way_of(link: str) -> str:
    """A link's path: the lab may have another port than the policy says, where another lab has that one."""
    return urlsplit(link).path


def sound(page: Page) -> None:
    """Nothing that WCAG 2.2 AA forbids, as far as a program can tell."""
    found = page.evaluate(f"(() => {{ {AXE.read_text()}\n; return axe.run(document, {{runOnly: {RULES}}}) }})()")
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []


def test_a_person_comes_in_goes_and_comes_back_by_a_passkey(people: Callable[..., Person]) -> None:
    amara = people("amara")
    page = amara.page
    page.goto(way_of(amara.invited()))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Amara Diaz")
    sound(page)
    page.get_by_label("What to call it").fill("blue key")
    page.get_by_role("button", name="Make a passkey").click()
    page.wait_for_url(re.compile(r"/$"))
    page.goto("/account")
    expect(page.get_by_role("rowheader", name="blue key")).to_be_visible()
    expect(page.get_by_text("this one")).to_be_visible()
    sound(page)

    page.get_by_role("button", name="Make a token").click()
    page.get_by_label("What it is for").fill("nightly report")
    page.get_by_role("dialog").get_by_role("button", name="Make a token").click()
    token = page.get_by_role("dialog").locator("code").inner_text()
    assert re.fullmatch(r"reef_[A-Za-z0-9_-]{43}", token)
    sound(page)
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("rowheader", name="nightly report")).to_be_visible()

    page.locator("summary", has_text="Amara Diaz").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are logged out.")).to_be_visible()
    page.goto("/account")
    page.wait_for_url(re.compile(r"/login\?next="))
    sound(page)
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url(re.compile(r"/account$"))
    expect(page.get_by_role("rowheader", name="nightly report")).to_be_visible()
    amara.picture("account")
    assert amara.violations() == []


def test_who_has_no_passkey_comes_in_by_a_passphrase_and_an_app(people: Callable[..., Person]) -> None:
    """In the sandbox of the process, where the passphrase is digested in a thread."""
    olu = people("olu", size=PHONE, dark=True)
    page = olu.page
    page.goto(way_of(olu.invited()))
    page.get_by_text("My device has no passkeys").click()
    sound(page)
    key = page.locator("code.key").inner_text().replace(" ", "")
    seen = zxingcpp.read_barcode(Image.open(io.BytesIO(page.locator("svg.qr").screenshot())))
    assert seen is not None, "no camera reads the picture"
    assert parse_qs(urlsplit(seen.text).query)["secret"] == [key]
    app = TOTP(base64.b32decode(key), 6, SHA1(), 30)  # noqa: S303
    page.get_by_label("Code").fill(app.generate(int(time.time())).decode())
    page.get_by_label("New passphrase").fill("a lamp beside the river")
    page.get_by_label("The passphrase again").fill("a lamp beside the river")
    page.get_by_role("button", name="Save and log in").click()
    page.wait_for_url(re.compile(r"/$"))
    page.goto("/account")
    expect(page.get_by_text("A passphrase and an authenticator app are set.")).to_be_visible()
    page.locator("summary", has_text="Olu Ade").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Passphrase and code").click()
    page.get_by_label("Name or mail address").first.fill("olu@health.example")
    page.get_by_label("Passphrase").fill("a lamp beside the river")
    page.get_by_label("Code", exact=True).fill(app.generate(int(time.time()) + 30).decode())  # each is good once
    page.get_by_role("button", name="Log in", exact=True).first.click()
    page.wait_for_url(re.compile(r"/$"))
    assert olu.violations() == []


def test_what_makes_a_way_in_is_not_for_whoever_finds_the_screen(lab: Lab, people: Callable[..., Person]) -> None:
    """A console that was started again takes nobody's word for it that they sit there still."""
    amara = people("amara")
    amara.enter()
    page = amara.page
    gone = lab.gateway.pid("console")
    os.kill(gone, signal.SIGKILL)
    until(lambda: running(lab, "console") not in (0, gone), "the console is started again", lab=lab, patience=60)
    until(lambda: answers(lab), "the console answers", lab=lab, patience=60)
    page.goto("/account")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_label("What it is for").fill("nightly report")
    page.get_by_role("dialog").get_by_role("button", name="Make a token").click()
    still = page.get_by_role("dialog", name="Is it still you?")
    expect(still.get_by_role("button", name="Use a passkey")).to_be_visible()
    sound(page)
    amara.picture("proof")
    still.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("show again that it is you")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Make a token").click()
    still.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("dialog", name="The token").locator("code")).to_contain_text("reef_")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert amara.violations() == []


def running(lab: Lab, name: str) -> int:
    """Its process id; 0 while it has none."""
    try:
        return lab.gateway.pid(name)
    except KeyError:
        return 0


def test_an_administrator_lets_others_in_and_out(people: Callable[..., Person]) -> None:
    ana, ben = people("ana", dark=True), people("ben", size=PHONE)
    ana.page.goto(way_of(ana.invited()))
    sound(ana.page)
    ana.page.get_by_role("button", name="Make a passkey").click()
    ana.page.wait_for_url(re.compile(r"/$"))
    ana.page.goto("/people")
    sound(ana.page)
    ana.page.get_by_role("button", name="Make a link: Ben Cho").click()
    ana.page.get_by_role("dialog").get_by_role("button", name="Make a link").click()
    link = ana.page.get_by_role("dialog").locator("code").inner_text()
    ana.page.get_by_role("button", name="Done").click()

    ben.page.goto(way_of(link))
    ben.page.get_by_role("button", name="Make a passkey").click()
    ben.page.wait_for_url(re.compile(r"/$"))
    ana.page.reload()
    ana.page.get_by_role("button", name="End their sessions: Ben Cho").click()
    ana.page.get_by_role("dialog").get_by_role("button", name="End their sessions").click()
    expect(ana.page.get_by_role("button", name="End their sessions: Ben Cho")).to_be_hidden()
    ana.picture("people")
    ben.page.goto("/account")
    ben.page.wait_for_url(re.compile(r"/login"))
    sound(ben.page)
    ben.picture("login")
    assert ana.violations() == [] and ben.violations() == []
