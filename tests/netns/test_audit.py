"""The audit trail of a control plane: who did what is in it once, whoever is killed, and is proved to a stranger."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from appliance.control.ipc import RefusedError
from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import (
    MOST_ENTRIES,
    AuditBundles,
    AuditCheckpoint,
    AuditCheckpointIs,
    AuditContinued,
    AuditContinues,
    AuditEntries,
    AuditHealth,
    AuditHealthIs,
    AuditLog,
    AuditNote,
    AuditProof,
    AuditProve,
    WitnessHeard,
    Witnessing,
    WitnessPosts,
    WitnessSaid,
)
from appliance.control.messages.bans import Allow, Allowed
from appliance.control.messages.keys import Seal, Sign, SignCheckpoint
from appliance.control.messages.why import Noted
from appliance.events import record
from appliance.events.spool import Spool
from appliance.events.witnessing import round_of
from appliance.records.checkpoint import open_checkpoint, parse_checkpoint, parse_key, parse_note
from appliance.records.merkle import check_consistency
from appliance.records.proof import Proof, check_proof
from crypto.selfsigned import TlsContext, client_context, self_signed, server_context
from tests.netns.stand import Stand, as_user, policy, reef, rule, until
from tests.witness import Witness

PLANE = ("keyd", "applyd", "policyd", "recordd")


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(PLANE) as running:
        yield running


def entries(stand: Stand, action: str = "", **more: Any) -> list[dict[str, Any]]:
    """The entries, oldest first, each with its number."""
    found = stand.ask(AuditLog(action=action, limit=MOST_ENTRIES, **more), AuditEntries, to="recordd").entries
    return [{"index": one.index, **json.loads(one.body)["audit"]} for one in reversed(found)]


def eventually(stand: Stand, action: str, count: int, **more: Any) -> list[dict[str, Any]]:
    until(lambda: len(entries(stand, action, **more)) >= count, f"{count} entries of {action}", patience=30)
    return entries(stand, action, **more)


def checkpoint(stand: Stand, above: int = 0) -> AuditCheckpointIs:
    """The newest checkpoint, once it is of more than `above` entries."""
    found: list[AuditCheckpointIs] = []

    def newer() -> bool:
        answer = stand.ask(AuditCheckpoint(), AuditCheckpointIs, to="recordd")
        found.append(answer)
        return size_of(answer.note) > above

    eventually(stand, "", 1)
    until(lambda: signed(stand), "a first checkpoint", patience=30)
    until(newer, f"a checkpoint of more than {above} entries", patience=30)
    return found[-1]


def signed(stand: Stand) -> bool:
    try:
        stand.ask(AuditCheckpoint(), AuditCheckpointIs, to="recordd")
    except RefusedError:
        return False
    return True


def size_of(note: bytes) -> int:
    return parse_checkpoint(parse_note(note).text).size


def test_every_change_is_in_the_trail_with_who_did_it_and_why(stand: Stand) -> None:
    first = stand.apply(policy(rule("R-1")), reason="ticket 4711")
    second = stand.apply(policy(rule("R-1"), rule("R-2", "tcp/80")), confirm_within=60)
    stand.ask(messages.Confirm(), messages.Confirmed)
    stand.ask(messages.Ban(("203.0.113.9",), 60, "scans", owner="noc"), messages.BanList)
    stand.ask(messages.Unban(("203.0.113.9",)), messages.BanList)
    stand.ask(Allow(("203.0.113.10",), 0, "a partner", "noc"), Allowed)
    stand.ask(AuditNote("feed.take", "et-open", detail={"revision": "7"}), Noted)
    assert stand.refusal(AuditNote("policy.apply", "generation 99")).code == "not-noted"
    refused = stand.refusal(messages.Apply(policy(rule("R-1")), 99, "too late"))
    eventually(stand, "policy.refuse", 1)

    applied = entries(stand, "policy.apply")
    assert [one["generation"] for one in applied] == [first.generation, second.generation]
    assert applied[0]["why"] == "ticket 4711"
    assert applied[0]["detail"]["digest"] == first.digest
    assert "R-2" in applied[1]["detail"]["what"]
    assert entries(stand, "policy.confirm")[0]["generation"] == second.generation
    assert entries(stand, "policy.confirm")[0]["process"] == "applyd"
    assert [one["action"] for one in entries(stand, "ban.")] == ["ban.add", "ban.remove"]
    assert entries(stand, "ban.add")[0]["object"] == "203.0.113.9"
    assert entries(stand, "ban.add")[0]["record"] == "enforcement"
    assert entries(stand, "allow.add")[0]["why"] == "a partner"
    assert entries(stand, "feed.take")[0]["object"] == "et-open"
    assert entries(stand, "policy.refuse")[0]["detail"]["refused"] == refused.message
    person = applied[0]["actor"]
    assert {one["actor"] for one in entries(stand) if one["process"] == "policyd"} == {person}


def test_a_stranger_with_the_key_checks_what_the_gateway_says(stand: Stand) -> None:
    before = checkpoint(stand)
    stand.ask(messages.Ban(("203.0.113.20",), 60), messages.BanList)
    after = checkpoint(stand, above=size_of(before.note))
    key = parse_key(after.key)
    old, new = (open_checkpoint(one.note, key).checkpoint for one in (before, after))
    grown = stand.ask(AuditContinues(old.size), AuditContinued, to="recordd")
    whole = open_checkpoint(grown.note, key).checkpoint
    assert whole.size >= new.size
    check_consistency(old.size, whole.size, old.root, whole.root, grown.proof)
    banned = entries(stand, "ban.add")[-1]
    proved = stand.ask(AuditProve(banned["index"]), AuditProof, to="recordd")
    assert json.loads(proved.entry)["audit"]["object"] == "203.0.113.20"
    check_proof(Proof(proved.index, proved.proof, proved.note), proved.entry, key)


def test_what_a_process_may_not_write_is_refused_and_written_down(stand: Stand) -> None:
    directory = stand.instance.events_of("watchd")
    with as_user(stand.instance.identity("watchd").uid, (stand.instance.operators,)):
        spool = Spool(directory)
        forged = record.audit("watchd", "eva", "policy.apply", "generation 99", seconds=time.time())
        other = record.audit("policyd", "eva", "ban.add", "192.0.2.1", seconds=time.time())
        honest = record.audit("watchd", "eva", "device.accept", "b8:27:eb:01:02:03", seconds=time.time())
        for event in (forged, other, honest):
            spool.append(record.encode(event), 1)
        spool.close()
    for path in directory.glob("*.log"):
        os.chown(path, -1, stand.instance.operators)
        path.chmod(0o640)
    eventually(stand, "device.accept", 1)
    refused = entries(stand, "trail.refused")
    assert [one["detail"]["why"] for one in refused] == [
        "watchd does not write of policy.apply",
        "it says that policyd wrote it",
    ]
    assert all(one["generation"] != 99 for one in entries(stand, "policy.apply") if "generation" in one)


def test_nothing_is_lost_or_doubled_when_recordd_and_the_writers_are_killed(stand: Stand) -> None:
    chance = random.Random(7)
    banned = []
    for number in range(24):
        address = f"198.51.100.{number + 1}"
        stand.ask(messages.Ban((address,), 600), messages.BanList)
        banned.append(address)
        if number % 4 == 3:
            for name in chance.sample(["recordd", "policyd", "keyd"], 2):
                stand.kill(name)
                stand.start(name)
            for name in ("recordd", "policyd", "keyd"):
                stand.wait_for(name)
    found = eventually(stand, "ban.add", len(banned), words="198.51.100.")
    assert [one["object"] for one in found] == banned
    last = checkpoint(stand, above=found[-1]["index"])
    open_checkpoint(last.note, parse_key(last.key))


def test_the_command_line_shows_proves_and_exports_what_a_stranger_then_checks(stand: Stand, tmp_path: Path) -> None:
    last = entries(stand)[-1]["index"]
    checkpoint(stand, above=last)
    kept = tmp_path / "kept"
    point = reef(stand, "audit", "checkpoint", "--output", str(kept))
    stand.ask(messages.Ban(("203.0.113.77",), 60, "after"), messages.BanList)
    checkpoint(stand, above=point["entries"])
    shown = reef(stand, "audit", "log", "--action", "ban.add", "--limit", "1")
    assert shown[0]["body"]["object"] == "203.0.113.77"
    number = shown[0]["number"]

    entry = tmp_path / "entry.json"
    proved = reef(stand, "audit", "prove", str(number), "--output", str(entry))
    key = f"{kept}.vkey"
    one = ("audit", "verify", "--entry", proved["entry"], "--proof", proved["proof"], "--key", key)
    assert reef(stand, *one)["number"] == number
    entry.write_bytes(entry.read_bytes().replace(b"203.0.113.77", b"203.0.113.78"))
    assert "is not in the tree" in reef(stand, *one, ends=1)["error"]["message"]

    assert reef(stand, "audit", "verify", "--key", key, "--earlier", str(kept))["problems"] == []
    folder = tmp_path / "trail"
    exported = reef(stand, "audit", "export", str(folder))
    offline = ("audit", "verify", "--offline", str(folder), "--key", key, "--earlier", str(kept))
    found = reef(stand, *offline)
    assert (found["problems"], found["entries"]) == ([], exported["entries"])
    bundle = next((folder / "tile" / "entries").rglob("[0-9]*"))
    bundle = next(bundle.iterdir()) if bundle.is_dir() else bundle
    bundle.write_bytes(bundle.read_bytes().replace(b"203.0.113.77", b"203.0.113.78"))
    assert reef(stand, *offline, ends=1)["problems"][0].startswith(f"entry {number} ")


@contextlib.asynccontextmanager
async def served(witness: Witness, folder: Path) -> AsyncIterator[tuple[int, TlsContext]]:
    """The witness over TLS; its port, and a context that trusts it."""

    async def add_checkpoint(request: web.Request) -> web.Response:
        status, body = witness.add_checkpoint(await request.read())
        return web.Response(status=status, body=body)

    key, certificate = self_signed(["localhost"], datetime.datetime.now(datetime.UTC))
    (folder / "key.pem").write_bytes(key)
    (folder / "certificate.pem").write_bytes(certificate)
    application = web.Application()
    application.router.add_post("/add-checkpoint", add_checkpoint)
    runner = web.AppRunner(application)
    await runner.setup()
    context = server_context(folder / "key.pem", folder / "certificate.pem")
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1], client_context(folder / "certificate.pem")
    finally:
        await runner.cleanup()


def audit_troubles(stand: Stand) -> tuple[str, ...]:
    return stand.ask(AuditHealth(), AuditHealthIs, to="recordd").troubles


def test_a_witness_of_the_policy_cosigns_over_tls(stand: Stand, tmp_path: Path) -> None:
    stand.apply(policy(rule("R-1")))
    point = checkpoint(stand)
    witness = Witness(parse_key(point.key))

    async def carried() -> None:
        async with served(witness, tmp_path) as (port, context), aiohttp.ClientSession() as session:
            said = f"key: {witness.key.encode()}, address: 'https://localhost:{port}/', owner: noc@stand.example"
            text = policy(rule("R-1")) + f"audit:\n  witnesses:\n    w1: {{{said}}}\n"
            await asyncio.to_thread(stand.apply, text)
            deadline = time.monotonic() + 30
            while not witness.last.size:
                assert time.monotonic() < deadline, reef(stand, "audit", "witnesses")
                with as_user(stand.instance.identity("alertd").uid):
                    await round_of(stand.instance.socket("recordd"), session, context)
                await asyncio.sleep(0.1)

    asyncio.run(carried())
    assert audit_troubles(stand) == ()
    [listed] = reef(stand, "audit", "witnesses")["witnesses"]
    assert (listed["name"], listed["size"], listed["words"]) == ("w1", witness.last.size, "")
    answer = stand.ask(AuditCheckpoint(), AuditCheckpointIs, to="recordd")
    opened = open_checkpoint(answer.cosigned, parse_key(answer.key), [witness.key])
    assert [one.witness for one in opened.cosigned] == [witness.key.name]
    assert stand.refusal(Witnessing(), to="recordd").code == "not-allowed"  # root is not alertd
    stand.ask(messages.Ban(("203.0.113.91",), 60), messages.BanList)
    checkpoint(stand, above=witness.last.size)

    def gone() -> bool:
        """Its service has ended: it is asked, and does not answer."""
        with as_user(stand.instance.identity("alertd").uid):
            posts = stand.ask(Witnessing(), WitnessPosts, to="recordd").posts
            for post in posts:
                stand.ask(WitnessSaid(post.name, 0, b"it cannot be reached"), WitnessHeard, to="recordd")
        return bool(posts)

    until(gone, "a checkpoint is due at the witness", patience=30)
    assert audit_troubles(stand) == ("witness w1: it cannot be reached",)
    findings = reef(stand, "doctor", ends=1)["findings"]
    assert "witness w1: it cannot be reached" in [one["what"] for one in findings]


def test_a_hold_is_set_and_released_by_somebody(stand: Stand) -> None:
    put = reef(stand, "audit", "hold", "set", "case-7", "--words", "203.0.113.9", "--why", "a court asks")
    assert [(one["name"], one["words"], one["why"]) for one in put["holds"]] == [
        ("case-7", "203.0.113.9", "a court asks")
    ]
    assert put["kept"]["administration"] == 3650 * 86_400
    assert reef(stand, "audit", "hold")["holds"] == put["holds"]
    assert "already" in reef(stand, "audit", "hold", "set", "case-7", "--why", "x", ends=1)["error"]["message"]
    assert reef(stand, "audit", "hold", "release", "case-7")["holds"] == []
    eventually(stand, "record.release", 1)
    assert entries(stand, "record.hold")[0]["why"] == "a court asks"


def test_keyd_signs_no_trail_that_shrank_and_nothing_for_others(stand: Stand) -> None:
    stand.apply(policy(rule("R-1")))
    size = size_of(checkpoint(stand).note)
    asked = SignCheckpoint(size - 1, bytes(32))
    assert stand.refusal(asked, to="keyd").code == "not-allowed"  # to root
    with as_user(stand.instance.identity("recordd").uid):
        assert stand.refusal(asked, to="keyd").code == "shrunk"
        assert stand.refusal(Sign("0" * 64), to="keyd").code == "not-allowed"
        assert stand.refusal(Seal(b"short"), to="keyd").code == "bad-digest"
    with as_user(stand.instance.identity("policyd").uid):
        assert stand.refusal(asked, to="keyd").code == "not-allowed"
        assert stand.refusal(Seal(bytes(64)), to="keyd").code == "not-allowed"


def test_who_is_nobody_learns_nothing(stand: Stand) -> None:
    with as_user(65534):
        assert stand.refusal(AuditLog(), to="recordd").code == "not-allowed"
        assert stand.refusal(AuditBundles(0, 1, 1), to="recordd").code == "not-allowed"
