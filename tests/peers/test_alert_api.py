"""The API beside TAXII, as clients use it: lines by cursor, live events, MISP, IntelMQ, lists; and its bad guests."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
import zstandard
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth

from appliance.events import record
from appliance.events.sighted import sighted
from appliance.events.tlp import Tlp
from appliance.serving.listening import Limits
from tests import alertapi
from tests.alertapi import SITE, TOKEN, alert, consumer, new, serving

GUESTS = (
    consumer(),
    consumer("reader", "reader-token", tlp="amber", collections=("alerts",), names="intelmq"),
    consumer("auditor", "auditor-token", collections=("audit",)),
    consumer("hasty", "hasty-token", rate=1, burst=2),
)
NOW = 1_767_600_000_000_000  # some days after the events: 2026-01-05
FLOW = b'{"timestamp":"2026-01-02T00:00:00.000000+0000","event_type":"flow","src_ip":"10.0.0.1"}'
AUDIT = b'{"timestamp":"2026-01-03T00:00:00.000000+0000","event_type":"audit","audit":{"actor":"a"}}'
FILE = {"fileinfo": {"filename": "=cmd.exe", "sha256": "ab" * 32}, "http": {"hostname": "evil.example", "url": "/x"}}


def listed(kind: str, highest: Tlp) -> list[str]:
    return [f"{kind}.example"] if highest >= Tlp.AMBER else []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[alertapi.Server]:
    with serving(tmp_path_factory.mktemp("api"), *GUESTS, listed=listed, clock=lambda: NOW) as server:
        server.append(
            *(new(alert(number), Tlp.RED if number % 10 == 0 else Tlp.AMBER) for number in range(100)),
            new(alert(500, **FILE), Tlp.CLEAR),
            new(FLOW),
            new(AUDIT),
            new(record.encode(record.banned("why", "203.0.113.66", seconds=NOW / 1e6)).strip()),
        )
        yield server


def get(server: alertapi.Server, path: str, token: str = TOKEN, **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {token}", **headers}
    return requests.get(f"{server.url}{path}", headers=sent, timeout=60)


def refused(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["title"]
    assert body["detail"]
    return body


# --- EVE as lines ---------------------------------------------------------------------------------------------------


def test_lines_are_the_bytes_that_were_kept(server: alertapi.Server) -> None:
    answer = get(server, "/eve")
    kept = [event.body for event in server.outbox.reader().read(0).events]
    assert answer.content == b"".join(body + b"\n" for body in kept)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Reef-Cursor"] == answer.headers["Reef-Last"] == str(len(kept))
    assert get(server, "/eve/").content == answer.content


def test_pages_by_cursor_are_all_and_each_once(server: alertapi.Server) -> None:
    whole, found, after = get(server, "/eve").content, b"", 0
    while True:
        answer = get(server, f"/eve?after={after}&limit=7")
        assert answer.content.count(b"\n") <= 7
        found += answer.content
        after = int(answer.headers["Reef-Cursor"])
        if after == int(answer.headers["Reef-Last"]):
            break
    assert found == whole


def test_filters_choose_and_the_cursor_goes_on_beyond_what_was_not_chosen(server: alertapi.Server) -> None:
    assert get(server, "/eve?after=0&kinds=flow,audit").content == FLOW + b"\n" + AUDIT + b"\n"
    assert get(server, "/eve?after=0&since=2026-01-02T00:00:00Z&until=2026-01-03T00:00:00Z").content == FLOW + b"\n"
    answer = get(server, "/eve?after=0&kinds=dns")
    assert (answer.content, answer.headers["Reef-Cursor"]) == (b"", answer.headers["Reef-Last"])


def test_everybody_has_only_what_is_theirs(server: alertapi.Server) -> None:
    assert get(server, "/eve?after=0", "auditor-token").content == AUDIT + b"\n"
    lines = get(server, "/eve?after=0", "reader-token").content.splitlines()
    assert {json.loads(line)["event_type"] for line in lines} == {"alert"}
    red = {alert(number) for number in range(0, 100, 10)}
    assert red.isdisjoint(lines)
    assert len(lines) == 92
    for path in ("/intelmq", "/lists/alerts.csv", "/lists/banned.txt", "/misp/manifest.json", "/lists/urls.txt"):
        refused(get(server, path, "auditor-token"), 403)


def test_who_acknowledges_goes_on_there(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.append(*(new(alert(number)) for number in range(20)))
        first = get(server, "/eve?limit=5")
        assert get(server, "/eve?limit=5").content == first.content, "nothing was acknowledged"
        second = get(server, f"/eve?limit=5&ack={first.headers['Reef-Cursor']}")
        assert second.content == b"".join(alert(number) + b"\n" for number in range(5, 10))
        assert server.outbox.position("csirt").seq == 5
        assert get(server, "/eve?after=0&limit=5").content == first.content
        refused(get(server, "/eve?ack=21"), 409)
        assert get(server, "/eve?ack=2&limit=1").content == alert(5) + b"\n", "a place does not go back"


def test_who_waits_gets_what_comes(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answers: list[requests.Response] = []
        thread = threading.Thread(target=lambda: answers.append(get(server, "/eve?wait=60")))
        thread.start()
        server.append(new(alert(1)))
        thread.join(60)
        assert [answer.content for answer in answers] == [alert(1) + b"\n"]


def test_who_waits_is_not_answered_with_what_they_did_not_ask_for(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answers: list[requests.Response] = []
        thread = threading.Thread(target=lambda: answers.append(get(server, "/eve?wait=60&kinds=flow")))
        thread.start()
        for number in range(5):
            server.append(new(alert(number)))
        server.append(new(FLOW))
        thread.join(60)
        assert [answer.content for answer in answers] == [FLOW + b"\n"]


@pytest.mark.parametrize(("how", "unpack"), [
    ("gzip", lambda data: zlib.decompress(data, 31)),
    ("zstd", lambda data: zstandard.ZstdDecompressor().decompress(data)),
])  # fmt: skip
def test_lines_are_packed_as_the_client_takes_them(server: alertapi.Server, how: str, unpack: Any) -> None:
    plain = get(server, "/eve?after=0", **{"Accept-Encoding": "identity"})
    answer = requests.get(
        f"{server.url}/eve?after=0", stream=True, timeout=30,
        headers={"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": how},
    )  # fmt: skip
    raw = answer.raw.read(decode_content=False)
    assert answer.headers["Content-Encoding"] == how
    assert unpack(raw) == plain.content
    assert len(raw) * 4 < len(plain.content)


# --- live -----------------------------------------------------------------------------------------------------------


def stream(server: alertapi.Server, count: int, path: str = "/live", **headers: str) -> list[dict[str, str]]:
    """The first so many events of a stream."""
    found: list[dict[str, str]] = []
    sent = {"Authorization": f"Bearer {TOKEN}", **headers}
    with requests.get(f"{server.url}{path}", headers=sent, stream=True, timeout=60) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        event: dict[str, str] = {}
        for raw in answer.iter_lines():
            line = raw.decode()
            if not line and "data" in event:
                found.append(event)
                event = {}
                if len(found) == count:
                    break
            elif line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
    return found


def test_live_events_come_resume_and_miss_nothing(server: alertapi.Server) -> None:
    first = stream(server, 3, "/live?after=0")
    assert [event["id"] for event in first] == ["1", "2", "3"]
    assert [event["data"] for event in first] == [alert(number).decode() for number in range(3)]
    assert first[0]["event"] == "alert"
    again = stream(server, 2, **{"Last-Event-ID": first[-1]["id"]})
    assert [event["id"] for event in again] == ["4", "5"]
    assert [event["event"] for event in stream(server, 2, "/live?after=0&kinds=flow,audit")] == ["flow", "audit"]
    refused(get(server, "/live", **{"Last-Event-ID": "x"}), 400)
    head = requests.head(f"{server.url}/live", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
    assert head.status_code == 405, "there is no end to wait for"


def test_an_alert_reaches_who_listens(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.append(new(alert(1)))
        found: list[dict[str, str]] = []
        thread = threading.Thread(target=lambda: found.extend(stream(server, 1)))
        thread.start()
        number = 2
        while thread.is_alive():  # whenever it began to listen, what comes then reaches it
            server.append(new(alert(number)))
            number += 1
            thread.join(0.2)
        assert json.loads(found[0]["data"])["flow_id"] >= 2


def test_a_stream_ends_when_its_consumer_is_none_any_more(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answer = requests.get(
            f"{server.url}/live", headers={"Authorization": f"Bearer {TOKEN}"}, stream=True, timeout=60
        )
        server.renew(consumer("somebody", "else"))
        server.append(new(alert(1)), new(alert(2)))
        assert alert(2) not in b"".join(answer.iter_content(None))


def test_only_so_many_streams_of_one_consumer(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        streams = [requests.get(f"{server.url}/live", headers=headers, stream=True, timeout=60) for _ in range(4)]
        assert refused(get(server, "/live"), 429)
        for one in streams:
            one.close()


# --- MISP, IntelMQ, lists -------------------------------------------------------------------------------------------


def test_the_misp_feed_is_whole_and_agrees_with_itself(server: alertapi.Server) -> None:
    manifest = get(server, "/misp/manifest.json").json()
    found: set[tuple[str, str]] = set()
    for uuid, entry in manifest.items():
        event = get(server, f"/misp/{uuid}.json").json()["Event"]
        assert event["uuid"] == uuid
        assert {name: event[name] for name in entry} == entry
        assert event["Orgc"]["name"] == SITE
        assert len({one["uuid"] for one in event["Attribute"]}) == len(event["Attribute"])
        assert all(one["to_ids"] is False for one in event["Attribute"])
        found |= {
            (hashlib.md5(one["value"].encode(), usedforsecurity=False).hexdigest(), uuid)
            for one in event["Attribute"]
        }
    rows = get(server, "/misp/hashes.csv").text.splitlines()
    assert {tuple(row.split(",")) for row in rows} == found
    kinds = {
        one["type"] for uuid in manifest for one in get(server, f"/misp/{uuid}.json").json()["Event"]["Attribute"]
    }
    assert kinds == {"ip-src", "domain", "url", "sha256"}
    labels = {entry["Tag"][0]["name"] for entry in manifest.values()}
    assert labels == {"tlp:clear", "tlp:amber", "tlp:red"}
    theirs = get(server, "/misp/manifest.json", "reader-token").json()
    assert {entry["Tag"][0]["name"] for entry in theirs.values()} == {"tlp:clear", "tlp:amber"}
    (red,) = manifest.keys() - theirs.keys()
    refused(get(server, f"/misp/{red}.json", "reader-token"), 404)


def test_intelmq_gets_harmonised_lines_in_its_own_labels(server: alertapi.Server) -> None:
    lines = [json.loads(line) for line in get(server, "/intelmq?after=0", "reader-token").content.splitlines()]
    assert len(lines) == 92
    assert {line["tlp"] for line in lines} == {"WHITE", "AMBER"}
    first = lines[0]
    assert base64.b64decode(first["raw"]) == alert(1)
    assert (first["classification.type"], first["classification.taxonomy"]) == ("ids-alert", "intrusion-attempts")
    assert (first["source.ip"], first["destination.port"]) == ("198.51.0.1", 443)
    assert (first["protocol.transport"], first["protocol.application"]) == ("tcp", "tls")
    assert first["time.source"] == "2026-01-01T00:00:00.000001+00:00"
    assert {"TLP:RED", "TLP:AMBER", "TLP:CLEAR"} == {
        json.loads(line)["tlp"] for line in get(server, "/intelmq?after=0").content.splitlines()
    }


def test_a_table_can_be_read_and_starts_no_formula(server: alertapi.Server) -> None:
    rows = list(csv.DictReader(io.StringIO(get(server, "/lists/alerts.csv?after=0").text)))
    assert len(rows) == 102
    assert rows[7]["sequence"] == "8"
    assert rows[7]["tlp"] == "TLP:AMBER"
    (evil,) = [row for row in rows if row["url"]]
    assert (evil["url"], evil["sha256"]) == ("http://evil.example/x", "ab" * 32)
    bad = new(alert(1, alert={"signature_id": 1, "signature": '=HYPERLINK("x")'}))
    server.append(bad)
    text = get(server, f"/lists/alerts.csv?after={server.outbox.last() - 1}").text
    assert "'=HYPERLINK" in text


def test_lists_are_plain(server: alertapi.Server) -> None:
    assert get(server, "/lists/banned.txt").text == "203.0.113.66\n"
    assert get(server, "/lists/domains.txt").text == "domains.example\n"
    refused(get(server, "/lists/everything.txt"), 404)
    refused(get(server, "/lists/banned.txt?days=0"), 400)


# --- guests of all kinds --------------------------------------------------------------------------------------------


def test_who_asks_too_often_waits(server: alertapi.Server) -> None:
    answers = [get(server, "/openapi.json", "hasty-token") for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    refused(answers[2], 429)
    assert int(answers[2].headers["Retry-After"]) >= 1


def test_who_guesses_waits_and_who_knows_does_not(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answers = [get(server, "/eve", f"guess-{number}") for number in range(8)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert get(server, "/eve").status_code == 200, "a guesser beside them locks nobody out"
        assert [told.what for told in server.told] == ["guessing"]


def test_what_was_exported_is_told_in_sum(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.append(*(new(alert(number)) for number in range(10)))
        get(server, "/eve?after=0&limit=4")
        get(server, "/eve?after=4")
        told = server.told
    assert [(one.what, one.consumer, one.words, one.count) for one in told] == [
        ("export", "csirt", "EVE, events", 10)
    ]


def closed(connection: socket.socket) -> bool:
    """Whether the other side ends it, within the time a busy machine takes."""
    connection.settimeout(60)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_who_connects_and_says_nothing_or_drips_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(head=0.5)) as server:
        silent = socket.create_connection(("127.0.0.1", server.port))
        dripping = socket.create_connection(("127.0.0.1", server.port))
        dripping.sendall(b"GET /eve HTTP/1.1\r\nHost: x\r\nX-A: ")
        for one in (silent, dripping):
            assert closed(one)
            one.close()


def test_connections_of_one_address_are_bounded(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(of_address=3)) as server:
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        for one in held:
            one.sendall(f"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            assert one.recv(15).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", server.port)) as beyond:
            assert closed(beyond)
        for one in held:
            one.close()


@pytest.mark.parametrize("path", ["/eve", "/live?after=0"])
def test_who_does_not_read_is_cut_off_and_told_of(tmp_path: Path, path: str) -> None:
    with serving(tmp_path, limits=Limits(stalled=0.5)) as server:
        padded = [new(alert(number, payload="x" * 100_000)) for number in range(100)]
        server.append(*padded)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", server.port))
            slow.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            deadline = time.monotonic() + 60
            while ("slow", "csirt") not in {(told.what, told.consumer) for told in server.told}:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_pages_carry_what_keeps_them_from_caches_and_scripts(server: alertapi.Server) -> None:
    for path in ("/eve", "/taxii2/", "/nowhere"):
        headers = get(server, path).headers
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert headers["Server"] == "reef"


# --- schemathesis ---------------------------------------------------------------------------------------------------


def test_nothing_asked_by_the_description_breaks_it(server: alertapi.Server) -> None:
    """Requests made of the API's own description, right and wrong ones: never a 500, errors always RFC 9457."""
    known = get(server, "/openapi.json").json()
    assert msgspec.json.decode(get(server, "/openapi.json").content) == known
    del known["paths"]["/live"]  # its answers do not end
    schema = schemathesis.openapi.from_dict(known)
    tried: dict[str, set[int]] = {}

    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        _try_all(server, operation.as_strategy(), tried.setdefault(operation.path, set()))
    assert tried.keys() == known["paths"].keys()
    assert all(200 in statuses or 404 in statuses for statuses in tried.values()), tried


def _try_all(server: alertapi.Server, cases: Any, statuses: set[int]) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(cases)
    def ask(case: Any) -> None:
        query = {name: value for name, value in (case.query or {}).items() if name != "wait"}
        case.query = query
        answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        statuses.add(answer.status_code)
        assert answer.status_code < 500
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0] == "application/problem+json"
            body = answer.json()
            assert body["status"] == answer.status_code
            assert body["detail"]
        case.validate_response(answer, excluded_checks=[ignored_auth])  # it asks as a guesser, who is slowed

    ask()


def test_every_alert_that_was_asked_for_is_one(server: alertapi.Server) -> None:
    assert all(sighted(line) for line in get(server, "/eve?after=0&kinds=alert").content.splitlines())
