"""TAXII 2.1 as the OASIS client asks for it: everything comes once, whatever is added meanwhile."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stix2
from taxii2client.common import TokenAuth
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages

from appliance.events import stix
from appliance.events.api.context import Outcome
from appliance.events.tlp import Tlp
from tests import alertapi
from tests.alertapi import SITE, TOKEN, alert, consumer, new, serving

TAXII = "application/taxii+json;version=2.1"
GUESTS = (
    consumer(),
    consumer("reader", "reader-token", tlp="amber", collections=("alerts",), may=()),
    consumer("giver", "giver-token", collections=()),
)


async def inbox(_: str, objects: list[bytes]) -> list[Outcome]:
    """Takes all but those named "bad"."""
    outcomes = []
    for raw in objects:
        said = json.loads(raw)
        taken = said["name"] != "bad"
        outcomes.append(Outcome(said["id"], said["modified"], taken, "" if taken else "it is bad"))
    return outcomes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[alertapi.Server]:
    with serving(tmp_path_factory.mktemp("api"), *GUESTS, inbox=inbox) as server:
        server.append(*(new(alert(number), Tlp.RED if number % 10 == 0 else Tlp.AMBER) for number in range(400)))
        yield server


def root(server: alertapi.Server, token: str = TOKEN) -> ApiRoot:
    return Server(f"{server.url}/taxii2/", user="any", password=token).default


def named(server: alertapi.Server, alias: str, token: str = TOKEN) -> Collection:
    (found,) = [one for one in root(server, token).collections if one.alias == alias]
    return found


def get(server: alertapi.Server, path: str, token: str = TOKEN, **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {token}", "Accept": TAXII, **headers}
    return requests.get(f"{server.url}{path}", headers=sent, timeout=30, allow_redirects=False)


def pulled(collection: Collection, per_request: int = 100, **filters: Any) -> list[dict[str, Any]]:
    pages = as_pages(collection.get_objects, per_request, **filters)
    return [one for page in pages for one in page.get("objects", [])]


def path_of(alias: str) -> str:
    return f"/taxii2/gateway/collections/{alias}"


def test_the_server_says_what_it_has(server: alertapi.Server) -> None:
    found = Server(f"{server.url}/taxii2/", user="csirt", password=TOKEN)
    assert SITE in found.title
    assert [one.title for one in found.api_roots] == [SITE]
    assert found.default.versions == [TAXII]
    assert found.default.max_content_length >= 1 << 20
    assert {one.alias: (one.can_read, one.can_write) for one in found.default.collections} == {
        "alerts": (True, False), "indicators": (True, True), "sightings": (True, False),
    }  # fmt: skip
    assert Server(f"{server.url}/taxii2/", auth=TokenAuth(TOKEN)).title == found.title


def test_who_names_no_host_is_told_the_address(server: alertapi.Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"GET /taxii2/ HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["default"] == f"{server.url}/taxii2/gateway/"


def test_everything_comes_once_and_can_be_read(server: alertapi.Server) -> None:
    found = pulled(named(server, "alerts"))
    kinds = Counter(one["type"] for one in found)
    assert (kinds["sighting"], kinds["observed-data"], kinds["indicator"], kinds["network-traffic"]) == (
        400,
        400,
        7,
        400,
    )
    assert len({one["id"] for one in found}) == len(found)
    known = {one["id"] for one in found}
    for one in found:
        stix2.parse(one, version="2.1", allow_custom=False)
        for member, value in one.items():
            for reference in value if member.endswith("_refs") else [value] if member.endswith("_ref") else []:
                assert reference in known, f"{one['id']}: {member}"


def test_nothing_is_missing_or_double_while_objects_are_added(server: alertapi.Server) -> None:
    stop = threading.Event()
    added = 0

    def add() -> None:
        nonlocal added
        while not stop.is_set():
            server.append(*(new(alert(100_000 + added + one)) for one in range(50)))
            added += 50
            time.sleep(0.05)  # about a thousand alerts a second

    thread = threading.Thread(target=add)
    thread.start()
    found: list[str] = []
    try:
        while added < 1000:
            after = found
            found = [one["id"] for one in pulled(named(server, "alerts"), 200, type="sighting")]
            assert len(set(found)) == len(found)
            assert found[: len(after)] == after, "what was there stands where it stood"
    finally:
        stop.set()
        thread.join()
    rest = [one["id"] for one in pulled(named(server, "alerts"), 200, type="sighting")]
    assert rest[: len(found)] == found
    assert len(rest) == len(set(rest)) == 400 + added


def test_what_clients_send_beside_the_standard_is_passed_over(server: alertapi.Server) -> None:
    plain = get(server, f"{path_of('alerts')}/objects/?limit=3").content
    assert get(server, f"{path_of('alerts')}/objects/?limit=3&next=&added_after=&trace=1").content == plain
    (signature, *_) = pulled(named(server, "alerts"), type="indicator")
    versions = f"{path_of('alerts')}/objects/{signature['id']}/versions/"
    assert get(server, f"{versions}?match[version]=all").content == get(server, versions).content


@pytest.mark.parametrize("how", ["next", "added_after", "both"])
def test_pages_go_on_by_next_and_by_the_moment_alike(server: alertapi.Server, how: str) -> None:
    whole = get(server, f"{path_of('alerts')}/objects/?limit=10000&match[type]=observed-data").json()["objects"]
    found: list[dict[str, Any]] = []
    query = ""
    while True:
        answer = get(server, f"{path_of('alerts')}/objects/?limit=150&match[type]=observed-data{query}")
        body = answer.json()
        found += body["objects"]
        if not body["more"]:
            assert "next" not in body
            break
        last = answer.headers["X-TAXII-Date-Added-Last"]
        query = {
            "next": f"&next={body['next']}",
            "added_after": f"&added_after={last}",
            "both": f"&next={body['next']}&added_after=2020-01-01T00:00:00Z",
        }[how]
    assert [one["id"] for one in found] == [one["id"] for one in whole]


def test_who_goes_on_has_acknowledged_what_came_before(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.append(*(new(alert(number)) for number in range(300)))
        answer = get(server, f"{path_of('alerts')}/objects/?limit=10000")
        assert server.outbox.position("csirt").seq == 0, "given is not had"
        last = answer.headers["X-TAXII-Date-Added-Last"]
        get(server, f"{path_of('alerts')}/objects/?added_after={last}&match[id]=x")
        assert server.outbox.position("csirt").seq == 0
        get(server, f"{path_of('alerts')}/objects/?added_after={last}")
        assert server.outbox.position("csirt").seq == 300
        get(server, "/misp/manifest.json")
        assert server.outbox.position("csirt").seq == 300


def test_moments_are_those_of_the_manifest_and_never_twice(server: alertapi.Server) -> None:
    collection = named(server, "alerts")
    entries = [entry for page in as_pages(collection.get_manifest, 300) for entry in page["objects"]]
    moments = [entry["date_added"] for entry in entries]
    assert moments == sorted(set(moments))
    assert all(len(moment) == 27 for moment in moments), "six digits, so that text compares as time does"
    answer = get(server, f"{path_of('alerts')}/objects/?limit=7&added_after={moments[2]}")
    assert [one["id"] for one in answer.json()["objects"]] == [entry["id"] for entry in entries[3:10]]
    assert answer.headers["X-TAXII-Date-Added-First"] == moments[3]
    assert answer.headers["X-TAXII-Date-Added-Last"] == moments[9]


def test_filters_choose(server: alertapi.Server) -> None:
    collection = named(server, "alerts")
    first, second = pulled(collection, type="indicator")[:2]
    assert {one["id"] for one in pulled(collection, id=[first["id"], second["id"]])} == {first["id"], second["id"]}
    kinds = {one["type"] for one in pulled(collection, type=["indicator", "domain-name"])}
    assert kinds == {"indicator", "domain-name"}
    assert pulled(collection, spec_version="2.0") == []
    assert pulled(collection, spec_version=["2.0", "2.1"], id=first["id"]) == [first]
    assert pulled(collection, version=first["modified"], id=first["id"]) == [first]
    assert pulled(collection, version="2001-01-01T00:00:00Z", id=first["id"]) == []
    assert pulled(collection, id=first["id"], type="sighting") == []


def test_an_object_its_versions_and_one_that_is_not_there(server: alertapi.Server) -> None:
    collection = named(server, "alerts")
    (signature, *_) = pulled(collection, type="indicator")
    assert collection.get_object(signature["id"])["objects"] == [signature]
    assert collection.object_versions(signature["id"])["versions"] == [signature["modified"]]
    assert get(server, f"{path_of('alerts')}/objects/{signature['id']}/?match[version]=first").json()["objects"]
    assert (
        get(server, f"{path_of('alerts')}/objects/{signature['id']}/?added_after=2100-01-01T00:00:00Z").json() == {}
    )
    for path in ("", "versions/"):
        gone = get(server, f"{path_of('alerts')}/objects/indicator--00000000-0000-4000-8000-000000000000/{path}")
        assert gone.status_code == 404


def an_indicator(number: int, modified: str = "2026-01-01T00:00:00.000Z", name: str = "good") -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--00000000-0000-4000-8000-{number:012}",
        "created": "2026-01-01T00:00:00.000Z", "modified": modified, "name": name, "pattern_type": "stix",
        "pattern": "[ipv4-addr:value = '203.0.113.5']", "valid_from": "2026-01-01T00:00:00Z",
    }  # fmt: skip


def test_indicators_are_given_and_come_back_in_their_versions(server: alertapi.Server) -> None:
    collection = named(server, "indicators")
    given = [an_indicator(1), an_indicator(2, name="bad"), an_indicator(1, "2026-01-02T00:00:00.000Z")]
    status = collection.add_objects({"objects": given})
    assert (status.status, status.total_count, status.success_count, status.failure_count) == ("complete", 3, 2, 1)
    assert status.failures[0]["message"] == "it is bad"
    status.refresh()
    assert status.success_count == 2
    identifier = given[0]["id"]
    (last,) = pulled(collection, id=identifier)
    assert last == given[2], "as it was given"
    assert pulled(collection, id=given[1]["id"]) == [], "what was refused is not there"
    assert pulled(collection, id=identifier, version="first") == [given[0]]
    assert pulled(collection, id=identifier, version="all") == [given[0], given[2]]
    assert collection.object_versions(identifier)["versions"] == [given[0]["modified"], given[2]["modified"]]
    other = get(server, f"/taxii2/gateway/status/{status.id}/", "giver-token")
    assert other.status_code == 404, "a status is of who asked"


def test_an_inbox_can_be_written_to_without_being_read(server: alertapi.Server) -> None:
    collection = named(server, "indicators", "giver-token")
    assert (collection.can_read, collection.can_write) == (False, True)
    assert collection.add_objects({"objects": [an_indicator(9)]}).success_count == 1
    assert len(pulled(named(server, "indicators"), id=an_indicator(9)["id"])) == 1
    assert get(server, f"{path_of('indicators')}/objects/", "giver-token").status_code == 403
    assert get(server, f"{path_of('alerts')}/objects/", "giver-token").status_code == 404


def test_what_is_labelled_higher_never_comes_and_asking_for_it_is_told(server: alertapi.Server) -> None:
    reader, everything = named(server, "alerts", "reader-token"), named(server, "alerts")
    red = [
        one for one in pulled(everything, type="sighting") if one["object_marking_refs"] == [stix.MARKING[Tlp.RED]]
    ]
    assert len(red) == 40
    found = pulled(reader)
    assert {one["id"] for one in found}.isdisjoint(one["id"] for one in red)
    assert all(stix.MARKING[Tlp.RED] not in one.get("object_marking_refs", []) for one in found)
    answer = get(server, f"{path_of('alerts')}/objects/{red[0]['id']}/", "reader-token")
    assert answer.status_code == 404
    assert any(told.what == "refused" and red[0]["id"] in told.words for told in server.told)
    assert [one.alias for one in root(server, "reader-token").collections] == ["alerts"]
    assert get(server, f"{path_of('indicators')}/", "reader-token").status_code == 404


def test_the_slash_at_the_end_changes_nothing(server: alertapi.Server) -> None:
    identifier = pulled(named(server, "alerts"), type="indicator")[0]["id"]
    collection = path_of("alerts")
    one = f"{collection}/objects/{identifier}"
    for path in (
        "/taxii2", "/taxii2/gateway", "/taxii2/gateway/collections", collection, f"{collection}/objects",
        f"{collection}/manifest", one, f"{one}/versions",
    ):  # fmt: skip
        with_slash, without = get(server, f"{path}/"), get(server, path)
        assert (with_slash.status_code, without.status_code) == (200, 200), path
        assert with_slash.content == without.content
        assert with_slash.headers["Content-Type"] == without.headers["Content-Type"] == TAXII


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (TAXII, 200), ("application/taxii+json; version=2.1", 200), ("application/taxii+json", 200), ("*/*", 200),
        ("text/html, application/taxii+json;version=2.1;q=0.5", 200), ("", 200),
        ("application/taxii+json;version=2.0", 406), ("application/vnd.oasis.taxii+json; version=2.0", 406),
        ("application/json", 406), ("text/html", 406), ("application/taxii+json;version=2.1;q=0", 406),
    ],
)  # fmt: skip
def test_the_media_type_is_agreed_on(server: alertapi.Server, accept: str, status: int) -> None:
    for path in ("/taxii2/", "/taxii2/gateway/", f"{path_of('alerts')}/objects/?limit=1"):
        answer = get(server, path, Accept=accept)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, TAXII)
        if status == 406:
            assert answer.json()["http_status"] == "406"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=x", "limit=1.5", "next=x", "next=-1", "next=99999999999999999999",
        "added_after=yesterday", "added_after=2026-01-01", "match[version]=newest", "match[foo]=1", "limit=1&limit=2",
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused_with_words(server: alertapi.Server, query: str) -> None:
    for path in ("objects", "manifest"):
        answer = get(server, f"{path_of('alerts')}/{path}/?{query}")
        assert answer.status_code == 400
        body = answer.json()
        assert (body["title"], body["http_status"]) == ("Bad Request", "400")
        assert body["description"]


def post(server: alertapi.Server, path: str, data: bytes, kind: str = TAXII, token: str = TOKEN) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": TAXII, "Content-Type": kind}
    return requests.post(f"{server.url}{path}", data=data, headers=headers, timeout=30)


def test_what_cannot_be_added_is_refused(server: alertapi.Server) -> None:
    into = f"{path_of('indicators')}/objects/"
    assert post(server, into, b"{}", "application/json").status_code == 415
    assert post(server, into, b"{").status_code == 400
    assert post(server, into, b"[" * 100_000).status_code in (400, 422)
    assert post(server, into, b'{"objects": ' + b"[" * 100_000).status_code in (400, 422)
    assert post(server, into, b"{}").status_code == 422
    assert post(server, into, b'{"objects": 3}').status_code == 422
    assert post(server, into, b" " * (11 << 20)).status_code == 413
    assert post(server, f"{path_of('alerts')}/objects/", b'{"objects": []}').status_code == 403
    assert post(server, into, b'{"objects": []}', token="reader-token").status_code == 404
    deleted = requests.delete(
        f"{server.url}{into}{an_indicator(1)['id']}/", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
    )
    assert deleted.status_code == 403
    assert deleted.json()["http_status"] == "403"
    put = requests.put(f"{server.url}{into}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert (put.status_code, set(put.headers["Allow"].split(","))) == (405, {"GET", "HEAD", "POST"})


def test_nobody_asks_without_being_known(server: alertapi.Server, tmp_path: Path) -> None:
    with serving(tmp_path) as alone:
        for path in ("/taxii2/", f"{path_of('alerts')}/objects/", "/eve", "/nowhere"):
            answer = requests.get(f"{alone.url}{path}", timeout=30)
            assert answer.status_code == 401, path
            assert "Basic" in answer.headers["WWW-Authenticate"]
    for path in ("/taxii2/nowhere/", "/taxii2/gateway/collections/x/", f"{path_of('alerts')}/nothing/"):
        assert get(server, path).status_code == 404


def test_pages_are_packed_as_the_client_takes_them(server: alertapi.Server) -> None:
    path = f"{path_of('alerts')}/objects/?match[type]=sighting&limit=100"
    plain = get(server, path, **{"Accept-Encoding": "identity"})
    gzip = get(server, path, **{"Accept-Encoding": "gzip, deflate"})
    assert gzip.headers["Content-Encoding"] == "gzip"
    assert gzip.content == plain.content
    assert int(gzip.headers["Content-Length"]) * 4 < len(plain.content)
