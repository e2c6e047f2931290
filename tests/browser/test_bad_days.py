"""Bad days at the console: names that are programs, two hands on a draft, a process gone, an ended session."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from appliance.lab.site import Lab
from tests.browser.conftest import PATIENCE, PHONE, Person
from tests.browser.keys import reach
from tests.netns.conftest import reef_says, until

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(240)
# Also for templates; {{…}} would be 49.
EVIL = "<img src=x-evil onerror=\"document.title='ran'\">{{7*7}}"
# What a browser has made of words that were to be shown: elements that only EVIL has.
MADE = """() => {
  const roots = [document];
  for (const root of roots)
    for (const one of root.querySelectorAll("*")) if (one.shadowRoot) roots.push(one.shadowRoot);
  return document.title === "ran" || roots.some((root) =>
    root.querySelector("[onerror], [src='x-evil'], a[href^='javascript:' i]")) ||
    document.body.innerText.includes('">49');
}"""


def draft(page: Page, title: str) -> str:
    """Begin one; gives its id."""
    page.goto("/rules")
    page.get_by_role("button", name="New draft").click()
    page.get_by_role("textbox", name="What is it about?").fill(title)
    page.keyboard.press("Enter")
    expect(bar(page)).to_contain_text("Nothing found")
    page.wait_for_url(re.compile(r"draft="))
    return parse_qs(urlsplit(page.url).query)["draft"][0]


def bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Draft")


def rule(page: Page, which: str, ident: str) -> Locator:
    """The panel of a rule of a draft."""
    page.goto(f"/rules?draft={which}&rule={ident}")
    panel = page.get_by_role("complementary", name=f"Rule {ident}")
    expect(panel).to_be_visible()
    return panel


def say(panel: Locator, key: str, words: str) -> None:
    """Words in a field of a rule; the gateway has answered to them, unless that somebody else was quicker."""
    field = panel.get_by_label(key, exact=True).and_(panel.locator("input"))
    field.fill(words)
    with panel.page.expect_response(lambda one: one.url.endswith("/operations") and one.status != 412):
        field.press("Enter")
        field.press("Tab")


def views(page: Page) -> list[str]:
    """Where the navigation leads: every view that this person has."""
    page.goto("/")
    links = page.locator("#views a")
    links.first.wait_for(state="attached")
    return [link.get_attribute("href") or "" for link in links.all()]


def asked(page: Page, path: str) -> tuple[int, Any]:
    """Status and body of what the page itself is answered."""
    status, said = page.evaluate(
        "async (path) => { const a = await fetch(path); return [a.status, await a.json()] }", path
    )
    return status, said


def shown(page: Page) -> None:
    """Wait until the view has what it asked for."""
    page.get_by_role("heading", level=1).wait_for()
    expect(page.get_by_text("Loading…")).to_have_count(0)


def poison(lab: Lab) -> None:
    """What runs has EVIL wherever people write words."""
    text: str = reef_says(lab, "show", "generation")["text"]
    if EVIL in text:
        return
    said = json.dumps(EVIL)
    changed = re.sub(r"^( +(?:- )?(?:description|why|owner|provider|ticket): ).*$", rf"\1{said}", text, flags=re.M)
    changed = changed.replace("name: Ben Cho", f"name: {said}").replace("rules:\n", f"# {EVIL}\nrules:\n", 1)
    lab.gateway.apply(changed, EVIL)


def told(page: Page, method: str, path: str, body: object) -> int:
    """What the page itself would send; the status of the answer."""
    how = """async ([method, path, body]) => {
      const headers = {"X-Reef": "1", "Content-Type": "application/json"};
      return (await fetch(`/api/v1${path}`, {method, headers, body: JSON.stringify(body)})).status;
    }"""
    status: int = page.evaluate(how, [method, path, body])
    return status


def unharmed(person: Person) -> None:
    """No words became a part of the page, of the kind that the browser would run or fetch."""
    assert not person.page.evaluate(MADE), person.page.url
    assert not person.violations()


def test_no_name_and_no_comment_is_a_program(lab: Lab, people: Callable[..., Person]) -> None:
    """Planted by every way that people have, and looked at in every view."""
    amara = people("amara")
    agent = amara.context.new_cdp_session(amara.page)
    agent.send("Network.setUserAgentOverride", {"userAgent": f"Mozilla/5.0 {EVIL}"})
    amara.enter(called=EVIL)
    poison(lab)
    reef_says(lab, "ban", "add", "192.0.2.66", "--reason", EVIL)
    reef_says(lab, "console", "invite", "ben")
    page = amara.page
    assert told(page, "POST", "/tokens", {"label": EVIL, "scopes": ["look"]}) == 201
    which = draft(page, EVIL)
    panel = rule(page, which, "R-6")
    for key in ("Reason", "Ticket", "Owner"):
        say(panel, key, f"{key}: {EVIL}")
        expect(bar(page)).to_contain_text("Kept")
    unharmed(amara)
    page.get_by_role("searchbox", name="Search rules, objects and addresses").fill(EVIL)
    page.get_by_role("button", name="Read CSV…").click()
    table: FilePayload = {
        "name": f"{EVIL}.csv",
        "mimeType": "text/csv",
        "buffer": f'id,{EVIL}\nR-6,"{EVIL}"\n'.encode(),
    }
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_role("dialog").get_by_role("button").last.click()
    expect(page.get_by_text("no such column").first).to_be_visible()
    unharmed(amara)
    page.goto(f"/text?draft={which}")
    expect(page.get_by_role("textbox", name="Policy text")).to_be_visible()
    unharmed(amara)
    page.goto(f"/changes/draft/{which}")
    page.get_by_role("button", name=re.compile("^Propose")).first.click()
    dialog = page.get_by_role("dialog")
    for label in ("Title", "Why", "Ticket"):
        dialog.get_by_label(label).fill(EVIL)
    dialog.get_by_role("button", name="Propose").click()
    page.wait_for_url(re.compile(r"/changes/\d+"))
    number = page.url.rpartition("/")[2]
    page.get_by_role("tab", name="Comments").click()
    page.get_by_label("Your comment").fill(EVIL)
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator("p.words").get_by_text(EVIL)).to_be_visible()
    for tab in ("Difference", "Lines", "History"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tab", name=tab, selected=True)).to_be_visible()
        shown(page)
        unharmed(amara)
    ana = people("ana")
    ana.enter()
    page = ana.page
    hostile = quote(EVIL, safe="")
    for path in (
        *views(page),
        f"/changes/{number}",
        f"/{hostile}?{hostile}={hostile}#{hostile}",
        f"/rules?draft={hostile}&rule={hostile}",
        f"/changes/{hostile}",
    ):
        page.goto(path)
        shown(page)
        unharmed(ana)
    for path in ("/people", "/history"):
        page.goto(path)
        expect(page.get_by_text(EVIL).first).to_be_visible()
    page.goto("/why")
    page.get_by_role("textbox", name=re.compile("^A line of a log")).fill(EVIL)
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    unharmed(ana)
    assert [one for one in amara.complaints if not re.match(r"422: PUT .*/rules\.csv$", one)] == []


def test_no_word_is_a_program_before_the_log_in_either(lab: Lab, people: Callable[..., Person]) -> None:
    """Pages that are made at the gateway, from a template: what was typed comes back, and names of the policy."""
    ben = people("ben")
    page, hostile = ben.page, quote(EVIL, safe="")
    poison(lab)
    for path in (
        f"/login?next={hostile}&lang={hostile}",
        f"/invitation/{hostile}",
        "/login/provider?error=" + hostile,
    ):
        page.goto(path)
        unharmed(ben)
    page.goto(ben.invited())
    expect(page.get_by_role("heading", level=1)).to_contain_text(EVIL)
    unharmed(ben)
    page.goto("/login")
    page.get_by_text("Passphrase and code").click()
    page.get_by_label("Name or mail address").first.fill(EVIL)
    page.get_by_label("Passphrase").fill(EVIL)
    page.get_by_label("Code", exact=True).fill("123456")
    page.get_by_role("button", name="Log in", exact=True).first.click()
    expect(page.get_by_label("Name or mail address").first).to_have_value(EVIL)
    unharmed(ben)


def test_two_hands_on_one_draft_lose_nothing(people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    one, other = amara.page, amara.context.new_page()
    which = draft(one, "Two windows")
    first, second = rule(one, which, "R-6"), rule(other, which, "R-10")
    say(first, "Ticket", "HD-61")
    expect(bar(one)).to_contain_text("Kept")
    say(second, "Ticket", "HD-101")  # on a text that is one change behind
    expect(bar(other)).to_contain_text("Kept")
    say(first, "Reason", "said by the first window again")
    expect(bar(one)).to_contain_text("Kept")
    for page in (one, other):
        expect(rule(page, which, "R-10").get_by_label("Ticket", exact=True)).to_have_value("HD-101")
        changed = rule(page, which, "R-6")
        expect(changed.get_by_label("Ticket", exact=True)).to_have_value("HD-61")
        expect(changed.get_by_label("Reason", exact=True)).to_have_value("said by the first window again")


def test_two_people_who_changed_one_rule_are_asked(people: Callable[..., Person]) -> None:
    amara, ana = people("amara"), people("ana")
    amara.enter()
    ana.enter()
    hers = draft(ana.page, "Of an administrator")
    say(rule(ana.page, hers, "R-6"), "Ticket", "HD-7")
    expect(bar(ana.page)).to_contain_text("Kept")
    page = amara.page
    mine = draft(page, "Of an editor")
    say(rule(page, mine, "R-6"), "Ticket", "HD-8")
    expect(bar(page)).to_contain_text("Kept")
    page.goto(f"/changes/draft/{mine}")
    page.get_by_role("tab", name="Merge").click()
    page.get_by_label("Bring in").select_option(hers)
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_text("1 rule was changed by both")).to_be_visible()
    conflict = page.get_by_role("region", name="rules R-6")
    expect(conflict).to_contain_text("HD-7")
    expect(conflict).to_contain_text("HD-8")
    conflict.get_by_role("button", name="Take the other's").click()
    expect(conflict.get_by_role("button", name="Taken")).to_be_enabled()
    expect(rule(page, mine, "R-6").get_by_label("Ticket", exact=True)).to_have_value("HD-7")


def test_a_session_that_is_ended_keeps_what_was_typed(lab: Lab, people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    page = amara.page
    panel = rule(page, draft(page, "Before the end"), "R-6")
    reef_says(lab, "console", "revoke", "amara")
    say(panel, "Ticket", "HD-11")
    ended = page.get_by_role("alertdialog").or_(page.get_by_role("dialog"))
    expect(ended).to_contain_text("Your session has ended")
    expect(page.locator("aside").get_by_label("Ticket", exact=True)).to_have_value("HD-11")
    page.goto("/rules")
    page.wait_for_url(re.compile("/login"))
    page.get_by_role("button", name=re.compile("passkey", re.IGNORECASE)).click()
    expect(page.get_by_role("heading", name="Rules", level=1)).to_be_visible()


def test_no_other_page_has_the_console_in_a_frame(lab: Lab, people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    other = amara.context.new_page()
    refused: list[str] = []
    other.on("console", lambda message: refused.append(message.text))
    for path in ("/", "/login"):
        answer = amara.page.goto(path)
        assert answer is not None
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        refused.clear()
        with other.expect_event("console", lambda message: "frame-ancestors" in message.text):
            other.set_content(f"<iframe src='{lab.console_url.rstrip('/')}{path}'></iframe>")
        assert all(not frame.url.startswith(lab.console_url) for frame in other.frames[1:])


HOSTILE = """<!doctype html><title>A prize</title>
<form id="out" method="post" action="{url}logout"></form>
<form id="draft" method="post" action="{url}api/v1/drafts" enctype="text/plain">
  <input name='{{"title":"' value='x"}}'>
</form>"""
# A page of another site: what the browser lets it see of our answers.
TRIES = """async (url) => {
  const tried = [];
  for (const how of [{}, {method: "POST", body: "{}"}, {method: "POST", headers: {"X-Reef": "1"}, body: "{}"}]) {
    const asked = fetch(url + "api/v1/drafts", {...how, credentials: "include"});
    tried.push(await asked.then((answer) => answer.type, () => "failed"));
  }
  return tried;
}"""


def test_another_page_does_nothing_in_somebodys_name(lab: Lab, people: Callable[..., Person]) -> None:
    """Nor does a cookie that somebody put there beforehand become theirs."""
    amara = people("amara")
    planted = "A" * 43
    host = urlsplit(lab.console_url).hostname or ""
    amara.context.add_cookies(
        [{"name": "__Host-reef", "value": planted, "domain": host, "path": "/", "secure": True, "httpOnly": True}]
    )
    amara.enter()
    cookies = {one["name"]: one for one in amara.context.cookies() if "name" in one}
    mine = cookies["__Host-reef"]
    assert mine["value"] != planted
    assert (mine["httpOnly"], mine["secure"], mine["sameSite"]) == (True, True, "Strict")
    _, before = asked(amara.page, "/api/v1/drafts")
    other = amara.context.new_page()
    hostile = HOSTILE.format(url=lab.console_url)
    other.route("https://prize.example/", lambda route: route.fulfill(content_type="text/html", body=hostile))
    for form in ("out", "draft"):
        other.goto("https://prize.example/")
        with other.expect_navigation() as refused:  # to its end: the next page must not meet it on its way
            other.evaluate("(id) => document.getElementById(id).submit()", form)
        assert refused.value.status in (401, 403), (form, refused.value.status)
    other.goto("https://prize.example/")
    assert other.evaluate(TRIES, lab.console_url) == ["failed", "failed", "failed"]
    assert asked(amara.page, "/api/v1/drafts") == (200, before)


def test_a_rule_is_changed_without_a_mouse(people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    page, keys = amara.page, amara.page.keyboard
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    reach(page, page.get_by_role("navigation", name="Views").get_by_role("link", name="Rules"))
    keys.press("Enter")
    page.get_by_role("heading", name="Rules", level=1).wait_for()
    reach(page, page.get_by_role("button", name="New draft"))
    keys.press("Enter")
    reach(page, page.get_by_role("textbox", name="What is it about?"))
    keys.type("By keys")
    keys.press("Enter")
    expect(bar(page)).to_contain_text("Nothing found")
    reach(page, page.get_by_role("searchbox", name="Search rules, objects and addresses"))
    keys.type("R-6")
    expect(page.get_by_role("grid", name="Rules").get_by_role("row").filter(has_text="R-6")).to_have_count(1)
    reach(page, page.get_by_role("grid", name="Rules"))
    keys.press("ArrowDown")
    keys.press("Enter")
    panel = page.get_by_role("complementary", name="Rule R-6")
    expect(panel).to_be_visible()
    ticket = panel.get_by_label("Ticket", exact=True)
    reach(page, ticket)
    keys.press("Control+A")
    keys.type("HD-12")
    keys.press("Tab")
    undo = bar(page).get_by_role("button", name="Undo")
    expect(undo).to_be_enabled()
    expect(bar(page)).to_contain_text("Kept")
    keys.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.get_by_role("grid", name="Rules")).to_be_focused()
    assert not amara.complaints


def test_no_view_is_wider_than_a_phone(people: Callable[..., Person]) -> None:
    ana = people("ana", size=PHONE)
    ana.enter()
    paths = views(ana.page)
    assert "/people" in paths
    for path in paths:
        ana.page.goto(path)
        shown(ana.page)
        wide = ana.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels wider than the phone"
    assert not ana.violations()


def test_it_says_that_the_policy_is_away_and_comes_back(lab: Lab, people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    page = amara.page
    which = draft(page, "While nobody answers")
    state = page.locator("header a.state")
    gone = lab.gateway.pid("policyd")
    os.kill(gone, signal.SIGKILL)  # whoever starts it again is the lab, when it is polled
    try:
        expect(state).to_contain_text("unknown")
        expect(page.get_by_text("What you see was so at")).to_be_visible()
        amara.picture("policyd-gone")
    finally:
        until(lambda: running(lab, "policyd") not in (0, gone), "policyd is started again", lab=lab, patience=60)
        lab.gateway.wait()
    expect(state).not_to_contain_text("unknown")
    expect(page.get_by_text("What you see was so at")).to_have_count(0)
    say(rule(page, which, "R-6"), "Ticket", "HD-10")
    expect(bar(page)).to_contain_text("Kept")


def test_what_is_typed_while_the_policy_hangs_is_kept_once_it_goes_on(
    lab: Lab, people: Callable[..., Person]
) -> None:
    """Stopped, policyd takes connections and answers none of them: the kernel does that for it."""
    amara = people("amara")
    amara.enter()
    page = amara.page
    which = draft(page, "While somebody thinks for ever")
    page.goto(f"/text?draft={which}")
    text = page.get_by_role("textbox", name="Policy text")
    expect(text).to_be_visible()
    state = page.locator("header a.state")
    stopped = lab.gateway.pid("policyd")
    os.kill(stopped, signal.SIGSTOP)
    try:
        text.press("Control+End")
        text.press_sequentially("\n# typed in vain?")
        expect(state).to_contain_text("unknown")
        expect(page.get_by_text("nothing is changed until it does")).to_be_visible()
        expect(bar(page)).to_contain_text("Not kept yet")
        text.press_sequentially(" No.")
        amara.picture("policyd-hangs")
        status, said = asked(page, "/api/v1/drafts")
        assert (status, said["code"]) == (503, "unanswered")
    finally:
        os.kill(stopped, signal.SIGCONT)
    expect(state).not_to_contain_text("unknown")
    expect(bar(page)).to_contain_text("Kept")
    kept = asked(page, f"/api/v1/drafts/{which}/text")[1]["text"]
    assert kept.count("# typed in vain? No.") == 1
    assert kept.count("typed in vain") == 1
    assert not amara.violations()


def test_what_is_typed_while_the_console_is_started_again_is_kept(lab: Lab, people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    page = amara.page
    which = draft(page, "Across a restart")
    page.goto(f"/text?draft={which}")
    text = page.get_by_role("textbox", name="Policy text")
    expect(text).to_be_visible()
    gone = lab.gateway.pid("console")
    text.press("Control+End")
    text.press_sequentially("\n# begun before,")
    os.kill(gone, signal.SIGKILL)
    try:
        text.press_sequentially(" ended after")
        expect(bar(page)).to_contain_text("Not kept yet")
    finally:
        until(lambda: running(lab, "console") not in (0, gone), "the console is started again", lab=lab, patience=60)
        lab.gateway.wait()
    expect(bar(page)).to_contain_text("Kept")
    kept = asked(page, f"/api/v1/drafts/{which}/text")[1]["text"]
    assert kept.count("# begun before, ended after") == 1
    assert kept.count("begun") == 1


MANY = 10_000
# What somebody has in the clipboard goes into the text in place of all of it; and the longest time without a picture.
PASTE = """(text) => {
  const shadows = [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter((one) => one);
  const box = shadows.map((one) => one.querySelector(".cm-content")).find((one) => one);
  const held = new DataTransfer();
  held.setData("text/plain", text);
  window.longest = 0;
  let last = performance.now();
  const look = (now) => {
    window.longest = Math.max(window.longest, now - last);
    last = now;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  box.dispatchEvent(new ClipboardEvent("paste", {clipboardData: held, bubbles: true, cancelable: true}));
}"""


def test_ten_thousand_rules_are_pasted_into_the_text(lab: Lab, people: Callable[..., Person]) -> None:
    amara = people("amara")
    amara.enter()
    page = amara.page
    which = draft(page, "All that the old firewall had")
    text: str = asked(page, f"/api/v1/drafts/{which}/text")[1]["text"]
    rules = "".join(
        f"  - {{id: OLD-{number}, from: lan, to: internet, service: tcp/{1024 + number}, action: allow, "
        "why: as it was, owner: it@health.example}\n"
        for number in range(MANY)
    )
    page.goto(f"/text?draft={which}")
    box = page.get_by_role("textbox", name="Policy text")
    expect(box).to_be_visible()
    box.press("Control+A")
    page.evaluate(PASTE, text.replace("rules:\n", f"rules:\n{rules}", 1))
    box.press("Control+Home")
    box.press_sequentially("# pasted\n")  # while it is looked at
    expect(box).to_contain_text("# pasted")
    expect(bar(page)).to_contain_text(re.compile(r"10[,.]?0\d\d rules proven"))
    expect(bar(page)).to_contain_text("Kept")
    amara.picture("pasted")
    assert page.evaluate("window.longest") < 10_000
    page.goto(f"/rules?draft={which}")
    page.get_by_role("searchbox", name="Search rules, objects and addresses").fill("OLD-9999")
    expect(page.get_by_role("grid", name="Rules").get_by_role("row").filter(has_text="OLD-9999")).to_have_count(1)
    assert not amara.complaints


def running(lab: Lab, name: str) -> int:
    """Its process id; 0 while it has none."""
    try:
        return lab.gateway.pid(name)
    except KeyError:
        return 0
