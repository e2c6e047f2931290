"""alertd on a gateway: what other processes write is in its outbox, labelled, and survives whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from appliance.control.messages.events import ConsumerList, Consumers
from appliance.control.messages.privacy import FindSubject, SubjectFound, Unmask, Unmasked
from appliance.events import outbox, record
from appliance.events.outbox import Reader, Stored
from appliance.events.own import OWN, schema
from appliance.events.spool import Spool
from crypto.apitls import CERTIFICATE
from tests.netns.stand import Stand, as_user, until

TOKEN = "a-token-for-the-csirt"
DIGEST = sha256(TOKEN.encode()).hexdigest()
TEXT = f"""\
reef: 1
site: clinic
zones:
  lan: {{interfaces: [lan0], networks: [10.20.0.0/16], addresses: {{lan0: 10.20.0.1/16}}}}
alerts:
  listen: [lan]
  port: 9443
  marks: {{alerts: amber+strict}}
  pseudonyms: {{zones: [lan], keys: 1 day}}
consumers:
  csirt: {{token: "sha256:{DIGEST}", collections: [alerts, notices], tlp: red, owner: o}}
  public: {{certificate: {DIGEST}, collections: [alerts], tlp: clear, owner: o}}
rules:
  - {{id: R-1, from: lan, to: gateway, service: tcp/9443, action: allow, owner: o, why: w}}
"""


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(("keyd", "applyd", "policyd", "alertd")) as stand:
        stand.apply(TEXT)
        until(lambda: stand.ask(Consumers(), ConsumerList, to="alertd").listens, "alertd knows the policy")
        yield stand


def write(stand: Stand, first: int, count: int) -> None:
    """Alerts in the spool of a process that does not run here, as that process would write them."""
    with as_user(stand.instance.identity("watchd").uid, (stand.instance.operators,)):
        before = os.umask(0o027)
        spool = Spool(stand.instance.events_of("watchd"), source="watchd")
        for number in range(first, first + count):
            event = record.alert(1, "a test", f"alert {number}", seconds=1_800_000_000 + number)
            spool.append(record.encode(event), 1)
        spool.close()
        os.umask(before)


def alerts(stand: Stand) -> list[Stored]:
    """All that came from `write`, in the order of their numbers."""
    reader = Reader(stand.instance.state_of("alertd") / outbox.NAME)
    found: list[Stored] = []
    after = 0
    while True:
        page = reader.read(after, kinds={"alert"})
        found += [event for event in page.events if b'"category":"a test"' in event.body]
        after = page.through
        if after == page.last:
            reader.close()
            return found


def test_hosts_of_the_zone_leave_under_pseudonyms(stand: Stand) -> None:
    events = [
        record.banned(f"{address} did it, a test", address, seconds=1_800_000_000)
        for address in ("10.20.3.4", "192.0.2.9", "10.20.3.4")
    ]
    with as_user(stand.instance.identity("watchd").uid, (stand.instance.operators,)):
        spool = Spool(stand.instance.events_of("watchd"), source="watchd")
        for event in events:
            spool.append(record.encode(event), 1)
        spool.close()

    def found() -> list[bytes]:
        reader = Reader(stand.instance.state_of("alertd") / outbox.NAME)
        bodies = [one.body for one in reader.read(0, kinds={"alert"}).events if b"did it, a test" in one.body]
        reader.close()
        return bodies

    until(lambda: len(found()) == len(events), "they are in the outbox")
    assert not any(b"10.20.3.4" in body for body in found())
    first, stranger, again = (json.loads(body) for body in found())
    assert first["src_ip"] == again["src_ip"] != "192.0.2.9" == stranger["src_ip"]
    assert first["alert"]["signature"] == f"{first['src_ip']} did it, a test"
    assert first["metadata"]["flowvars"][0]["pseudonyms"] is True
    assert "pseudonyms" not in stranger["metadata"]["flowvars"][0]


def test_what_is_kept_of_a_host_is_found_under_its_pseudonym_too(stand: Stand) -> None:
    host = "10.20.7.8"
    with as_user(stand.instance.identity("watchd").uid, (stand.instance.operators,)):
        spool = Spool(stand.instance.events_of("watchd"), source="watchd")
        for address in (host, host, "10.20.7.80"):
            spool.append(record.encode(record.banned("to be found", address, seconds=1_800_000_000)), 1)
        spool.close()

    def found(why: str = "request 17") -> dict[str, int]:
        answer = stand.ask(FindSubject(host, why), SubjectFound, to="alertd")
        assert answer.keys == 1
        return {one.what: one.count for one in answer.held}

    def everywhere() -> bool:
        return found().get("objects: alerts, by pseudonym", 0) > 0

    until(everywhere, "it is in the outbox, and objects are made of it")
    assert found()["outbox: alerts, by pseudonym"] == 2
    assert "outbox: alerts" not in found()
    with as_user(stand.instance.identity("watchd").uid):
        assert stand.refusal(FindSubject(host, "why not"), to="alertd"), "a process is no person"
    assert stand.refusal(FindSubject(host, " "), to="alertd").code == "bad-request"
    assert stand.refusal(FindSubject("joe", "a name"), to="alertd").code == "bad-request"

    def audited() -> bool:
        reader = Reader(stand.instance.state_of("alertd") / outbox.NAME)
        page = reader.read(0, kinds={"audit"})
        reader.close()
        return any(b'"look.subject"' in one.body and b"request 17" in one.body for one in page.events)

    until(audited, "who looked is written down")


def test_two_persons_learn_who_it_was(stand: Stand) -> None:
    with as_user(stand.instance.identity("watchd").uid, (stand.instance.operators,)):
        spool = Spool(stand.instance.events_of("watchd"), source="watchd")
        spool.append(record.encode(record.banned("to be unmasked", "10.20.7.7", seconds=1_800_000_000)), 1)
        spool.close()

    def bodies(kind: str, words: bytes) -> list[bytes]:
        reader = Reader(stand.instance.state_of("alertd") / outbox.NAME)
        found = [one.body for one in reader.read(0, kinds={kind}).events if words in one.body]
        reader.close()
        return found

    until(lambda: bodies("alert", b"to be unmasked"), "it is in the outbox")
    name = json.loads(bodies("alert", b"to be unmasked")[0])["src_ip"]
    request = Unmask(name, "ticket 7")
    assert stand.ask(request, Unmasked, to="alertd").address == ""
    assert "another person" in stand.refusal(request, to="alertd").message
    with as_user(stand.instance.identity("watchd").uid):
        assert stand.refusal(request, to="alertd"), "a process is no person"
    with as_user(65_534, (stand.instance.operators,)):
        answer = stand.ask(request, Unmasked, to="alertd")
    assert answer.address == "10.20.7.7"
    assert answer.first != answer.second
    assert stand.ask(request, Unmasked, to="alertd").address == "10.20.7.7"
    until(lambda: len(bodies("audit", b'"unmask.tell"')) >= 2, "it is audited")
    audited = bodies("audit", b"ticket 7")
    assert bodies("audit", b'"unmask.ask"')
    assert bodies("audit", b'"unmask.refuse"')
    assert not [body for body in audited if b"10.20.7.7" in body]


def told(stand: Stand) -> list[str]:
    return [json.loads(event.body)["alert"]["signature"] for event in alerts(stand)]


def test_what_a_process_writes_is_kept_with_site_generation_and_label(stand: Stand) -> None:
    write(stand, 0, 3)
    until(lambda: len(alerts(stand)) >= 3, "the alerts are in the outbox")
    found = alerts(stand)[0]
    event = json.loads(found.body)
    assert (event["host"], event["event_type"], event["alert"]["signature"]) == ("clinic", "alert", "alert 0")
    assert event["metadata"]["flowvars"] == [{"gid": "reef", "generation": 1, "tlp": "amber+strict"}]
    assert found.tlp.label == "TLP:AMBER+STRICT"
    assert found.time == 1_800_000_000 * 1_000_000
    answer = stand.ask(Consumers(), ConsumerList, to="alertd")
    waiting = {one.name: one.waiting for one in answer.consumers}
    assert waiting["csirt"] >= 3
    assert waiting["public"] == 0, "nothing here is clear"
    assert (answer.room, answer.listens) == ("all", ("10.20.0.1:9443",))


def test_it_reports_what_runs_what_is_there_and_how_it_is(stand: Stand) -> None:
    validator = Draft202012Validator(schema())

    def reported() -> set[str]:
        reader = Reader(stand.instance.state_of("alertd") / outbox.NAME)
        found = [json.loads(event.body) for event in reader.read(0, kinds=OWN).events]
        reader.close()
        assert not [error.message for event in found for error in validator.iter_errors(event)]
        return {event["event_type"] for event in found}

    until(lambda: reported() >= {"policy", "inventory", "health", "audit"}, "all of them, audit by others")


def trusted(stand: Stand) -> Path:
    return stand.instance.state_of("alertd") / CERTIFICATE


def get(stand: Stand, path: str, *headers: str) -> tuple[int, str]:
    """Status and body of a request over TLS, checked against the certificate of alertd."""
    shown = " ".join(f"-H '{header}'" for header in headers)
    answer = stand.sh(
        f"curl -sS --cacert {trusted(stand)} {shown} -w '\n%{{http_code}}' 'https://10.20.0.1:9443{path}'"
    )
    body, _, status = answer.rpartition("\n")
    return int(status), body


def test_a_consumer_gets_them_with_its_token_and_nobody_without(stand: Stand) -> None:
    mine = f"Authorization: Bearer {TOKEN}"
    write(stand, 3, 1)
    until(lambda: "alert 3" in told(stand), "it is in the outbox")
    status, body = get(stand, "/eve?after=0&kinds=alert", mine)
    signatures = [json.loads(line)["alert"]["signature"] for line in body.splitlines()]
    assert (status, signatures[-1]) == (200, "alert 3")
    # One address may have 64 connections at a time: those that ended do not count.
    ask = f"curl -sS --cacert {trusted(stand)} -H '{mine}' -o /dev/null -w '%{{http_code}}\\n' 'https://10.20.0.1:9443/eve'"
    assert set(stand.sh(f"for each in $(seq 70); do {ask}; done").split()) == {"200"}
    assert get(stand, "/eve?after=0")[0] == 401
    assert get(stand, "/eve?after=0", "Authorization: Bearer a-guess")[0] == 401

    def served() -> bool:
        path = "/taxii2/gateway/collections/alerts/objects/"
        status, body = get(stand, path, mine, "Accept: application/taxii+json;version=2.1")
        return status == 200 and "alert 3" in body

    until(served, "it is an object of TAXII")
    last = alerts(stand)[-1].seq
    assert get(stand, f"/eve?ack={last}", mine)[0] == 200
    answer = stand.ask(Consumers(), ConsumerList, to="alertd")
    found = {one.name: (one.position, one.seen > 0) for one in answer.consumers}
    assert found == {"csirt": (last, True), "public": (0, False)}


def test_the_certificate_it_shows_is_the_one_it_names(stand: Stand) -> None:
    answer = stand.ask(Consumers(), ConsumerList, to="alertd")
    script = (
        "import socket, ssl, hashlib, sys; "
        f"context = ssl.create_default_context(cafile='{trusted(stand)}'); "
        "plain = socket.create_connection(('10.20.0.1', 9443), timeout=20); "
        "line = context.wrap_socket(plain, server_hostname='10.20.0.1'); "
        "print(hashlib.sha256(line.getpeercert(True)).hexdigest())"
    )
    assert stand.sh(f'python3 -c "{script}"').strip() == answer.fingerprint


def test_killed_again_and_again_it_neither_loses_nor_doubles(stand: Stand) -> None:
    begin = len(told(stand))
    written = begin
    for _ in range(6):
        write(stand, written, 500)
        written += 500
        stand.kill("alertd")
        write(stand, written, 100)
        written += 100
        stand.start("alertd")
    stand.wait_for("alertd")
    until(lambda: len(alerts(stand)) >= written, "all of them are in the outbox", 60)
    assert told(stand) == [f"alert {number}" for number in range(written)]
    numbers = [event.seq for event in alerts(stand)]
    assert numbers == sorted(set(numbers))


def test_it_knows_the_policy_while_applyd_is_away(stand: Stand) -> None:
    begin = len(alerts(stand))
    stand.stop("alertd", signal.SIGTERM)
    stand.stop("applyd")
    write(stand, begin, 5)
    stand.restart("alertd")
    until(lambda: len(alerts(stand)) >= begin + 5, "they are taken in")
    assert alerts(stand)[-1].tlp.label == "TLP:AMBER+STRICT"
    stand.restart("applyd")


def test_a_stranger_learns_nothing_of_consumers(stand: Stand) -> None:
    with as_user(stand.instance.identity("namesd").uid):
        assert stand.refusal(Consumers(), to="alertd").code == "not-allowed"
