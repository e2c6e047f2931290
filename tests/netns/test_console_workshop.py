"""The workshop over HTTP, with the real policyd: drafts, rows, forms, spreadsheets, proposals, generations."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.control.applying.generations import stored_path
from appliance.control.messages import gateway as messages
from tests.netns.stand import ROOT, Stand, reef, until

TEXT = """\
reef: 1
site: clinic
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16], addresses: {lan0: 10.20.0.1/16}}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24], addresses: {dmz0: 10.21.0.1/24}}
console:
  listen: [lan]
  name: gateway.health.example
  approvals: 1
  people:
    ana: {name: Ana Ruiz, mail: ana@health.example, roles: [administrator]}
    amara: {name: Amara Diaz, mail: amara@health.example, roles: [editor]}
    ben: {name: Ben Cho, mail: ben@health.example, roles: [approver]}
    rita: {name: Rita Moe, mail: rita@health.example, roles: [reader]}
objects:
  records: {addresses: [10.21.0.10]}  # patients
rules:
  # the clinics
  - id: R-1
    from: lan
    to: dmz
    destination: records
    service: https
    action: allow
    why: patient records
    owner: it@health.example
    expires: 2099-03-31
  - {id: R-2, from: lan, to: dmz, service: ssh, action: allow, why: upkeep, owner: it@health.example}
"""
READY = re.compile(r"^ready (\d+)$", re.MULTILINE)
PEOPLE = ("ana=administrator", "amara=editor", "ben=approver", "rita=reader")
pytestmark = pytest.mark.timeout(240)  # three reports are made, one of them set as pages


class Console:
    """The API, asked by somebody."""

    def __init__(self, stand: Stand, port: int) -> None:
        self.stand = stand
        self.port = port

    def ask(
        self,
        who: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        seen: str | int = "",
        kind: str = "application/json",
    ) -> tuple[int, Any, dict[str, str]]:
        headers = {"Authorization": f"Bearer {who}"}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = kind
        if seen != "":
            headers["If-Match"] = f'"{seen}"'
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, f"/api/v1{path}", data, headers)
            answer = connection.getresponse()
            said, got = answer.read(), dict(answer.getheaders())
        finally:
            connection.close()
        isjson = "json" in got.get("Content-Type", "")
        return answer.status, json.loads(said) if isjson else said, got

    def made(self, who: str, method: str, path: str, body: Any = None, **how: Any) -> Any:
        status, said, _ = self.ask(who, method, path, body, **how)
        assert status < 300, said
        return said

    def draft(self) -> str:
        return str(self.made("amara", "POST", "/drafts", {"title": "a test"})["id"])


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with Stand() as stand:
        stand.apply(TEXT)
        with stand.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.consoledoor", str(stand.file), *PEOPLE],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ,
            )
        try:
            until(lambda: child.poll() is not None or READY.search(stand.words()), "the console answers")
            ready = READY.search(stand.words())
            assert ready is not None, stand.words()
            yield Console(stand, int(ready[1]))
        finally:
            child.kill()
            child.wait(10)


def test_a_form_changes_the_lines_it_is_about_and_says_which_rows(console: Console) -> None:
    draft = console.draft()
    page = console.made("amara", "GET", f"/drafts/{draft}/rules")
    assert [(row["id"], row["line"]) for row in page["rows"]] == [("R-1", 19), ("R-2", 28)]
    version = page["version"]
    operations = [
        {"op": "set", "rule": "R-2", "keys": {"log": "end"}},
        {"op": "copy", "rule": "R-1", "id": "R-3"},
    ]
    body = {"version": version, "operations": operations}
    status, said, headers = console.ask("amara", "POST", f"/drafts/{draft}/operations", body, seen=version)
    assert status == 200, said
    assert (said["ok"], said["order"], [row["id"] for row in said["rows"]]) == (
        True,
        ["R-1", "R-3", "R-2"],
        ["R-3", "R-2"],
    )
    assert (headers["ETag"], headers["Reef-Changed"]) == (f'"{said["version"]}"', "yes")
    text = console.made("amara", "GET", f"/drafts/{draft}/text")["text"]
    copy = TEXT[TEXT.index("  - id: R-1") : TEXT.index("  - {id: R-2")].replace("R-1", "R-3")
    assert text == TEXT.replace("  - {id: R-2", copy + "  - {id: R-2").replace(
        "allow, why: upkeep", "allow, log: end, why: upkeep"
    )
    since = console.made("amara", "GET", f"/drafts/{draft}/rules?since={version}")
    assert [row["id"] for row in since["rows"]] == ["R-1", "R-3", "R-2"], "of R-1 it is found that it has a double"
    assert (since["whole"], since["shifts"]) == (False, [[2, 9]])
    undone = console.made(
        "amara", "POST", f"/drafts/{draft}/undo", {"version": said["version"]}, seen=said["version"]
    )
    assert console.made("amara", "GET", f"/drafts/{draft}/text")["text"] == TEXT
    found = console.made("amara", "GET", f"/drafts/{draft}/rules?since={said['version']}")
    assert (found["version"], found["gone"], found["order"]) == (undone["draft"]["version"], ["R-3"], ["R-1", "R-2"])


def test_what_a_form_cannot_do_is_said_and_changes_nothing(console: Console) -> None:
    draft = console.draft()
    version = console.made("amara", "GET", f"/drafts/{draft}")["version"]
    body = {"version": version, "operations": [{"op": "set", "rule": "R-11", "keys": {"log": "end"}}]}
    path = f"/drafts/{draft}/operations"
    status, said, _ = console.ask("amara", "POST", path, body, seen=version)
    assert (status, said["code"], said["findings"][0]["line"]) == (422, "operation", 1)
    assert "did you mean `R-1`" in said["detail"]
    body["operations"][0]["rule"] = "R-1"
    assert console.ask("amara", "POST", path, body)[0] == 428
    assert console.ask("amara", "POST", path, {**body, "version": version + 5}, seen=version + 5)[0] == 412
    assert console.ask("rita", "POST", path, body, seen=version)[1]["code"] == "not-allowed"
    assert console.ask("ana", "POST", path, body, seen=version)[1]["code"] == "not-yours"
    assert console.ask("amara", "POST", "/drafts/nothing/operations", body, seen=version)[0] == 404


def test_rules_are_found_with_what_was_found_of_them(console: Console) -> None:
    draft = console.draft()
    text = TEXT.replace("service: ssh", "service: [ssh, https]").replace("destination: records", "source: 10.20.0.7")
    whole = {"version": 1, "text": text}
    version = console.made("amara", "GET", f"/drafts/{draft}")["version"]
    checked = console.made("amara", "PUT", f"/drafts/{draft}/text", {**whole, "version": version}, seen=version)
    assert checked["ok"]
    page = console.made("amara", "GET", f"/drafts/{draft}/rules")
    kinds = {row["id"]: [one["kind"] for one in row["findings"]] for row in page["rows"]}
    assert kinds == {"R-1": ["warning", "no-effect"], "R-2": []}
    for question, rules in (
        ("10.20.0.7", ["R-1"]),
        ("is:no-effect", ["R-1"]),
        ("port:22", ["R-2"]),
        ("-R-1", ["R-2"]),
    ):
        found = console.made("amara", "GET", f"/drafts/{draft}/rules?search={question}&limit=5")
        assert ([row["id"] for row in found["rows"]], found["total"]) == (rules, 2), question
    assert page["pairs"] == [{"from": ["lan"], "to": ["dmz"], "count": 2}]
    assert console.ask("amara", "GET", f"/drafts/{draft}/rules?search=is:odd")[0] == 400
    broken = console.made(
        "amara",
        "PUT",
        f"/drafts/{draft}/text",
        {"version": checked["draft"]["version"], "text": "a: ['"},
        seen=checked["draft"]["version"],
    )
    assert not broken["ok"]
    assert "not closed" in console.made("amara", "GET", f"/drafts/{draft}/rules")["broken"]


def test_a_spreadsheet_comes_back_as_changes(console: Console) -> None:
    draft = console.draft()
    status, data, headers = console.ask("amara", "GET", f"/drafts/{draft}/rules.csv")
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    version = headers["ETag"].strip('"')
    sheet = data.replace(b",ssh,", b',"ssh, tcp/8022",')
    assert sheet != data
    made = console.made("amara", "PUT", f"/drafts/{draft}/rules.csv", sheet, seen=version, kind="text/csv")
    assert [row["service"] for row in made["rows"]] == [["ssh", "tcp/8022"]]
    wrong = b"id,log\r\nR-1,sometimes\r\n"
    status, said, _ = console.ask(
        "amara", "PUT", f"/drafts/{draft}/rules.csv", wrong, seen=made["version"], kind="text/csv"
    )
    assert (status, said["code"], said["findings"][0]["line"]) == (422, "csv", 2)


def test_what_is_put_says_truly_whether_anything_changed(console: Console) -> None:
    draft = console.draft()
    version = console.made("amara", "GET", f"/drafts/{draft}")["version"]
    tables = console.made("amara", "GET", f"/drafts/{draft}/rules.csv")
    for path, same, other, kind in (
        ("text", {"text": TEXT}, {"text": TEXT.replace("upkeep", "care")}, "application/json"),
        ("rules.csv", tables, tables.replace(b"upkeep", b"repairs"), "text/csv"),
    ):
        said = []
        for body in (same, other, other):
            sent = {"version": version, **body} if isinstance(body, dict) else body
            status, answer, headers = console.ask(
                "amara", "PUT", f"/drafts/{draft}/{path}", sent, seen=version, kind=kind
            )
            assert status == 200, answer
            before, version = version, int(headers["ETag"].strip('"'))
            said.append((headers["Reef-Changed"], version != before))
        assert said == [("no", False), ("yes", True), ("no", False)], path
        first = {"version": version, "text": TEXT}
        back = console.made("amara", "PUT", f"/drafts/{draft}/text", first, seen=version)
        version = back["draft"]["version"]


def test_names_are_told_with_their_uses_and_completed(console: Console) -> None:
    draft = console.draft()
    (records,) = [row for row in console.made("rita", "GET", f"/drafts/{draft}/objects") if row["kind"] == "object"]
    assert (records["words"], records["uses"], records["line"]) == (["10.21.0.10"], 1, 16)
    assert records["yaml"] == "{addresses: [10.21.0.10]}  # patients"
    assert console.made("rita", "GET", "/objects")[0]["name"] == "records"
    for path in (f"/drafts/{draft}/uses/records", "/uses/records"):
        (use,) = console.made("rita", "GET", path)
        assert (use["holder_id"], use["key"], use["line"]) == ("R-1", "destination", 22)
    status, said, _ = console.ask("rita", "GET", "/uses/recrods")
    assert (status, "did you mean `records`" in said["detail"]) == (404, True)
    at = TEXT.index("destination: rec") + len("destination: rec")
    said = console.made("rita", "GET", f"/drafts/{draft}/completion?at={at}")
    assert [one["label"] for one in said["items"]] == ["records"]
    said = console.made("rita", "GET", f"/drafts/{draft}/completion?key=action&prefix=al")
    assert [one["label"] for one in said["items"]] == ["allow"]


def test_a_draft_is_proposed_approved_by_another_and_runs(console: Console) -> None:
    draft = console.draft()
    version = console.made("amara", "GET", f"/drafts/{draft}")["version"]
    body = {"version": version, "operations": [{"op": "set", "rule": "R-2", "keys": {"service": "tcp/2222"}}]}
    version = console.made("amara", "POST", f"/drafts/{draft}/operations", body, seen=version)["version"]
    plan = console.made("amara", "GET", f"/drafts/{draft}/plan")
    assert [change["what"] for change in plan["changes"]] == ["rule R-2"]
    running = console.made("rita", "GET", "/generations?limit=1")[0]["generation"]
    body = {"title": "ssh elsewhere", "why": "22 is scanned", "ticket": "CHG-7"}
    proposal = console.made("amara", "POST", f"/drafts/{draft}/propose", body, seen=version)
    number, digest = proposal["number"], proposal["digest"]
    assert [one["number"] for one in console.made("rita", "GET", "/proposals?state=proposed")] == [number]
    assert (
        console.ask("ana", "POST", f"/proposals/{number}/apply", {"digest": digest}, seen=digest)[1]["code"]
        == "approval"
    )
    assert console.ask("amara", "POST", f"/proposals/{number}/approve", {"digest": digest}, seen=digest)[0] == 403
    console.made("ben", "POST", f"/proposals/{number}/approve", {"digest": digest, "words": "fine"}, seen=digest)
    shown = console.made("ben", "GET", f"/proposals/{number}")
    assert console.ask("ben", "POST", f"/proposals/{number}/reject", {"words": "no"}, seen="another")[0] == 412
    other = {"digest": digest, "text": shown["text"].replace("tcp/2222", "tcp/2022")}
    tried = console.made("ben", "POST", f"/proposals/{number}/try", other)
    assert [change["words"] for change in tried["planned"]["changes"]] == ["rule R-2: service ssh -> tcp/2022"]
    wrong = console.made("ben", "POST", f"/proposals/{number}/try", {**other, "text": "reef: 1\nzones: no\n"})
    assert wrong["planned"] is None and wrong["findings"]
    replayed = console.made("ben", "POST", f"/proposals/{number}/try/impact?days=1", other)
    assert replayed["groups"] == []
    assert console.made("ben", "GET", f"/proposals/{number}")["proposal"]["state"] == "approved", "nothing is kept"
    assert (shown["proposal"]["state"], shown["approvals"][0]["person"]) == ("approved", "ben")
    applied = console.made(
        "ben", "POST", f"/proposals/{number}/apply", {"digest": digest, "confirm_within": 0}, seen=digest
    )
    assert applied["generation"] > running
    until(
        lambda: console.made("rita", "GET", "/rules")["version"] == applied["generation"],
        "the console sees what runs",
    )
    (rule,) = console.made("rita", "GET", "/rules?search=2222")["rows"]
    assert rule["id"] == "R-2"
    difference = console.made("rita", "GET", f"/generations/{running}/difference")
    assert [change["what"] for change in difference["changes"]] == ["rule R-2"]
    assert console.made("rita", "GET", f"/generations/{running}/text")["text"] == TEXT
    one = console.made("rita", "GET", f"/generations/{applied['generation']}")
    said = {name: one[name] for name in ("author", "proposal", "proposer", "why", "ticket", "approvers")}
    assert said == {
        "author": "ben",
        "proposal": number,
        "proposer": "amara",
        "why": "22 is scanned",
        "ticket": "CHG-7",
        "approvers": ["ben"],
    }
    back = console.made("ana", "POST", "/running/rollback", {"generation": running, "reason": "as it was"})
    assert console.made("rita", "GET", f"/generations/{back['generation']}/text")["text"] == TEXT


def test_whether_a_generation_is_what_was_signed_is_looked_at_again(console: Console) -> None:
    def applied(text: str) -> messages.Applied:
        request = messages.Apply(text, console.stand.status().running, "a test", confirm_within=0, break_glass="test")
        return console.stand.ask(request, messages.Applied)

    first, second = applied(TEXT.replace("why: upkeep", "why: care")), applied(TEXT)
    numbers = [second.generation, first.generation, 99_999]
    path = "/seals?" + "&".join(f"generation={number}" for number in numbers)
    found = console.made("rita", "GET", path)
    assert [(one["generation"], one["state"]) for one in found["seals"]] == [
        (second.generation, "good"),
        (first.generation, "good"),
        (99_999, "gone"),
    ]
    assert found["seals"][0]["digest"] == second.digest
    # Somebody with root puts another text into the place of one that was signed.
    directory = console.stand.instance.state_of("applyd")
    kept, body = stored_path(directory, first.generation).read_bytes().split(b"\n", 1)
    other, _ = stored_path(directory, second.generation).read_bytes().split(b"\n", 1)
    head = {**json.loads(kept), "signature": json.loads(other)["signature"]}
    stored_path(directory, first.generation).write_bytes(json.dumps(head).encode() + b"\n" + body)
    found = console.made("rita", "GET", path)
    assert [one["state"] for one in found["seals"]] == ["good", "bad", "gone"]
    said = reef(console.stand, "history", "--verify", ends=1)
    states = {one["generation"]: one["state"] for one in said["seals"]}
    assert (states[first.generation], states[second.generation]) == ("bad", "good")
    assert console.ask("rita", "GET", "/seals")[0] == 400


def test_an_owner_is_told_once_of_what_is_proposed_and_of_what_runs(console: Console) -> None:
    def told(who: str, query: str = "") -> list[dict[str, Any]]:
        return [one for one in console.made(who, "GET", f"/notices{query}")["notices"] if one["subject"] in about]

    draft = console.draft()
    version = console.made("amara", "GET", f"/drafts/{draft}")["version"]
    keys = {"owner": "rita@health.example"}
    body = {"version": version, "operations": [{"op": "set", "rule": "R-2", "keys": keys}]}
    version = console.made("amara", "POST", f"/drafts/{draft}/operations", body, seen=version)["version"]
    body = {"title": "hers", "why": "x"}
    proposal = console.made("amara", "POST", f"/drafts/{draft}/propose", body, seen=version)
    number, digest = proposal["number"], proposal["digest"]
    about = {f"proposal {number}"}
    until(lambda: told("rita"), "the owner to be is told of the proposal")
    console.made("ben", "POST", f"/proposals/{number}/approve", {"digest": digest}, seen=digest)
    body = {"digest": digest, "confirm_within": 0}
    done = console.made("ben", "POST", f"/proposals/{number}/apply", body, seen=digest)
    about |= {f"generation {done['generation']}"}
    until(lambda: len(told("rita")) == 2, "the owner is told of what runs")
    said = {one["kind"]: one for one in told("rita")}
    assert set(said) == {"proposed", "applied"}
    assert said["applied"]["words"].endswith(": rule R-2 changed")
    assert {one["owner"] for one in told("amara", "?everybody=true")} == {"it@health.example", "rita@health.example"}
    assert told("ben") == []
    found = console.made("rita", "GET", "/notices")
    assert found["unseen"] >= 2
    assert console.made("rita", "POST", "/notices/seen", {"through": said["applied"]["number"]})["unseen"] == 0


def test_a_shell_works_at_drafts_as_the_console_does(console: Console, tmp_path: Path) -> None:
    ident = reef(console.stand, "draft", "open", "--title", "by hand")["id"]
    file = tmp_path / "policy.yaml"
    file.write_text(TEXT.replace("service: ssh", "service: tcp/2222"))
    assert reef(console.stand, "draft", "set", ident, str(file))["ok"]
    changed = [one["what"] for one in reef(console.stand, "draft", "plan", ident)["changes"]]
    assert "rule R-2" in changed
    file.write_text(TEXT.replace("service: ssh", "service: shh"))
    assert not reef(console.stand, "draft", "set", ident, str(file), ends=1)["ok"]
    assert reef(console.stand, "draft", "undo", ident)["ok"]
    assert not reef(console.stand, "draft", "redo", ident, ends=1)["ok"]
    assert not reef(console.stand, "draft", "check", ident, ends=1)["ok"]
    assert reef(console.stand, "draft", "name", ident, "--ticket", "CHG-8")["ticket"] == "CHG-8"
    assert reef(console.stand, "draft", "undo", ident)["ok"]
    proposal = reef(console.stand, "draft", "propose", ident, "--why", "22 is scanned")
    assert (proposal["title"], proposal["ticket"], proposal["state"]) == ("by hand", "CHG-8", "proposed")
    reef(console.stand, "proposals", "withdraw", str(proposal["number"]))
    reef(console.stand, "draft", "drop", ident)


def test_two_drafts_are_merged_and_what_both_changed_is_told(console: Console) -> None:
    one, two = console.draft(), console.draft()
    versions = {}
    for draft, keys in ((one, {"R-1": "a", "R-2": "b"}), (two, {"R-1": "c"})):
        version = console.made("amara", "GET", f"/drafts/{draft}")["version"]
        operations = [{"op": "set", "rule": rule, "keys": {"why": why}} for rule, why in keys.items()]
        body = {"version": version, "operations": operations}
        versions[draft] = console.made("amara", "POST", f"/drafts/{draft}/operations", body, seen=version)["version"]
    merged = console.made(
        "amara", "POST", f"/drafts/{two}/merge", {"version": versions[two], "other": one}, seen=versions[two]
    )
    assert [(conflict["name"], conflict["kind"]) for conflict in merged["conflicts"]] == [("R-1", "changed")]
    rows = console.made("amara", "GET", f"/drafts/{two}/rules")["rows"]
    assert [row["why"] for row in rows] == ["c", "b"]


def test_drafts_are_begun_named_and_thrown_away_by_whose_they_are(console: Console) -> None:
    status, draft, headers = console.ask("amara", "POST", "/drafts", {"title": "one"})
    assert (status, headers["Location"]) == (201, f"/api/v1/drafts/{draft['id']}")
    naming, version = {"ticket": "CHG-7"}, draft["version"]
    status, named, headers = console.ask("amara", "PATCH", f"/drafts/{draft['id']}", naming, seen=version)
    assert (status, named["title"], named["ticket"], headers["Reef-Changed"]) == (200, "one", "CHG-7", "yes")
    status, _, headers = console.ask("amara", "PATCH", f"/drafts/{draft['id']}", naming, seen=version)
    assert (status, headers["Reef-Changed"]) == (200, "no")
    assert draft["id"] in {one["id"] for one in console.made("rita", "GET", "/drafts")}
    assert console.ask("ana", "DELETE", f"/drafts/{draft['id']}", seen=version)[0] in (403, 409)
    assert console.ask("amara", "DELETE", f"/drafts/{draft['id']}", seen=version + 1)[0] == 412
    assert console.ask("amara", "DELETE", f"/drafts/{draft['id']}", seen=version)[0] == 204
    assert console.ask("amara", "GET", f"/drafts/{draft['id']}")[0] == 404
    assert console.ask("rita", "POST", "/drafts", {})[0] == 403


def test_dates_stand_in_the_calendar(console: Console) -> None:
    found = console.made("rita", "GET", "/calendar")
    (ends,) = [one for one in found if one["kind"] == "expires"]
    assert (ends["id"], ends["what"], ends["owner"]) == ("R-1", "rule R-1", "it@health.example")
    assert ends["at"] == datetime(2099, 4, 1, tzinfo=UTC).timestamp()
    before = console.made("rita", "GET", f"/calendar?from=0&until={ends['at'] - 1:.0f}")
    assert before == [one for one in found if one["at"] < ends["at"]]


@pytest.mark.parametrize(
    ("question", "rule", "action"),
    [
        ({"source": "10.20.0.7", "destination": "records", "service": "https"}, "R-1", "allow"),
        ({"source": "10.20.0.7", "destination": "10.21.0.11", "service": "https"}, "default", "deny"),
        ({"line": "IN=lan0 OUT=dmz0 SRC=10.20.0.7 DST=10.21.0.9 PROTO=TCP SPT=50000 DPT=22"}, "R-2", "allow"),
    ],
)
def test_a_packet_is_explained_step_by_step(
    console: Console, question: dict[str, Any], rule: str, action: str
) -> None:
    answer = console.made("rita", "POST", "/why", question)["answer"]
    assert (answer["rule"], answer["action"]) == (rule, action)
    assert [step["kind"] for step in answer["steps"]][:3] == ["enters", "source", "route"]
    assert (answer["source_zone"], answer["destination_zone"]) == ("lan", "dmz")


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({}, "bad-request"),
        ({"flow": 4711}, "unknown"),
        ({"line": "nothing"}, "bad-line"),
        ({"source": "10.20.0.7", "destination": "recrods", "service": "https"}, "unknown-name"),
        ({"source": "10.20.0.7", "destination": "records", "service": "httsp"}, "bad-service"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_would_be_right(
    console: Console, question: dict[str, Any], code: str
) -> None:
    status, said, _ = console.ask("rita", "POST", "/why", question)
    assert (status >= 400, said["code"]) == (True, code)
    assert said["detail"]


def test_a_report_is_made_of_what_the_processes_tell(console: Console) -> None:
    """By the press, a child of the console with no rights: as data, as a table, as a page."""
    status, said, headers = console.ask("rita", "GET", "/report?days=7")
    assert (status, headers["Content-Type"]) == (200, "application/json"), said
    assert said["subject"]["site"] == "clinic"
    judged = {one["check"]: one for one in said["judgements"]}
    assert judged["sealed"]["outcome"] == "pass"
    assert judged["owned"]["outcome"] == "pass"
    assert judged["clock_set"]["outcome"] == "unknown"
    assert "root" in judged["clock_set"]["words"], "what was not looked at is no answer"
    figures = {one["id"]: one for one in said["figures"]["figures"]}
    assert figures["rules"]["value"] == 2
    assert figures["applied"]["value"] == len(console.made("rita", "GET", "/generations"))
    assert (figures["alerts-high"]["value"], "alertd" in figures["alerts-high"]["missing"]) == (None, True)
    assert sum(said["figures"]["trends"][0]["lines"][0]["values"]) == figures["applied"]["value"]
    status, page, headers = console.ask("rita", "GET", "/report.pdf?standard=iso-27033-4")
    assert (status, headers["Content-Type"]) == (200, "application/pdf"), page
    assert page.startswith(b"%PDF-")
    assert console.ask("rita", "GET", "/report?days=0")[0] == 400
