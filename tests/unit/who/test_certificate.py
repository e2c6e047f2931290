"""Coming in by a certificate: what was shown in a real handshake is what the desk goes by, at each request."""

from __future__ import annotations

import ssl
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.console.who.cookies import SESSION as COOKIE
from appliance.console.who.enrolling import Enrolling
from appliance.console.who.entering import Entering
from appliance.console.who.pages.routes import routes
from appliance.console.who.provider import Provider
from crypto.apitls import CERTIFICATE, identity, serving_context
from crypto.selfsigned import client_context
from tests.unit.console.serving import OURS, Served, serving
from tests.unit.test_apitls import NOW, pair
from tests.unit.who.house import AMARA, ANA, SETTINGS, House

HOST = "127.0.0.1"
Pair = tuple[Path, Path]


class Client:
    """A browser that shows a certificate in its handshakes, or none."""

    def __init__(self, served: Served, trusted: Path, mine: Pair | None) -> None:
        self._served = served
        self._context = client_context(trusted)
        if mine is not None:
            self._context.load_cert_chain(mine[1], mine[0])

    async def enter(self) -> tuple[int, str]:
        """The status of the answer, and the cookie of a session where there is one."""
        url = f"https://{HOST}:{self._served.port}/login/certificate"
        async with self._served.session.post(
            url, headers=OURS, data={"next": "/"}, ssl=self._context, allow_redirects=False
        ) as answer:
            given = answer.cookies.get(COOKIE)
            return answer.status, given.value if given is not None else ""

    async def me(self, cookie: str) -> tuple[int, str]:
        url = f"https://{HOST}:{self._served.port}/api/v1/me"
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        async with self._served.session.get(url, headers=headers, ssl=self._context) as answer:
            return answer.status, (await answer.json(content_type=None)).get("person", "")


async def test_a_certificate_lets_in_who_shows_it_for_as_long_as_they_do(house: House, tmp_path: Path) -> None:
    mine, other = pair(tmp_path / "mine", "ana"), pair(tmp_path / "other", "somebody")
    clients = tmp_path / "clients"
    clients.mkdir()
    for number, one in enumerate((mine, other)):
        (clients / f"{number}.pem").write_bytes(one[1].read_bytes())
    own = identity(tmp_path / "none", tmp_path, [HOST], NOW)
    fingerprint = sha256(ssl.PEM_cert_to_DER_cert(mine[1].read_text())).hexdigest()
    ana = msgspec.structs.replace(ANA, certificate=fingerprint)
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(AMARA, ana)))
    desk, trusted = house.desk, tmp_path / CERTIFICATE
    provider = Provider(desk, house.folder, lambda: client_context(trusted))
    pages = routes(desk, Entering(desk, house.sleep), Enrolling(desk), provider)
    async with serving(routes=pages, door=desk, tls=serving_context(own, clients)) as served:
        hers = Client(served, trusted, mine)
        status, cookie = await hers.enter()
        assert (status, bool(cookie)) == (303, True)
        assert await hers.me(cookie) == (200, "ana")
        for wrong in (Client(served, trusted, other), Client(served, trusted, None)):
            assert (await wrong.me(cookie))[0] == 401, "the cookie alone is good for nothing"
            status, none = await wrong.enter()
            assert (status >= 400, none) == (True, "")
        assert await hers.me(cookie) == (200, "ana")
