"""The API over TLS, as alertd serves it: certificates of consumers, and bad guests who speak TLS."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from appliance.serving.listening import Limits
from crypto.apitls import Identity, TlsContext, serving_context
from crypto.selfsigned import self_signed
from tests import alertapi
from tests.alertapi import TOKEN, alert, consumer, new, serving

NOW = datetime.datetime.now(datetime.UTC)


class Pair(NamedTuple):
    """A certificate and its key, as files, and the fingerprint."""

    certificate: str
    key: str
    fingerprint: str


def made(directory: Path, name: str) -> Pair:
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    for path, content in zip((key, certificate), self_signed([name], NOW, datetime.timedelta(days=1)), strict=True):
        path.write_bytes(content)
    return Pair(str(certificate), str(key), Identity(key, certificate).fingerprint)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Pair:
    return made(folder, "127.0.0.1")


@pytest.fixture(scope="module")
def known(folder: Path) -> Pair:
    (folder / "clients").mkdir()
    return made(folder / "clients", "csirt")


@pytest.fixture(scope="module")
def context(folder: Path, gateway: Pair, known: Pair) -> TlsContext:
    assert known.fingerprint
    return serving_context(Identity(Path(gateway.key), Path(gateway.certificate)), folder / "clients")


@pytest.fixture(scope="module")
def server(folder: Path, context: TlsContext, known: Pair) -> Iterator[alertapi.Server]:
    guests = (
        consumer("plain"),
        consumer("carded", "", certificate=known.fingerprint),
        consumer("both", "both-token", certificate=known.fingerprint),
    )
    with serving(folder, *guests, tls=context) as server:
        server.append(new(alert(1)))
        yield server


def ask(server: alertapi.Server, gateway: Pair, token: str, card: Pair | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    shown = (card.certificate, card.key) if card else None
    answer = requests.get(f"{server.url}/eve", headers=headers, verify=gateway.certificate, cert=shown, timeout=60)
    return answer.status_code


def test_a_token_is_enough_where_no_certificate_is_named(server: alertapi.Server, gateway: Pair, known: Pair) -> None:
    assert ask(server, gateway, TOKEN) == 200
    assert ask(server, gateway, TOKEN, known) == 200


def test_a_certificate_is_enough_where_no_token_is_named(server: alertapi.Server, gateway: Pair, known: Pair) -> None:
    assert ask(server, gateway, "", known) == 200
    assert ask(server, gateway, "") == 401


def test_both_are_asked_for_where_both_are_named(server: alertapi.Server, gateway: Pair, known: Pair) -> None:
    assert ask(server, gateway, "both-token") == 401
    assert ask(server, gateway, "both-token", known) == 200


def test_a_certificate_that_nobody_knows_is_not_let_in(server: alertapi.Server, gateway: Pair, folder: Path) -> None:
    stranger = made(folder, "stranger")
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        ask(server, gateway, TOKEN, stranger)


def test_the_discovery_names_what_the_client_can_reach(server: alertapi.Server, gateway: Pair) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.get(f"{server.url}/taxii2/", headers=headers, verify=gateway.certificate, timeout=60).json()
    assert answer["default"] == f"{server.url}/taxii2/gateway/"
    assert answer["api_roots"] == [answer["default"]]


def test_bad_guests_are_cut_off_within_tls_too(tmp_path: Path, gateway: Pair, context: TlsContext) -> None:
    """One connects and never begins, one never asks, one asks and never reads."""
    limits = Limits(handshake=0.5, head=0.5, stalled=0.5)
    trusted = ssl.create_default_context(cafile=gateway.certificate)
    with serving(tmp_path, limits=limits, tls=context) as server:
        server.append(*(new(alert(number, payload="x" * 100_000)) for number in range(100)))
        place = ("127.0.0.1", server.port)
        with socket.create_connection(place) as silent:
            assert ended(silent)
        with trusted.wrap_socket(socket.create_connection(place), server_hostname="127.0.0.1") as idle:
            assert ended(idle)
        with socket.socket() as narrow:
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            narrow.connect(place)
            with trusted.wrap_socket(narrow, server_hostname="127.0.0.1") as slow:
                slow.sendall(f"GET /eve HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
                deadline = time.monotonic() + 60
                while not any(told.what == "slow" for told in server.told):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)


def test_who_reads_slowly_gets_all_of_it(tmp_path: Path, gateway: Pair, context: TlsContext) -> None:
    """An answer on a thin line takes longer than anybody may be idle."""
    trusted = ssl.create_default_context(cafile=gateway.certificate)
    with serving(tmp_path, limits=Limits(head=0.3, idle=0.1), tls=context) as server:
        server.append(*(new(alert(number, payload="x" * 100_000)) for number in range(60)))
        with socket.socket() as narrow:
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            narrow.connect(("127.0.0.1", server.port))
            with trusted.wrap_socket(narrow, server_hostname="127.0.0.1") as slow:
                slow.sendall(f"GET /eve HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
                found = bytearray()
                begun = time.monotonic()
                while piece := slow.recv(16384):
                    found += piece
                    time.sleep(0.005)
        assert time.monotonic() - begun > 2 * 0.4
        assert found.count(b"\n") - found.partition(b"\r\n\r\n")[0].count(b"\n") - 2 == 60
        assert [told.what for told in server.told] == []


def ended(connection: socket.socket) -> bool:
    """Whether the other side ends it, within the time a busy machine takes."""
    connection.settimeout(60)
    try:
        while connection.recv(65536):
            pass
    except (ConnectionResetError, ssl.SSLError):
        pass
    return True
