"""Drafts and proposals at the daemons themselves: people ask as the console asks for them, policyd decides.

Four eyes, roles, zones, the glass, plans, two people at one text; and that a kill loses nothing of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from appliance.control import ipc
from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import AuditEntries, AuditLog
from appliance.control.messages.changes import (
    Acting,
    AmendProposal,
    ApplyProposal,
    ApproveProposal,
    CommentProposal,
    Draft,
    DraftChecked,
    DraftList,
    Drafts,
    DraftText,
    DraftTextIs,
    DropDraft,
    Edit,
    EditDraft,
    Marks,
    MarksAre,
    Merged,
    MergeDraft,
    OpenDraft,
    PlanDraft,
    Proposal,
    ProposalList,
    Proposals,
    ProposalShown,
    Propose,
    RedoDraft,
    RejectProposal,
    ScheduleProposal,
    SetDraft,
    ShowProposal,
    UndoDraft,
    WithdrawProposal,
)
from appliance.control.messages.why import Noted
from tests.netns.stand import POLICY, Stand, as_user, policy, reef, rule, until

T = TypeVar("T")

SESSION = "10.20.0.7 50000 10.20.0.1 8444"
DMZ = "  dmz: {role: dmz, interfaces: [dmz0], networks: [10.30.0.0/16]}\n"
LOGIN = ipc.Peer(os.getpid(), os.getuid(), os.getgid()).name  # who runs the tests, as policyd sees them
PEOPLE = f"""\
console:
  approvals: 1
  people:
    amara: {{name: Amara Diaz, mail: amara@stand.example, roles: [editor]}}
    zoe: {{name: Zoe Ash, mail: zoe@stand.example, roles: [editor], zones: [lan, internet]}}
    ben: {{name: Ben Cho, mail: ben@stand.example, roles: [approver]}}
    cleo: {{name: Cleo May, mail: cleo@stand.example, roles: [approver]}}
    zed: {{name: Zed Ash, mail: zed@stand.example, roles: [approver], zones: [lan, internet]}}
    {LOGIN}: {{name: At A Shell, mail: shell@stand.example, roles: [approver]}}
    olu: {{name: Olu Obi, mail: olu@stand.example, roles: [auditor]}}
    eve: {{name: Eve Ito, mail: eve@stand.example, roles: [reader]}}
    ana: {{name: Ana Ruiz, mail: ana@stand.example, roles: [administrator], break_glass: yes}}
    ari: {{name: Ari Ruiz, mail: ari@stand.example, roles: [administrator]}}
"""
HEAD = POLICY.replace("connections:", DMZ + "connections:") + PEOPLE
BASE = policy(rule("R-1"), rule("R-2", service="tcp/80"), rule("R-3", origin="dmz"), head=HEAD)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(("keyd", "applyd", "policyd", "recordd")) as found:
        yield found


@pytest.fixture
def gateway(stand: Stand) -> Stand:
    """What the tests begin with runs."""
    running = stand.status().running
    if not running:
        stand.apply(BASE)
    elif stand.ask(messages.Show(), messages.Shown).text != BASE:
        begin = messages.Apply(BASE, running, "begin", confirm_within=0, break_glass="the next test")
        stand.ask(begin, messages.Applied)
    return stand


def asks(stand: Stand, person: str, request: messages.Request, reply: type[T], *, of: str = "policyd") -> T:
    """What a person asks through the console."""
    wrapped = Acting(person, SESSION, msgspec.json.encode(request))
    with as_user(stand.instance.identity("console").uid):
        return ipc.call(stand.instance.socket(of), wrapped, reply, timeout=30)


def refused(stand: Stand, person: str, request: messages.Request, *, of: str = "policyd") -> str:
    """The code that it is refused with."""
    try:
        answer = asks(stand, person, request, object, of=of)
    except ipc.RefusedError as error:
        return error.reply.code
    raise AssertionError(f"not refused: {answer}")


def edited(stand: Stand, person: str, old: str, new: str) -> DraftChecked:
    """A new draft of what runs, with one change."""
    draft = asks(stand, person, OpenDraft("a change"), Draft)
    at = asks(stand, person, DraftText(draft.id), DraftTextIs).text.index(old)
    return asks(stand, person, EditDraft(draft.id, 1, (Edit(at, at + len(old), new),)), DraftChecked)


def proposed(stand: Stand, person: str = "amara", old: str = "tcp/80", new: str = "tcp/8080") -> Proposal:
    draft = edited(stand, person, old, new).draft
    found = asks(stand, person, Propose(draft.id, "another\nport", "it moved", "T-1"), Proposal)
    asks(stand, person, DropDraft(draft.id), Noted)
    return found


def state(stand: Stand, number: int) -> str:
    return asks(stand, "eve", ShowProposal(number), ProposalShown).proposal.state


def service_of(stand: Stand, ident: str) -> str:
    text = stand.ask(messages.Show(), messages.Shown).text
    return text.split(f"id: {ident}\n")[1].split("service: ")[1].split("\n")[0]


# --- drafts -------------------------------------------------------------------------------------------


def test_a_draft_is_checked_and_proven_as_it_is_edited(gateway: Stand) -> None:
    checked = edited(gateway, "amara", "tcp/80", "tcp/443")
    assert checked.ok
    assert checked.proof is not None
    (dead,) = (one for one in checked.proof.shown if one.kind == "dead")
    assert (dead.rule, dead.others) == ("R-2", ("R-1",))
    assert dead.line == BASE[: BASE.index("id: R-2")].count("\n") + 1
    assert any("R-2" in finding.message for finding in checked.findings)
    ident = checked.draft.id
    broken = asks(gateway, "amara", EditDraft(ident, 2, (Edit(0, 0, "nonsense: 1\n"),)), DraftChecked)
    assert not broken.ok
    assert broken.proof is None
    assert (broken.draft.version, broken.draft.undo) == (3, 2)
    back = asks(gateway, "amara", UndoDraft(ident, 3), DraftChecked)
    assert back.edits == (Edit(0, 12, ""),)
    again = asks(gateway, "amara", UndoDraft(ident, 4), DraftChecked)
    assert asks(gateway, "eve", DraftText(ident), DraftTextIs).text == BASE
    assert (again.draft.undo, again.draft.redo) == (0, 2)
    asks(gateway, "amara", RedoDraft(ident, 5), DraftChecked)
    whole = asks(gateway, "amara", SetDraft(ident, 6, BASE.replace("tcp/80", "tcp/81")), DraftChecked)
    assert whole.draft.redo == 0
    assert len(asks(gateway, "amara", PlanDraft(ident), messages.Planned).changes) == 1
    asks(gateway, "amara", DropDraft(ident), Noted)


def test_two_editors_at_once_do_not_overwrite_each_other(gateway: Stand) -> None:
    mine = edited(gateway, "amara", "tcp/80", "tcp/8080").draft
    edit = EditDraft(mine.id, 1, (Edit(0, 0, "# late\n"),))
    assert refused(gateway, "amara", edit) == "version"  # a second window that did not see the first one's change
    assert refused(gateway, "zoe", msgspec.structs.replace(edit, version=2)) == "not-yours"
    theirs = edited(gateway, "zoe", "tcp/443", "tcp/8443").draft
    merged = asks(gateway, "amara", MergeDraft(mine.id, 2, theirs.id), Merged)
    assert merged.conflicts == ()
    text = asks(gateway, "amara", DraftText(mine.id), DraftTextIs).text
    assert "tcp/8080" in text
    assert "tcp/8443" in text
    conflicting = edited(gateway, "zoe", "tcp/80", "tcp/9999").draft
    clash = asks(gateway, "amara", MergeDraft(mine.id, 3, conflicting.id), Merged)
    assert [one.what for one in clash.conflicts] == ["rule R-2"]
    for person, draft in (("amara", mine), ("zoe", theirs), ("zoe", conflicting)):
        asks(gateway, person, DropDraft(draft.id), Noted)


def test_drafts_are_bounded_and_outlive_a_kill(gateway: Stand) -> None:
    draft = edited(gateway, "amara", "tcp/80", "tcp/8080").draft
    before = gateway.ask(Marks(), MarksAre)
    gateway.stop("policyd", signal.SIGKILL)
    gateway.start("policyd")
    gateway.wait_for("policyd")
    assert gateway.ask(Marks(), MarksAre) == before
    kept = asks(gateway, "amara", DraftText(draft.id), DraftTextIs)
    assert "tcp/8080" in kept.text
    assert asks(gateway, "amara", UndoDraft(draft.id, kept.draft.version), DraftChecked).draft.redo == 1
    opened = [asks(gateway, "amara", OpenDraft(f"{number}", text="x"), Draft) for number in range(19)]
    assert refused(gateway, "amara", OpenDraft()) == "full"
    assert asks(gateway, "zoe", OpenDraft(text="x"), Draft).person == "zoe"
    assert refused(gateway, "zoe", DropDraft(opened[0].id)) == "not-yours"
    for one in asks(gateway, "eve", Drafts(), DraftList).drafts:
        gateway.ask(DropDraft(one.id), Noted)  # root tidies up after everybody
    assert asks(gateway, "eve", Drafts(), DraftList).drafts == ()


# --- four eyes ----------------------------------------------------------------------------------------


def test_nothing_runs_that_no_other_approved(gateway: Stand) -> None:
    other = BASE.replace("tcp/80", "tcp/8091")
    running = gateway.status().running
    assert gateway.refusal(messages.Apply(other, running, "now")).code == "approval"  # not even root's
    found = proposed(gateway)
    assert (found.state, found.approvals, found.needed) == ("proposed", 0, 1)
    assert refused(gateway, "ana", ApplyProposal(found.number, found.digest)) == "approval"
    assert refused(gateway, "amara", ApproveProposal(found.number, found.digest)) == "not-allowed"
    approved = asks(gateway, "ben", ApproveProposal(found.number, found.digest, "fine"), Proposal)
    assert (approved.state, approved.approvals) == ("approved", 1)
    shown = asks(gateway, "eve", ShowProposal(found.number), ProposalShown)
    assert shown.planned is not None
    assert [change.what for change in shown.planned.changes] == ["rule R-2"]
    assert [(one.person, one.holds) for one in shown.approvals] == [("ben", True)]
    done = asks(gateway, "ben", ApplyProposal(found.number, found.digest, 0), messages.Applied)
    assert service_of(gateway, "R-2") == "tcp/8080"
    assert state(gateway, found.number) == "confirmed"
    summary = gateway.ask(messages.History(1), messages.HistoryList).generations[0]
    assert (summary.generation, summary.author) == (done.generation, "ben")
    assert summary.reason == f"proposal {found.number}: another?port (T-1)"


def test_an_approved_text_may_be_applied_at_a_shell(gateway: Stand) -> None:
    found = proposed(gateway)
    asks(gateway, "cleo", ApproveProposal(found.number, found.digest), Proposal)
    gateway.apply(BASE.replace("tcp/80", "tcp/8080"))
    assert state(gateway, found.number) == "confirmed"


def test_amending_takes_approvals_away_and_who_amends_does_not_approve(gateway: Stand) -> None:
    found = proposed(gateway)
    asks(gateway, "ben", ApproveProposal(found.number, found.digest), Proposal)
    text = BASE.replace("tcp/80", "tcp/8081")
    amended = asks(gateway, "cleo", AmendProposal(found.number, found.digest, text, "8081 it is"), Proposal)
    assert (amended.state, amended.approvals, amended.writers) == ("proposed", 0, ("amara", "cleo"))
    assert refused(gateway, "ben", ApproveProposal(found.number, found.digest)) == "digest"
    assert refused(gateway, "cleo", ApproveProposal(found.number, amended.digest)) == "own"
    assert asks(gateway, "ben", ApproveProposal(found.number, amended.digest), Proposal).agreed == ("ben",)
    assert state(gateway, found.number) == "approved"
    assert refused(gateway, "amara", AmendProposal(found.number, amended.digest, "reef: 1\n")) == "policy"
    assert refused(gateway, "ben", WithdrawProposal(found.number)) == "not-allowed"
    assert refused(gateway, "zoe", WithdrawProposal(found.number)) == "not-yours"
    asks(gateway, "amara", WithdrawProposal(found.number, "not needed"), Proposal)
    assert refused(gateway, "ben", ApplyProposal(found.number, amended.digest)) == "state"


def test_what_is_rejected_cannot_be_applied(gateway: Stand) -> None:
    found = proposed(gateway)
    commented = CommentProposal(found.number, "<script>alert(1)</script> why?", "R-2")
    asks(gateway, "ben", commented, Proposal)
    asks(gateway, "ben", ApproveProposal(found.number, found.digest), Proposal)
    asks(gateway, "cleo", RejectProposal(found.number, "the port is taken"), Proposal)
    assert refused(gateway, "ben", ApplyProposal(found.number, found.digest)) == "state"
    shown = asks(gateway, "eve", ShowProposal(found.number), ProposalShown)
    assert (shown.proposal.state, shown.proposal.note) == ("rejected", "the port is taken")
    assert [(one.person, one.words, one.rule) for one in shown.comments] == [("ben", commented.words, "R-2")]
    assert [step.action for step in shown.history] == ["propose", "approve", "reject"]
    listed = asks(gateway, "eve", Proposals("rejected"), ProposalList).proposals
    assert found.number in [one.number for one in listed]


def test_who_loses_the_role_no_longer_counts(gateway: Stand) -> None:
    found = proposed(gateway)
    asks(gateway, "cleo", ApproveProposal(found.number, found.digest), Proposal)
    fewer = BASE.replace("cleo@stand.example, roles: [approver]", "cleo@stand.example, roles: [reader]")
    request = messages.Apply(fewer, gateway.status().running, "cleo moves on", confirm_within=0, break_glass="a test")
    gateway.ask(request, messages.Applied)
    assert state(gateway, found.number) == "proposed"
    assert refused(gateway, "ben", ApplyProposal(found.number, found.digest)) == "approval"


def test_the_glass_breaks_for_those_who_may_and_is_heard(gateway: Stand) -> None:
    running = gateway.status().running
    apply = messages.Apply(BASE.replace("tcp/80", "tcp/82"), running, "urgent", confirm_within=0)
    broken = msgspec.structs.replace(apply, break_glass="the ward is cut off")
    assert refused(gateway, "ari", apply) == "approval"
    assert refused(gateway, "ari", broken) == "not-allowed"
    assert refused(gateway, "ben", broken) == "not-allowed"
    done = asks(gateway, "ana", broken, messages.Applied)
    assert service_of(gateway, "R-2") == "tcp/82"
    assert "ana applied generation" in gateway.words()

    def entries() -> list[bytes]:
        found = gateway.ask(AuditLog(action="policy.break-glass"), AuditEntries, to="recordd").entries
        return [one.body for one in found if f"generation {done.generation}".encode() in one.body]

    until(entries, "the broken glass is on the trail")
    assert b"the ward is cut off" in entries()[0]
    assert b"console 10.20.0.7" in entries()[0]


# --- zones, roles, strangers --------------------------------------------------------------------------


def test_zones_bound_what_a_person_proposes(gateway: Stand) -> None:
    assert proposed(gateway, "zoe").state == "proposed"
    dmz = "from: dmz\n    to: internet\n    service: tcp/"
    outside = edited(gateway, "zoe", f"{dmz}443", f"{dmz}22")
    assert refused(gateway, "zoe", Propose(outside.draft.id)) == "zones"
    asks(gateway, "zoe", DropDraft(outside.draft.id), Noted)
    settings = edited(gateway, "zoe", "approvals: 1", "approvals: 0")
    assert refused(gateway, "zoe", Propose(settings.draft.id)) == "zones"
    asks(gateway, "zoe", DropDraft(settings.draft.id), Noted)
    found = proposed(gateway)
    outside_text = BASE.replace("role: dmz", "role: guest")
    assert refused(gateway, "zoe", AmendProposal(found.number, found.digest, outside_text)) == "zones"


def test_zones_bound_what_a_person_decides(gateway: Stand) -> None:
    """Approve, reject, plan, apply, go back: of what is beyond their zones others decide."""
    dmz = "from: dmz\n    to: internet\n    service: tcp/"
    beyond = proposed(gateway, "amara", f"{dmz}443", f"{dmz}22")
    number, digest = beyond.number, beyond.digest
    steps = (
        ApproveProposal(number, digest),
        RejectProposal(number, "no"),
        ScheduleProposal(number, time.time() + 600),
        ApplyProposal(number, digest, session=SESSION),
    )
    for step in steps:
        assert refused(gateway, "zed", step) == "zones", step
    before = gateway.status().running
    asks(gateway, "ben", ApproveProposal(number, digest), Proposal)
    done = asks(gateway, "ben", ApplyProposal(number, digest, 0, session=SESSION), messages.Applied)
    assert refused(gateway, "zed", messages.Rollback(before)) == "zones"
    theirs = proposed(gateway, "amara")
    agreed = asks(gateway, "zed", ApproveProposal(theirs.number, theirs.digest), Proposal)
    assert agreed.state == "approved"
    asks(gateway, "zed", ApplyProposal(theirs.number, theirs.digest, 0, session=SESSION), messages.Applied)
    back = asks(gateway, "zed", messages.Rollback(done.generation), messages.Applied)
    assert back.generation == done.generation + 2


def test_readers_read_and_strangers_do_nothing(gateway: Stand) -> None:
    for request in (OpenDraft(), Propose("x"), CommentProposal(1, "x"), ApproveProposal(1, ""), ApplyProposal(1, "")):
        assert refused(gateway, "eve", request) == "not-allowed", request
        assert refused(gateway, "mallory", request) == "nobody", request
    assert asks(gateway, "eve", messages.Status(), messages.StatusReport).running == gateway.status().running


def test_the_trail_is_for_auditors(gateway: Stand) -> None:
    assert asks(gateway, "olu", AuditLog(), AuditEntries, of="recordd").size
    for person in ("eve", "amara", "ben", "ana"):
        assert refused(gateway, person, AuditLog(), of="recordd") == "not-allowed", person
    with as_user(gateway.instance.identity("console").uid):
        assert gateway.refusal(AuditLog(), to="recordd").code == "not-allowed"


def test_what_is_not_wrapped_is_refused_to_the_console(gateway: Stand) -> None:
    with as_user(gateway.instance.identity("console").uid):
        for request in (OpenDraft(), messages.Rollback(), messages.Ban(("192.0.2.1",)), Drafts()):
            assert gateway.refusal(request).code == "not-allowed"
        assert gateway.ask(messages.Status(), messages.StatusReport).site == "stand"
    with as_user(gateway.instance.identity("alertd").uid):
        wrapped = Acting("ana", SESSION, msgspec.json.encode(messages.Confirm()))
        assert gateway.refusal(wrapped).code == "not-allowed"


def test_a_confirm_through_the_console_counts_from_a_new_connection_only(gateway: Stand) -> None:
    found = proposed(gateway)
    asks(gateway, "ben", ApproveProposal(found.number, found.digest), Proposal)
    asks(gateway, "ben", ApplyProposal(found.number, found.digest, 300), messages.Applied)
    assert state(gateway, found.number) == "applied"
    assert refused(gateway, "ben", messages.Confirm()) == "old-connection"
    asks(gateway, "ben", messages.Rollback(reason="it breaks"), messages.Applied)
    until(lambda: state(gateway, found.number) == "rolled-back", "what was taken back is told")
    asks(gateway, "ben", ApplyProposal(found.number, found.digest, 300), messages.Applied)  # once more
    gateway.ask(messages.Confirm(), messages.Confirmed)
    until(lambda: state(gateway, found.number) == "confirmed", "what was confirmed is told")


# --- later --------------------------------------------------------------------------------------------


def soon(stand: Stand, person: str, number: int) -> None:
    """Plan it for a moment that is near, and still to come when policyd hears of it, however busy the machine is."""
    for seconds in (1, 2, 4, 8, 16, 32):
        try:
            asks(stand, person, ScheduleProposal(number, time.time() + seconds, 0), Proposal)
        except ipc.RefusedError as error:
            assert error.reply.code == "bad-time"
        else:
            return
    raise AssertionError("32 s were over before they were heard of")


def test_what_is_planned_runs_when_its_time_comes(gateway: Stand) -> None:
    found = proposed(gateway)
    assert refused(gateway, "ben", ScheduleProposal(found.number, time.time() - 60)) == "bad-time"
    asks(gateway, "ben", ApproveProposal(found.number, found.digest), Proposal)
    far = asks(gateway, "cleo", ScheduleProposal(found.number, time.time() + 86_400, 0), Proposal)
    assert far.state == "scheduled"
    soon(gateway, "cleo", found.number)
    until(lambda: state(gateway, found.number) == "confirmed", "it runs at its time")
    summary = gateway.ask(messages.History(1), messages.HistoryList).generations[0]
    assert summary.author == "cleo"
    assert service_of(gateway, "R-2") == "tcp/8080"


def test_what_nobody_approved_by_then_does_not_run(gateway: Stand) -> None:
    found = proposed(gateway)
    soon(gateway, "ben", found.number)

    def missed() -> bool:
        shown = asks(gateway, "eve", ShowProposal(found.number), ProposalShown)
        return "missed" in [step.action for step in shown.history]

    until(missed, "that it was not approved is told")
    assert state(gateway, found.number) == "proposed"
    assert service_of(gateway, "R-2") == "tcp/80"


def test_another_change_is_merged_in_or_makes_it_stale(gateway: Stand) -> None:
    clean, clash = proposed(gateway), proposed(gateway, new="tcp/9999")
    for one in (clean, clash):
        asks(gateway, "ben", ApproveProposal(one.number, one.digest), Proposal)
    meanwhile = BASE.replace("  - id: R-3", rule("R-9", service="udp/53") + "  - id: R-3")
    gateway.ask(
        messages.Apply(meanwhile, gateway.status().running, "dns", confirm_within=0, break_glass="a test"),
        messages.Applied,
    )
    asks(gateway, "ben", ApplyProposal(clean.number, clean.digest, 0), messages.Applied)
    assert (service_of(gateway, "R-2"), service_of(gateway, "R-9")) == ("tcp/8080", "udp/53")
    assert refused(gateway, "ben", ApplyProposal(clash.number, clash.digest, 0)) == "conflict"
    assert refused(gateway, "ben", ApplyProposal(clash.number, clash.digest, 0)) == "state"
    assert state(gateway, clash.number) == "stale"
    text = gateway.ask(messages.Show(), messages.Shown).text.replace("tcp/8080", "tcp/9999")
    amend = AmendProposal(clash.number, clash.digest, text, "again", base=gateway.status().running)
    assert asks(gateway, "amara", amend, Proposal).state == "proposed"


# --- at a shell ---------------------------------------------------------------------------------------


def test_the_command_line_proposes_approves_and_applies(gateway: Stand, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(BASE.replace("tcp/80", "tcp/8099"))
    assert reef(gateway, "apply", str(file), "--yes", "--confirm-within", "0", ends=4)["error"]["code"] == "approval"
    made = reef(gateway, "propose", str(file), "--title", "another port", "--ticket", "T-7")
    assert (made["state"], made["author"]) == ("proposed", LOGIN)
    number = str(made["number"])
    assert reef(gateway, "approve", number, "--yes", ends=1)["error"]["code"] == "own"
    assert reef(gateway, "draft", "list")["drafts"] == []
    reef(gateway, "proposals", "comment", number, "looks fine", "--rule", "R-2")
    reef(gateway, "proposals", "withdraw", number)
    theirs = proposed(gateway)
    assert reef(gateway, "approve", str(theirs.number), "--yes")["state"] == "approved"
    shown = reef(gateway, "proposals", "show", str(theirs.number))
    assert [one["person"] for one in shown["approvals"] if one["holds"]] == [LOGIN]
    reef(gateway, "apply", "--proposal", str(theirs.number), "--yes", "--confirm-within", "0")
    listed = reef(gateway, "proposals")["proposals"]
    assert [(one["number"], one["state"]) for one in listed[:2]] == [
        (theirs.number, "confirmed"),
        (made["number"], "withdrawn"),
    ]
    assert service_of(gateway, "R-2") == "tcp/8080"


def test_the_glass_is_broken_at_a_shell(gateway: Stand, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(BASE.replace("tcp/80", "tcp/83"))
    words = ("--yes", "--confirm-within", "0", "--break-glass", "the ward is cut off")
    assert reef(gateway, "apply", str(file), *words)["generation"] == gateway.status().running
    assert f"{LOGIN} applied generation" in gateway.words()
