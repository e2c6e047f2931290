"""A gateway's console for the bench: real processes, TLS, people who are logged in, and how much memory it takes."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.console.who.sessions import Sessions
from appliance.console.who.store import NAME as STORE
from appliance.console.who.store import Store
from appliance.console.who.tokens import Tokens
from appliance.control.messages.gate import GateList, GateListed
from appliance.control.messages.gateway import Applied, Apply
from appliance.lab.netns import inside
from crypto.apitls import CERTIFICATE
from tests.bench.bench_apply import text
from tests.netns.stand import POLICY, Stand, until

ADDRESS, PORT, NAME = "10.20.0.1", 9444, "gateway.health.example"
PEOPLE = [f"p{number}" for number in range(30)]  # a person may have eight streams
_LISTED = "".join(
    f"    {name}: {{name: {name}, mail: {name}@h.example, roles: [administrator]}}\n" for name in PEOPLE
)
_INTERFACES = "interfaces: [lan0], networks: [10.20.0.0/16]"
HEAD = POLICY.replace(_INTERFACES, f"{_INTERFACES}, addresses: {{lan0: {ADDRESS}/16}}") + (
    f"console:\n  listen: [lan]\n  port: {PORT}\n  name: {NAME}\n  people:\n{_LISTED}"
)
OPEN = (
    f"rules:\n  - {{id: C-1, from: lan, to: gateway, service: tcp/{PORT}, action: allow, why: the console, "
    "owner: it@stand.example}\n"
)
_PATIENCE = 120.0


def policy(rules: int, changed: int = -1) -> str:
    """A policy of so many one-flow rules, the console's own among them."""
    return text(rules - 1, changed).replace(POLICY, HEAD).replace("rules:\n", OPEN)


def short_policy(rules: int) -> str:
    """As many rules as a policy may have, each as short as fits into a text of 8 MiB."""
    lines = []
    for number in range(rules - 1):
        source = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        lines.append(f"  - {{id: R-{number}, from: lan, to: internet, source: {source}, action: deny}}\n")
    return HEAD.replace("10.20.0.0/16", "10.0.0.0/8") + OPEN + "".join(lines)


class Site:
    """`with Site() as site:` runs the processes; the console listens, and everybody of `PEOPLE` is in."""

    def __init__(self) -> None:
        self.stand = Stand(("keyd", "applyd", "gated", "policyd"))
        self.tokens: dict[str, str] = {}
        self.cookies: dict[str, str] = {}

    def __enter__(self) -> Site:
        self.stand.__enter__()
        try:
            self.stand.apply(policy(1))
            self._let_in()
            self.stand.start("console")
            until(self._listens, "the console listens")
        except BaseException:
            self.stand.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stand.__exit__()

    def _let_in(self) -> None:
        """Sessions and tokens as the console itself makes them."""
        folder, own = self.stand.instance.state_of("console"), self.stand.instance.identity("console")
        store = Store(folder / STORE, time.time)
        tokens, sessions = Tokens(store), Sessions(store)
        for person in PEOPLE:
            self.tokens[person] = tokens.make(person, "bench", ("look", "edit"), 3600)[0]
            self.cookies[person] = sessions.begin(person, "passkey", ADDRESS, "a bench")[0]
        store.close()
        for path in folder.iterdir():
            os.chown(path, own.uid, own.gid)

    def _listens(self) -> bool:
        try:
            self.connected().close()
        except (OSError, ssl.SSLError):
            return False
        return True

    @property
    def certificate(self) -> Path:
        return self.stand.instance.state_of("console") / CERTIFICATE

    @property
    def url(self) -> str:
        return f"https://{NAME}:{PORT}"

    @property
    def pid(self) -> int:
        return self.stand.running["console"].pid

    @contextmanager
    def within(self) -> Iterator[None]:
        """In the gateway's network."""
        with inside(Path("/run/netns") / self.stand.namespace):
            yield

    def connected(self) -> ssl.SSLSocket:
        with self.within():
            plain = socket.create_connection((ADDRESS, PORT), _PATIENCE)
        context = ssl.create_default_context(cafile=str(self.certificate))
        return context.wrap_socket(plain, server_hostname=NAME)

    def apply(self, wanted: str) -> int:
        """The generation that runs then, and the console knows of."""
        base = self.stand.status().running
        done = self.stand.ask(Apply(wanted, base, "a bench", confirm_within=0), Applied, timeout=300)
        generation = done.generation
        until(lambda: self._knows(generation), "the console knows it", patience=300)
        return generation

    def _knows(self, generation: int) -> bool:
        time.sleep(0.2)  # each look is a handshake
        return bool(self.ask(PEOPLE[0], "GET", "/status")["generation"] == generation)

    def load(self, entries: int) -> None:
        """A list of so many addresses at the gate."""
        packed = b"".join((0x0B000000 + 3 * number).to_bytes(4, "big") + b"\x20" for number in range(entries))
        self.stand.ask(GateList("scanners", packed), GateListed, to="gated", timeout=60)

    def ask(self, person: str, method: str, path: str, body: object = None, tag: str = "") -> Any:
        """What the API answers a program of that person. Connections from before a generation was loaded are closed,
        even one that was made a moment ago: then once more, as browsers do."""
        try:
            return self._asked(person, method, path, body, tag)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            return self._asked(person, method, path, body, tag)

    def _asked(self, person: str, method: str, path: str, body: object, tag: str) -> Any:
        connection = http.client.HTTPConnection(NAME, PORT)
        connection.sock = self.connected()
        headers = {"Authorization": f"Bearer {self.tokens[person]}", "Content-Type": "application/json"}
        headers |= {"If-Match": f'"{tag}"'} if tag else {}
        sent = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, f"/api/v1{path}", sent, headers)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, (answer.status, said[:500])
        return json.loads(said) if said else None

    def memory(self) -> tuple[float, float]:
        """Proportional and resident set size of the console, in MB (proc(5), smaps_rollup)."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines[1:]}
        return sizes["Pss"], sizes["Rss"]
