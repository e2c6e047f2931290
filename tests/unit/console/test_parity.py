"""Everything the console can do, `reef` can do: for each endpoint the verb that does the same, or why there is none.

A new endpoint without a line here fails, and so does a line whose verb is gone. Over SSH every verb runs there as
it is; over `--gateway https://…` what asks a process runs, and what reads files of the gateway says so.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest

from appliance.cli import build_parser
from appliance.console.api import NOUNS
from appliance.console.registry import endpoints

FILE, ID = "policy.yaml", "4711"

# The command line that does what the endpoint does.
VERBS = {
    "GET /status": "show status",
    "GET /health": "doctor",
    "GET /drafts": "draft list",
    "POST /drafts": "draft open",
    "GET /drafts/{id}": f"draft show {ID}",
    "PATCH /drafts/{id}": f"draft name {ID} --title words",
    "DELETE /drafts/{id}": f"draft drop {ID}",
    "GET /drafts/{id}/text": f"draft show {ID}",
    "PATCH /drafts/{id}/text": f"draft set {ID} {FILE}",
    "PUT /drafts/{id}/text": f"draft set {ID} {FILE}",
    "GET /drafts/{id}/proof": f"draft check {ID}",
    "POST /drafts/{id}/undo": f"draft undo {ID}",
    "POST /drafts/{id}/redo": f"draft redo {ID}",
    "GET /drafts/{id}/plan": f"draft plan {ID}",
    "GET /drafts/{id}/impact": f"impact {FILE}",
    "POST /drafts/{id}/merge": f"draft merge {ID}",
    "POST /drafts/{id}/propose": f"draft propose {ID}",
    "GET /drafts/{id}/rules": f"draft show {ID}",
    "POST /drafts/{id}/operations": f"draft set {ID} {FILE}",
    "PUT /drafts/{id}/rules.csv": f"draft set {ID} {FILE}",
    "GET /drafts/{id}/objects": f"draft show {ID}",
    "GET /drafts/{id}/uses/{name}": f"where-used records --file {FILE}",
    "GET /notices": "notices",
    "POST /notices/seen": "notices --seen",
    "GET /proposals": "proposals list",
    "GET /proposals/{number}": "proposals show 7",
    "GET /proposals/{number}/impact": f"impact {FILE}",
    "POST /proposals/{number}/comments": "proposals comment 7 words",
    "POST /proposals/{number}/approve": "approve 7",
    "POST /proposals/{number}/reject": "reject 7 --why words",
    "POST /proposals/{number}/amend": f"proposals amend 7 {FILE}",
    "POST /proposals/{number}/try": f"plan {FILE}",
    "POST /proposals/{number}/try/impact": f"impact {FILE}",
    "POST /proposals/{number}/withdraw": "proposals withdraw 7",
    "POST /proposals/{number}/schedule": "proposals schedule 7 2027-03-01T22:30",
    "POST /proposals/{number}/apply": "apply --proposal 7",
    "GET /report": "report --json",
    "GET /report.csv": "report --format csv",
    "GET /report.pdf": "report --format pdf --output report.pdf",
    "GET /rules": "show rules",
    "GET /rules.csv": "show rules --csv",
    "GET /objects": "show generation",
    "GET /uses/{name}": "where-used records",
    "GET /generations": "history",
    "GET /generations/{number}": "show generation 7",
    "GET /generations/{number}/text": "show generation 7",
    "GET /seals": "history --verify",
    "GET /generations/{number}/difference": "diff 6 7",
    "POST /running/confirm": "confirm",
    "POST /running/rollback": "rollback 6",
    "GET /calendar": "show rules --expiring",
    "POST /why": "why --from lan --to internet tcp/443",
    "GET /inspection": "show generation",
    "GET /topology": "show zones",
    "GET /lines": "show lines",
    "GET /lines/{name}": "show lines",
    "GET /connections": "show connections",
    "GET /flows": "show flows",
    "GET /flows/{id}": "show flows --json",
    "GET /alerts": "log --type alert",
    "GET /alerts/{id}": "log --type alert --json",
    "GET /alerts/counts": "ips top",
    "POST /alerts/{id}/suppression": "ips suppress 1000001 --for 10.20.0.7 --why w --owner it --expires 2027-03-31",
    "POST /alerts/{id}/evidence": "evidence make --alert 1",
    "GET /bans": "ban list",
    "GET /bans/effect": "ban add 203.0.113.9 --try",
    "POST /bans": "ban add 203.0.113.9",
    "DELETE /bans": "ban remove 203.0.113.9",
    "GET /allow": "allow list",
    "POST /allow": "allow add 203.0.113.9",
    "DELETE /allow": "allow remove 203.0.113.9",
    "GET /gate": "ban gate",
    "GET /gate/prefixes": "ban find 203.0.113.9",
    "DELETE /gate/lists/{name}": "ban remove --list bad",
    "GET /devices": "devices list",
    "POST /devices/accept": "devices accept b8:27:eb:01:02:03",
    "POST /devices/quarantine": "devices quarantine b8:27:eb:01:02:03",
    "POST /devices/forget": "devices forget b8:27:eb:01:02:03",
    "GET /indicators": "indicators list",
    "POST /indicators/override": "indicators override 203.0.113.9 --why words",
    "POST /indicators/restore": "indicators restore 203.0.113.9",
    "GET /sessions": "console sessions",
    "DELETE /sessions": "console revoke amara",
    "DELETE /sessions/{id}": "console revoke amara --session 1",
    "DELETE /tokens/{id}": "console revoke amara --tokens",
    "GET /accounts": "console people",
    "GET /accounts/{id}": "console people",
    "POST /accounts/{id}/invite": "console invite amara",
    "DELETE /accounts/{id}/passkeys/{name}": "console invite amara --reset",
    "DELETE /accounts/{id}/passphrase": "console invite amara --reset",
    "GET /audit": "audit log",
    "GET /audit/health": "doctor",
    "GET /consumers": "consumers list",
}

_BROWSER = "it is about the browser or the program that somebody comes in with, and is done there"
# Why there is no verb.
NONE = {
    "GET /live": "it is how a page hears of changes; `reef log --follow` follows events",
    "POST /ask/{process}": "it is how `reef --gateway https://…` asks",
    "GET /drafts/{id}/completion": "it is for an editor; `reef schema` gives other editors what they complete from",
    "GET /drafts/{id}/rules.csv": "it is a form of what `reef draft show` prints; of what runs: `show rules --csv`",
    "GET /links": "the link of somebody else is agreed to by a second person in the console; root's own needs nobody",
    "POST /links/{id}/agree": "the link of somebody else is agreed to by a second person in the console",
    "DELETE /links/{id}": "the link of somebody else is refused by a second person in the console",
    **dict.fromkeys(
        (
            "GET /me", "GET /me/credentials", "POST /me/passkeys", "POST /me/passkeys/options",
            "DELETE /me/passkeys/{name}", "POST /me/app", "PUT /me/passphrase", "DELETE /me/passphrase",
            "POST /me/proof", "POST /me/proof/options", "GET /tokens", "POST /tokens",
        ),
        _BROWSER,
    ),
}  # fmt: skip


def called() -> Iterator[str]:
    for one in endpoints(NOUNS):
        yield f"{one.method} {one.path}"


def test_every_endpoint_has_its_verb_or_a_reason() -> None:
    known = {*VERBS, *NONE}
    assert not VERBS.keys() & NONE.keys()
    assert sorted(set(called()) - known) == [], "say which verb does the same, or why none does"
    assert sorted(known - set(called())) == [], "there are no such endpoints any more"


@pytest.mark.parametrize("line", sorted(set(VERBS.values())))
def test_the_verb_is_there(line: str) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = build_parser().parse_args(line.split())
    except SystemExit:
        pytest.fail(f"reef {line}: {said.getvalue()}")
    assert options.runs
