"""The whole API of the console, asked by its own description, right and wrong: over real processes, as somebody who
may everything."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from appliance.console.asking import DAEMONS
from appliance.console.who.store import NAME, Store
from appliance.console.who.tokens import Tokens
from appliance.control.messages.changes import Acting
from appliance.lab.forward import Forwarder
from appliance.policy.roles import PERMISSIONS
from tests.netns.oddly import requests as requests_oddly
from tests.netns.stand import Stand, as_user, until
from tests.netns.test_console import PORT, TEXT, listens

EVERYTHING = TEXT.replace("roles: [administrator]", "roles: [editor, approver, auditor, administrator]")
# Its answers do not end; messages of reef are not described; that would end the token that is shown; and a page takes
# seconds to set, of what is asked as for /report.
LEFT_OUT = ("/api/v1/live", "/api/v1/ask/{process}", "/api/v1/tokens/{id}", "/api/v1/report.pdf")
EXAMPLES = int(os.environ.get("REEF_EXAMPLES", "3"))  # of each path and method


class Console:
    """The console of a stand, for who is not in its namespace."""

    def __init__(self, url: str, token: str, stand: Stand) -> None:
        self.url = url
        self.stand = stand
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = False  # it is asked by an address that its certificate does not have
        self.session.headers["Authorization"] = f"Bearer {token}"


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with Stand(("keyd", "applyd", "gated", "policyd", "recordd", "alertd", "watchd")) as stand:
        stand.apply(EVERYTHING)
        folder, own = stand.instance.state_of("console"), stand.instance.identity("console")
        store = Store(folder / NAME, time.time)
        token, _ = Tokens(store).make("ana", "everything", PERMISSIONS, 3600)
        store.close()
        for path in folder.iterdir():
            os.chown(path, own.uid, own.gid)
        stand.start("console")
        until(lambda: listens(stand), "the console listens")
        forwarder = Forwarder(PORT, Path("/run/netns") / stand.namespace, "10.20.0.1", PORT)
        try:
            found = Console(f"https://127.0.0.1:{forwarder.port}", token, stand)
            until(lambda: found.session.get(f"{found.url}/api/v1/status").status_code == 200, "it knows the gateway")
            yield found
        finally:
            forwarder.stop()


@pytest.mark.timeout(300)  # some ask for an answer to be held back for as long as it is ever done
def test_no_request_of_the_console_breaks_a_process_off(console: Console) -> None:
    """Whatever the console hands on of what people send: each process answers, and goes on."""
    identity = console.stand.instance.identity("console").uid
    asked = 0
    with as_user(identity):
        for process in DAEMONS:
            path, known = console.stand.instance.socket(process), True
            for name, data in requests_oddly():
                if "." not in name:
                    known = b'"not-allowed"' not in said(path, data)
                elif known:
                    asked += 1
                    assert said(path, data), f"{process} broke off at {name}: {data[:200]!r}"
    assert asked > 500
    assert "Traceback" not in console.stand.words()


def said(path: Path, request: bytes) -> bytes:
    """What a process answers to what ana asks, b"" when it broke off."""
    acting = Acting("ana", "10.20.0.7 50000 10.20.0.1 9444", request)
    body = msgspec.json.encode(acting)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(struct.pack("!I", len(body)) + body)
        with connection.makefile("rb") as file:
            head = file.read(4)
            return file.read(struct.unpack("!I", head)[0]) if len(head) == 4 else b""


@pytest.mark.timeout(300 + 20 * EXAMPLES)
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_nothing_asked_by_the_description_breaks_it(console: Console) -> None:
    """Never a 500, errors always RFC 9457, answers as they are described."""
    known = console.session.get(f"{console.url}/api/v1/openapi.json").json()
    for path in LEFT_OUT:
        del known["paths"][path]
    schema = schemathesis.openapi.from_dict(known)
    tried: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        _try_all(console, operation.as_strategy(), tried.setdefault(f"{operation.method} {operation.path}", set()))
    print(tried)
    assert len(tried) == sum(len(operations) for operations in known["paths"].values())
    reading = [statuses for operation, statuses in tried.items() if operation.lower().startswith("get ")]
    assert sum(200 in statuses for statuses in reading) > len(reading) / 2


def _try_all(console: Console, cases: Any, statuses: set[int]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def ask(case: Any) -> None:
        how = {"base_url": console.url, "session": console.session, "verify": False, "timeout": 60}
        try:
            answer = case.call(**how)
        except requests.ConnectionError:  # an earlier one brought another generation: connections begin anew
            answer = case.call(**how)
        statuses.add(answer.status_code)
        assert answer.status_code != 500, (case.method, case.path, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0] == "application/problem+json"
            body = answer.json()
            assert body["status"] == answer.status_code
            assert body["detail"]
            assert body["code"]
        case.validate_response(answer, excluded_checks=[ignored_auth, positive_data_acceptance])

    ask()
