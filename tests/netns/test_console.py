"""The console on a gateway: it listens where the text says and nowhere else, and lets nobody in who is not known."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.console.who.store import NAME as NAME_OF_STORE
from appliance.console.who.store import Store
from appliance.console.who.tokens import Tokens
from appliance.lab.netns import inside
from appliance.lab.site import Lab
from crypto.apitls import CERTIFICATE
from crypto.selfsigned import client_context
from tests.netns.conftest import lab_id
from tests.netns.conftest import until as until_lab
from tests.netns.stand import Stand, until

ROOT = Path(__file__).resolve().parents[2]
PORT = 9444
SCOPES = {"all": ("look", "edit", "apply", "respond", "administer"), "look": ("look",)}
TOKENS: dict[str, str] = {}
NAME = "gateway.health.example"
TEXT = f"""\
reef: 1
site: clinic
zones:
  lan: {{interfaces: [lan0], networks: [10.20.0.0/16], addresses: {{lan0: 10.20.0.1/16}}}}
  dmz: {{interfaces: [dmz0], networks: [10.21.0.0/24], addresses: {{dmz0: 10.21.0.1/24}}}}
console:
  listen: [lan]
  port: {PORT}
  name: {NAME}
  people:
    ana: {{name: Ana Ruiz, mail: ana@health.example, roles: [administrator]}}
rules:
  - {{id: R-1, from: lan, to: gateway, service: tcp/{PORT}, action: allow, owner: o, why: w}}
"""


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(("keyd", "applyd", "policyd")) as stand:
        stand.apply(TEXT)
        TOKENS.update(tokens(stand))
        stand.start("console")
        until(lambda: listens(stand), "the console listens")
        yield stand


def tokens(stand: Stand) -> dict[str, str]:
    """What ana may show: a token that may everything that she may, and one that may look only."""
    folder, own = stand.instance.state_of("console"), stand.instance.identity("console")
    store = Store(folder / NAME_OF_STORE, time.time)
    made = Tokens(store)
    found = {label: made.make("ana", label, scopes, 3600)[0] for label, scopes in SCOPES.items()}
    store.close()
    for path in folder.iterdir():
        os.chown(path, own.uid, own.gid)
    return found


def reef(stand: Stand, token: str, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """`reef --gateway https://…`, beside the gateway and with nothing but the token and its certificate."""
    command = ["ip", "netns", "exec", stand.namespace, sys.executable, "-m", "appliance.cli"]
    given = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "REEF_CA": str(trusted(stand))}
    given |= {"REEF_TOKEN": token} if token else {}
    arguments = [*command, "--gateway", f"https://10.20.0.1:{PORT}", *words]
    return subprocess.run(arguments, cwd=ROOT, env=given, capture_output=True, text=True, timeout=50, check=False)


def listens(stand: Stand) -> set[str]:
    """(address:port) at which the console listens, as the kernel says."""
    pid = f"pid={stand.running['console'].pid},"
    lines = stand.sh("ss -H -ltnp").splitlines()
    return {line.split()[3] for line in lines if pid in line}


def trusted(stand: Stand) -> Path:
    return stand.instance.state_of("console") / CERTIFICATE


def get(stand: Stand, path: str, *options: str, name: str = NAME) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of a request over TLS, checked against the certificate of the console."""
    shown = " ".join(options)
    answer = stand.sh(
        f"curl -sS --cacert {trusted(stand)} --resolve {name}:{PORT}:10.20.0.1 {shown} -D - "
        f"'https://{name}:{PORT}{path}'"
    )
    head, _, body = answer.partition("\n\n")
    first, *lines = head.splitlines()
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), body, headers


def test_it_listens_where_the_text_says_and_nowhere_else(stand: Stand) -> None:
    assert listens(stand) == {f"10.20.0.1:{PORT}"}


def test_its_api_is_described_to_everybody(stand: Stand) -> None:
    status, body, _ = get(stand, "/api/v1/openapi.json")
    described = json.loads(body)
    assert (status, described["openapi"]) == (200, "3.1.0")
    assert "/api/v1/status" in described["paths"]


def test_nobody_is_let_in_without_being_known(stand: Stand) -> None:
    for options in ((), ("-H 'Authorization: Bearer reef_guess'",), ("-H 'Cookie: __Host-reef=guess'",)):
        status, body, headers = get(stand, "/api/v1/status", *options)
        assert (status, json.loads(body)["code"]) == (401, "unauthorized")
        assert headers["content-type"] == "application/problem+json"
        assert "strict-transport-security" in headers


def test_it_runs_with_what_its_row_says(stand: Stand) -> None:
    identity = stand.instance.identity("console")
    told = Path(f"/proc/{stand.running['console'].pid}/status").read_text()
    found = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
    assert set(found["Uid"].split()) == {str(identity.uid)}
    assert (int(found["CapPrm"], 16), found["NoNewPrivs"], found["Seccomp"]) == (0, "1", "2")


def test_reef_asks_a_distant_gateway_by_its_console(stand: Stand, tmp_path: Path) -> None:
    told = reef(stand, TOKENS["all"], "history", "--json", home=tmp_path)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["generations"][0]["author"] == "root"
    back = reef(stand, TOKENS["look"], "confirm", home=tmp_path)
    assert (back.returncode, "beyond" in back.stderr) == (4, True), back.stderr
    assert reef(stand, TOKENS["all"], "confirm", home=tmp_path).returncode == 1  # nothing waits for it
    assert reef(stand, "reef_guess", "history", home=tmp_path).returncode == 4
    assert "no token" in reef(stand, "", "history", home=tmp_path).stderr
    assert "SSH" in reef(stand, TOKENS["all"], "log", home=tmp_path).stderr


def test_handshakes_that_nobody_ends_keep_nobody_out(stand: Stand) -> None:
    """All of one host, which says nothing on them."""
    with contextlib.ExitStack() as held:
        with inside(Path("/run/netns") / stand.namespace):
            for _ in range(600):
                held.enter_context(socket.create_connection(("10.20.0.1", PORT), timeout=60))
        assert get(stand, "/api/v1/openapi.json")[0] == 200
        files = len(list(Path(f"/proc/{stand.running['console'].pid}/fd").iterdir()))
        assert files < 500, "those that came later are let in at the cost of those that wait"


def test_connections_from_before_a_generation_end(stand: Stand) -> None:
    """Who confirms it must have come through its rules: browsers come back by a connection that did."""
    with inside(Path("/run/netns") / stand.namespace):
        plain = socket.create_connection(("10.20.0.1", PORT), timeout=60)
    with client_context(trusted(stand)).wrap_socket(plain, server_hostname=NAME) as line:
        line.sendall(f"GET /api/v1/status HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert line.recv(12) == b"HTTP/1.1 401"
        stand.apply(TEXT.replace("why: w", "why: another"))
        while line.recv(65536):
            pass
    assert get(stand, "/api/v1/status")[0] == 401


def test_a_browser_of_this_machine_comes_in_as_the_administrators_workstation() -> None:
    with Lab(lab_id("w"), traffic=False, console=True) as lab:
        port = int(lab.console_url.rpartition(":")[2].rstrip("/"))

        def answers() -> bool:
            ask = ("curl", "-sS", "--cacert", str(lab.console_certificate), f"{lab.console_url}api/v1/openapi.json")
            return lab.command(ask).returncode == 0

        until_lab(answers, "the console answers through the lab", lab=lab, patience=60)
        with socket.create_connection(("127.0.0.1", port), timeout=20):

            def seen() -> bool:
                # The forwarder's socket is of the workstation's namespace.
                lines = lab.run("lan1", "ss", "-Htn", "state", "established").stdout.splitlines()
                return any("10.20.0.11:" in line and "10.20.0.1:8444" in line for line in lines)

            until_lab(seen, "it is a connection of the workstation", lab=lab, patience=60)
        listening = lab.command(("ss", "-Hltn", f"sport = :{port}")).stdout.splitlines()
        assert [line.split()[3] for line in listening] == [f"127.0.0.1:{port}"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=20)
