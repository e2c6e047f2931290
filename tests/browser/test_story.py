"""The job that the console is for, as two people do it: change, prove, look, agree, apply, and be let back in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from appliance.lab.site import Lab
from tests.browser.conftest import PATIENCE, Person
from tests.browser.keys import press, reach
from tests.netns.conftest import reef_says

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(300)  # a countdown of a minute is waited for
POLICY = "four eyes in the console"


@pytest.fixture(scope="module", autouse=True)
def four_eyes(lab: Lab) -> None:
    """One other person must approve."""
    text: str = reef_says(lab, "show", "generation")["text"]
    changed = text.replace("  people:\n    ana:", "  approvals: 1\n  people:\n    ana:")
    assert changed != text
    lab.gateway.apply(changed, POLICY)


@pytest.fixture
def pair(people: Callable[..., Person]) -> Iterator[tuple[Person, Person]]:
    """An editor and an approver, both at the console."""
    amara, ben = people("amara"), people("ben", dark=True)
    amara.enter()
    ben.enter()
    yield amara, ben
    assert not amara.complaints
    assert not ben.violations()


def draft(page: Page, title: str) -> None:
    page.goto("/rules")
    page.get_by_role("button", name="New draft").click()
    page.get_by_role("textbox", name="What is it about?").fill(title)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Draft")).to_contain_text("Nothing found")


def open_rule(page: Page, ident: str) -> None:
    page.get_by_role("searchbox", name="Search rules, objects and addresses").fill(ident)
    row = page.get_by_role("grid", name="Rules").get_by_role("row").filter(has_text=ident)
    expect(row).to_have_count(1)
    row.get_by_text(ident, exact=True).click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Rule {ident}")).to_be_visible()


def propose(page: Page, title: str, why: str, ticket: str) -> int:
    """From the draft's page, by keys alone; gives the number of the proposal."""
    press(page, page.get_by_role("button", name=re.compile("^Propose")).first)
    dialog = page.get_by_role("dialog")
    for label, words in (("Title", title), ("Why", why), ("Ticket", ticket)):
        reach(page, dialog.get_by_label(label))
        page.keyboard.press("Control+A")
        page.keyboard.type(words or " ")
    press(page, dialog.get_by_role("button", name="Propose"))
    page.wait_for_url(re.compile(r"/changes/\d+"))
    found = re.search(r"/changes/(\d+)", page.url)
    assert found is not None
    return int(found[1])


def step(page: Page, name: str) -> None:
    """A step of a proposal, with the dialog that asks for it, by keys alone."""
    press(page, page.get_by_role("region", name="Your turn").get_by_role("button", name=name))
    press(page, page.get_by_role("dialog").get_by_role("button", name=name, exact=True))


def test_a_change_is_proven_agreed_applied_and_confirmed(lab: Lab, pair: tuple[Person, Person]) -> None:
    amara, ben = pair
    page = amara.page
    before = reef_says(lab, "show", "status")["running"]
    draft(page, "Submission of mail")
    open_rule(page, "R-6")
    amara.picture("rule")
    page.get_by_label("Action").last.select_option("allow")
    expect(page.get_by_role("region", name="Draft")).to_contain_text("Kept")
    page.get_by_role("link", name="Difference and impact").click()
    expect(page.get_by_text("Opened: 1")).to_be_visible()
    amara.picture("difference")
    page.get_by_role("tab", name="Impact").click()
    amara.picture("impact")
    number = propose(page, "Let workstations submit mail", "the ministry's mail server moved", "HD-12")
    expect(page.get_by_text("waits for approval")).to_be_visible()
    expect(page.get_by_role("region", name="Your turn").get_by_role("button", name="Approve")).to_have_count(0)
    amara.picture("proposed")

    ben.page.goto(f"/changes/{number}")
    expect(ben.page.get_by_text("Opened: 1")).to_be_visible()
    step(ben.page, "Approve")
    expect(ben.page.get_by_text("Approved by ben")).to_be_visible()
    ben.picture("approved")
    step(ben.page, "Apply")
    confirm = ben.page.get_by_role("button", name="Confirm: I still have access").first
    confirm.wait_for()
    ben.picture("countdown")
    press(ben.page, confirm)
    expect(ben.page.get_by_text(f"Generation {before + 1} is confirmed.").first).to_be_visible()
    status = reef_says(lab, "show", "status")
    assert (status["running"], status["confirmed"]) == (before + 1, before + 1)
    newest = reef_says(lab, "history", "--limit", "1")["generations"][0]
    assert newest["author"] == "amara" or newest["author"] == "ben"


def test_who_breaks_their_own_access_is_let_back_in(lab: Lab, pair: tuple[Person, Person]) -> None:
    amara, ben = pair
    page = amara.page
    before = reef_says(lab, "show", "status")["running"]
    draft(page, "A mistake")
    open_rule(page, "R-10")
    page.get_by_label("Action").last.select_option("deny")
    expect(page.get_by_role("region", name="Draft")).to_contain_text("Kept")
    page.get_by_role("link", name="Difference and impact").click()
    expect(page.get_by_text("Closed: 1")).to_be_visible()
    number = propose(page, "Nobody needs the console", "a mistake", "")
    ben.page.goto(f"/changes/{number}")
    step(ben.page, "Approve")
    expect(ben.page.get_by_text("Approved by ben")).to_be_visible()
    ben.page.get_by_role("region", name="Your turn").get_by_role("button", name="Apply").click()
    dialog = ben.page.get_by_role("dialog")
    dialog.get_by_label("Time to confirm").select_option("1 minute")
    dialog.get_by_role("button", name="Apply", exact=True).click()
    lost = ben.page.get_by_text("unknown since").or_(ben.page.get_by_text("No answer")).first
    lost.wait_for()
    ben.picture("locked-out")
    assert reef_says(lab, "show", "status")["running"] == before + 1
    # A minute later what ran before runs again, and the page finds the gateway by itself.
    expect(ben.page.get_by_text("rolled back").first).to_be_visible(timeout=3 * PATIENCE)
    ben.picture("let-back-in")
    newest = reef_says(lab, "history", "--limit", "1")["generations"][0]
    assert (newest["generation"], newest["state"]) == (before + 1, "rolled-back")
    amara.page.goto("/changes")
    expect(amara.page.get_by_role("heading", name="Changes", level=1)).to_be_visible()


def test_who_approves_amends_with_the_proof_before_them(people: Callable[..., Person]) -> None:
    amara, ben = people("amara"), people("ben")
    amara.enter()
    ben.enter()
    page = amara.page
    draft(page, "A name of no use")
    open_rule(page, "R-6")
    page.get_by_label("Action").last.select_option("reject")  # neither what it was nor what another test makes of it
    expect(page.get_by_role("region", name="Draft")).to_contain_text("Kept")
    page.get_by_role("link", name="Difference and impact").click()
    page.get_by_role("button", name="Rename").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill("Mail for all")
    dialog.get_by_label("Ticket").fill("HD-40")
    dialog.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="Mail for all")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Propose")).first.click()
    expect(dialog.get_by_label("Title")).to_have_value("Mail for all")
    expect(dialog.get_by_label("Ticket")).to_have_value("HD-40")
    dialog.get_by_label("Why").fill("the ministry's mail server moved")
    dialog.get_by_role("button", name="Propose").click()
    page.wait_for_url(re.compile(r"/changes/\d+"))

    page = ben.page
    page.goto(urlsplit(amara.page.url).path)
    page.get_by_role("button", name="Amend").click()
    form = page.get_by_role("form", name="Amend the text")
    text = form.get_by_role("textbox", name="Amend the text")
    text.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("nonsense: yes\n")
    expect(form.get_by_role("status").first).to_contain_text("There are errors")
    expect(form.get_by_role("button", name="Keep the amended text")).to_be_disabled()
    ben.picture("amend")
    for _ in "nonsense: yes\n":
        page.keyboard.press("Backspace")
    form.get_by_role("tab", name="Difference").click()
    expect(form.get_by_role("tabpanel")).to_contain_text("R-6")
    page.keyboard.press("Escape")
    text.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# looked at by ben\n")
    form.get_by_role("tab", name="Impact").click()
    expect(form.get_by_text("Loading…")).to_have_count(0)
    form.get_by_label("What did you amend?").fill("a remark")
    form.get_by_role("button", name="Keep the amended text").click()
    expect(page.get_by_text("Amended. It must be approved anew.")).to_be_visible()
    expect(page.get_by_role("region", name="Your turn").get_by_role("button", name="Approve")).to_have_count(0)
    assert not amara.complaints
    assert not ben.violations()


def test_nobody_becomes_somebody_else_alone(people: Callable[..., Person]) -> None:
    """With four eyes in the policy a link needs two people, and whom it is for sees that somebody wants it."""
    ana, amara, ben = people("ana"), people("amara"), people("ben")
    for one in (ana, amara, ben):
        one.enter()
    ana.page.goto("/people")
    ana.page.get_by_role("button", name="Make a link: Amara Diaz").click()
    ana.page.get_by_role("dialog").get_by_role("button", name="Make a link").click()
    expect(ana.page.get_by_text("An approver must agree before Amara Diaz gets a link")).to_be_visible()
    expect(amara.page.get_by_role("link", name="ana wants a link by which you come in")).to_be_visible()
    expect(ben.page.get_by_role("link", name="ana wants a link by which Amara Diaz comes in")).to_be_visible()
    ben.page.goto("/account")
    ben.page.get_by_role("button", name="Agree: Amara Diaz").click()
    ben.page.get_by_role("dialog").get_by_role("button", name="Agree").click()
    expect(ben.page.get_by_role("dialog", name="The link").locator("code")).to_contain_text("/invitation/")
    assert not ana.violations() + amara.violations() + ben.violations()
