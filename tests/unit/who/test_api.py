"""The API of accounts, sessions and tokens, and who may ask what of every endpoint: real sockets, a real desk."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from appliance.console.api import NOUNS
from appliance.console.registry import Endpoint, endpoints
from appliance.policy.console import Person
from appliance.policy.roles import PERMISSIONS, ROLES
from tests.unit.console.serving import OURS, Served, serving
from tests.unit.who.authenticator import Authenticator
from tests.unit.who.house import AMARA, ANA, BEN, HERE, ORIGIN, SETTINGS, House
from tests.unit.who.test_entering import PHRASE, code, has_passkey

ENDPOINTS = endpoints(NOUNS)
# One person of each role.
STAFF = tuple(Person(role, role.title(), f"{role}@health.example", (role,)) for role in ROLES)


class Asker:
    """Somebody who asks the API, with a cookie or a token."""

    def __init__(self, served: Served, cookie: str = "", token: str = "") -> None:
        self._served = served
        self.headers = {"Authorization": f"Bearer {token}"} if token else {"Cookie": f"__Host-reef={cookie}", **OURS}

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        sent = {**self.headers, **headers}
        async with self._served.session.request(
            method, f"{self._served.url}/api/v1{path}", headers=sent, json=body
        ) as answer:
            if answer.content_type == "text/event-stream":
                return answer.status, None
            data = await answer.read()
        return answer.status, msgspec.json.decode(data) if data else None


@contextlib.asynccontextmanager
async def api(house: House) -> AsyncIterator[Served]:
    async with serving(door=house.desk) as served:
        yield served


def session(house: House, served: Served, person: Person) -> Asker:
    return Asker(served, house.desk.begin(person, "passkey", HERE))


# --- who may ask what -----------------------------------------------------------------------------------------------


def path_of(endpoint: Endpoint) -> str:
    found = endpoint.path
    for name, kind in endpoint.places.items():
        found = found.replace(f"{{{name}}}", "1" if kind is int else "none")
    return found


def expected(endpoint: Endpoint, role: str) -> bool:
    return endpoint.permission in ("", "known") or endpoint.permission in ROLES[role]  # type: ignore[index]


def both(house: House, served: Served, person: Person) -> tuple[Asker, Asker]:
    """By a session, and by a token for all that they may."""
    by_session = session(house, served, person)
    caller = house.desk.known(by_session.headers["Cookie"].partition("=")[2], "", b"", "")
    assert caller is not None
    house.desk.tokens.revoke_all(person.id)
    token, _ = house.desk.make_token(caller, "all", tuple(caller.permissions), 60, "")
    return by_session, Asker(served, token=token)


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_every_endpoint_answers_a_role_or_refuses_it(house: House, role: str) -> None:
    """By cookie and by a token that may all that its maker may. What a process of the gateway would say is not asked:
    none runs here, so whoever may ask hears that it is away, or that the request is none."""
    person = next(one for one in STAFF if one.id == role)
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=STAFF))
    async with api(house) as served:
        askers: tuple[Asker, ...] = ()
        for endpoint in ENDPOINTS:
            askers = askers or both(house, served, person)
            for asker in askers:
                status, said = await asker.ask(endpoint.method, path_of(endpoint))
                where = f"{endpoint.method} {endpoint.path} as {role}: {status} {said}"
                lacking = status == 403 and "needs the permission" in said["detail"]
                assert lacking is not expected(endpoint, role), where
                assert status != 401, where
            if endpoint.method == "DELETE":  # it may have ended the session that asked
                askers = ()


async def test_strangers_are_answered_nothing_that_is_not_for_everybody(house: House) -> None:
    async with api(house) as served:
        for endpoint in ENDPOINTS:
            for asker in (Asker(served), Asker(served, cookie="A" * 43), Asker(served, token="reef_" + "A" * 43)):
                status, said = await asker.ask(endpoint.method, path_of(endpoint))
                assert (status == 401) is bool(endpoint.permission), f"{endpoint.method} {endpoint.path}: {said}"


async def test_a_token_may_only_what_it_is_for(house: House) -> None:
    """Of an administrator, for looking alone: what needs more is refused."""
    async with api(house) as served:
        _, made = await session(house, served, ANA).ask(
            "POST", "/tokens", {"label": "look", "scopes": ["look"], "days": 1}
        )
        program = Asker(served, token=made["token"])
        for endpoint in ENDPOINTS:
            if endpoint.permission in PERMISSIONS and endpoint.permission != "look":
                status, said = await program.ask(endpoint.method, path_of(endpoint))
                assert status == 403 and "needs the permission" in said["detail"], endpoint.path


def test_what_changes_is_for_who_may_change_it() -> None:
    """The table of what endpoints ask for, said the other way round. `known` is for what is one's own, and for
    messages of which each asks for something else (`permits.may`)."""
    own = ("/me", "/sessions", "/tokens", "/ask/")
    for endpoint in ENDPOINTS:
        where = f"{endpoint.method} {endpoint.path}"
        if endpoint.permission == "known":
            assert endpoint.path.startswith(own), where
        if endpoint.changes:
            assert endpoint.permission, f"{where}: strangers change nothing"
        if endpoint.path.startswith("/accounts"):
            assert endpoint.permission == "administer", where
        if endpoint.path == "/audit":
            assert endpoint.permission == "audit", where
        if endpoint.path.endswith(("/approve", "/reject", "/agree")):
            assert endpoint.permission == "approve", where
        if endpoint.path.endswith(("/apply", "/confirm", "/rollback", "/schedule")):
            assert endpoint.permission == "apply", where


# --- sessions and tokens --------------------------------------------------------------------------------------------


async def test_me(house: House) -> None:
    async with api(house) as served:
        amara = session(house, served, AMARA)
        status, said = await amara.ask("GET", "/me")
        assert status == 200
        assert said == {
            "person": "amara", "name": "Amara Diaz", "roles": ["editor"], "permissions": ["edit", "look", "respond"],
            "zones": ["lan"], "how": "session", "idle": 1800, "until": house.now + 43_200,
        }  # fmt: skip
        _, made = await amara.ask("POST", "/tokens", {"label": "ci", "scopes": ["look"]})
        _, said = await Asker(served, token=made["token"]).ask("GET", "/me")
        assert (said["how"], said["permissions"], said["idle"], said["until"]) == ("token", ["look"], 0, 0)


async def test_sessions_are_listed_and_ended_by_their_person_and_by_administrators(house: House) -> None:
    async with api(house) as served:
        here, there, ben, ana = (session(house, served, one) for one in (AMARA, AMARA, BEN, ANA))
        _, listed = await here.ask("GET", "/sessions")
        assert [one["mine"] for one in listed].count(True) == 1 and len(listed) == 2
        assert {one["device"] for one in listed} == {"Firefox on Linux"}
        other = next(one["id"] for one in listed if not one["mine"])
        assert (await ben.ask("DELETE", f"/sessions/{other}"))[0] == 404, "not theirs"
        assert (await ben.ask("GET", "/sessions?person=amara"))[0] == 403
        assert (await ben.ask("DELETE", "/sessions?person=amara"))[0] == 403
        assert (await here.ask("DELETE", f"/sessions/{other}"))[0] == 204
        assert (await there.ask("GET", "/me"))[0] == 401
        _, listed = await ana.ask("GET", "/sessions?person=*")
        assert sorted(one["person"] for one in listed) == ["amara", "ana", "ben"]
        assert (await ana.ask("DELETE", "/sessions?person=amara")) == (200, {"ended": 1})
        assert (await here.ask("GET", "/me"))[0] == 401
        assert (await ana.ask("DELETE", "/sessions?person=*"))[0] == 400
        session(house, served, ANA)
        assert (await ana.ask("DELETE", "/sessions")) == (200, {"ended": 1})
        assert (await ana.ask("GET", "/me"))[0] == 200, "the one that asks stays"


async def test_tokens_are_made_listed_and_revoked(house: House) -> None:
    async with api(house) as served:
        amara, ben, ana = (session(house, served, one) for one in (AMARA, BEN, ANA))
        status, made = await amara.ask("POST", "/tokens", {"label": "ci", "scopes": ["look", "edit"], "days": 30})
        assert (
            status == 201 and made["token"].startswith("reef_") and made["view"]["until"] == house.now + 30 * 86_400
        )
        _, listed = await amara.ask("GET", "/tokens")
        assert [one["label"] for one in listed] == ["ci"] and made["token"] not in str(listed)
        for wrong in (
            {"label": "x", "scopes": ["approve"]}, {"label": "x", "scopes": []}, {"label": "x", "scopes": ["all"]},
            {"label": "x", "scopes": ["look"], "days": 367}, {"label": "x" * 65, "scopes": ["look"]},
            {"label": "x", "scopes": ["look"], "person": "ana"},
        ):  # fmt: skip
            assert (await amara.ask("POST", "/tokens", wrong))[0] in (400, 422), wrong
        program = Asker(served, token=made["token"])
        status, said = await program.ask("POST", "/tokens", {"label": "more", "scopes": ["look"]})
        assert status == 403 and said["code"] == "session-needed", "a token makes no tokens"
        id_ = made["view"]["id"]
        assert (await ben.ask("DELETE", f"/tokens/{id_}"))[0] == 404
        assert (await ben.ask("GET", "/tokens?person=amara"))[0] == 403
        assert len((await ana.ask("GET", "/tokens?person=amara"))[1]) == 1
        assert (await program.ask("DELETE", f"/tokens/{id_}"))[0] == 204, "whoever finds one can end it"
        assert (await program.ask("GET", "/me"))[0] == 401


async def test_a_secret_is_not_kept_for_who_asks_again(house: House) -> None:
    async with api(house) as served:
        amara = session(house, served, AMARA)
        body = {"label": "ci", "scopes": ["look"]}
        _, made = await amara.ask("POST", "/tokens", body, **{"Idempotency-Key": "once"})
        status, said = await amara.ask("POST", "/tokens", body, **{"Idempotency-Key": "once"})
        assert status == 409 and said["code"] == "outcome-unknown"
        assert len((await amara.ask("GET", "/tokens"))[1]) == 1
        assert made["token"] not in str(served.console.answers._base.execute("select * from answers").fetchall())


# --- what people come in with ---------------------------------------------------------------------------------------


async def test_another_passkey_and_the_last_way_in(house: House) -> None:
    async with api(house) as served:
        has_passkey(house, AMARA, Authenticator())
        amara, device = session(house, served, AMARA), Authenticator()
        house.now += 1
        _, options = await amara.ask("POST", "/me/passkeys/options")
        assert len(options["excludeCredentials"]) == 1
        answer = device.create(options, ORIGIN)
        status, added = await amara.ask("POST", "/me/passkeys", {"answer": answer, "words": "phone"})
        assert status == 201 and added["words"] == "phone"
        assert (await amara.ask("POST", "/me/passkeys", {"answer": answer, "words": "phone"}))[0] == 422
        _, mine = await amara.ask("GET", "/me/credentials")
        assert [one["words"] for one in mine["passkeys"]] == ["a key", "phone"] and not mine["passphrase"]
        assert (await amara.ask("DELETE", f"/me/passkeys/{added['name']}"))[0] == 204
        last = mine["passkeys"][0]["name"]
        status, said = await amara.ask("DELETE", f"/me/passkeys/{last}")
        assert status == 409 and said["code"] == "last"
        _, app = await amara.ask("POST", "/me/app")
        new = {"passphrase": PHRASE, "ticket": app["ticket"], "code": code(house, app["secret"])}
        status, said = await amara.ask("PUT", "/me/passphrase", {**new, "passphrase": "short"})
        assert status == 422 and said["code"] == "short"
        assert (await amara.ask("PUT", "/me/passphrase", new))[0] == 204
        assert (await amara.ask("DELETE", f"/me/passkeys/{last}"))[0] == 204
        assert (await amara.ask("DELETE", "/me/passphrase"))[0] == 409


# What makes a way in, or throws somebody else out.
GUARDED = {
    ("POST", "/me/passkeys/options"), ("POST", "/me/passkeys"), ("DELETE", "/me/passkeys/{name}"),
    ("POST", "/me/app"), ("PUT", "/me/passphrase"), ("DELETE", "/me/passphrase"),
    ("POST", "/tokens"), ("POST", "/links/{id}/agree"),
    ("POST", "/accounts/{id}/invite"), ("DELETE", "/accounts/{id}/passkeys/{name}"),
    ("DELETE", "/accounts/{id}/passphrase"),
    ("DELETE", "/sessions/{id}"), ("DELETE", "/sessions"), ("DELETE", "/tokens/{id}"),  # of others
}  # fmt: skip
BODIES: dict[str, object] = {
    "/me/passkeys": {"answer": {}},
    "/me/passphrase": {"passphrase": "x", "ticket": "x", "code": "x"},
    "/tokens": {"label": "x", "scopes": ["look"]},
    "/accounts/{id}/invite": {},
}


async def test_ways_in_are_made_by_who_showed_just_now_that_it_is_they(house: House) -> None:
    """Every endpoint of accounts that changes something is on one of two lists: after ten minutes of a session those
    of the first say `prove`, and nothing was done."""
    free = {
        ("POST", "/me/proof"), ("POST", "/me/proof/options"),  # this is how it is shown
        ("DELETE", "/links/{id}"),  # what somebody else wants to come in by is turned down
    }  # fmt: skip
    everything = msgspec.structs.replace(ANA, roles=tuple(ROLES))
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(AMARA, everything)))
    async with api(house) as served:
        ana = session(house, served, everything)
        session(house, served, AMARA)
        house.now += 601
        own = ("/me", "/sessions", "/tokens", "/accounts", "/links")
        found = {(one.method, one.path) for one in ENDPOINTS if one.changes and one.path.startswith(own)}
        assert found == GUARDED | free
        for method, path in sorted(GUARDED):
            query = "?person=amara" if path == "/sessions" else ""
            place = path.replace("{id}", "amara").replace("{name}", "none") + query
            status, said = await ana.ask(method, place, BODIES.get(path))
            assert (status, said["code"]) == (403, "prove"), f"{method} {path}: {said}"
        assert len(house.desk.sessions.listed(house.desk.bounds, "amara")) == 1
        assert (await ana.ask("DELETE", "/sessions"))[0] == 200, "one's own one ends at any time"


async def test_it_is_shown_again_within_the_session(house: House) -> None:
    async with api(house) as served:
        device, other = Authenticator(), Authenticator()
        has_passkey(house, AMARA, device)
        has_passkey(house, BEN, other)
        amara = session(house, served, AMARA)
        house.now += 601
        assert (await amara.ask("POST", "/me/app"))[0] == 403
        _, wanted = await amara.ask("POST", "/me/proof/options")
        assert not wanted["passphrase"]
        foreign = other.get(wanted["passkey"], ORIGIN)
        assert (await amara.ask("POST", "/me/proof", {"answer": foreign}))[0] == 422, "the passkey of somebody else"
        assert (await amara.ask("POST", "/me/app"))[0] == 403
        answer = device.get(wanted["passkey"], ORIGIN)
        assert (await amara.ask("POST", "/me/proof", {"answer": answer}))[0] == 204
        assert (await amara.ask("POST", "/me/proof", {"answer": answer}))[0] == 422, "an answer is good once"
        assert house.ears.entries[-1][:3] == ("amara", "login.prove", "amara")
        _, app = await amara.ask("POST", "/me/app")
        new = {"passphrase": PHRASE, "ticket": app["ticket"], "code": code(house, app["secret"])}
        assert (await amara.ask("PUT", "/me/passphrase", new))[0] == 204
        house.now += 601
        wrong = {"passphrase": PHRASE + "x", "code": code(house, app["secret"])}
        assert (await amara.ask("POST", "/me/proof", wrong))[0] == 422
        assert (await amara.ask("POST", "/tokens", BODIES["/tokens"]))[0] == 403
        assert (await amara.ask("POST", "/me/proof", {**wrong, "passphrase": PHRASE}))[0] == 204
        assert (await amara.ask("POST", "/tokens", BODIES["/tokens"]))[0] == 201


async def test_a_machine_s_certificate_does_not_say_who_sits_there(house: House) -> None:
    async with api(house) as served:
        mine = Asker(served, house.desk.begin(AMARA, "provider", HERE))
        assert (await mine.ask("POST", "/me/app"))[0] == 200, "they have nothing else to show it with"
        has_passkey(house, AMARA, Authenticator())
        again = Asker(served, house.desk.begin(AMARA, "provider", HERE))
        assert (await again.ask("POST", "/me/app"))[1]["code"] == "prove"


# --- links that need two --------------------------------------------------------------------------------------------

FOUR_EYES = msgspec.structs.replace(SETTINGS, approvals=1)


async def test_with_four_eyes_nobody_becomes_somebody_else_alone(house: House) -> None:
    cleo = Person("cleo", "Cleo May", "cleo@health.example", ("approver", "administrator"))
    house.desk.renew(msgspec.structs.replace(FOUR_EYES, people=(AMARA, BEN, ANA, cleo)))
    async with api(house) as served:
        has_passkey(house, AMARA, Authenticator())
        ana, amara, ben, clea = (session(house, served, one) for one in (ANA, AMARA, BEN, cleo))
        status, said = await ana.ask("POST", "/accounts/amara/invite", {"reset": True})
        assert status == 201 and said["link"] == "" and not house.desk.invitations.waiting()
        assert (await amara.ask("GET", "/me"))[0] == 200, "nothing is reset before somebody agreed"
        assert (await amara.ask("GET", "/links"))[1] == [
            {"person": "amara", "name": "Amara Diaz", "by": "ana", "reset": True, "until": house.now + 86_400}
        ]
        assert (await ana.ask("POST", "/links/amara/agree"))[0] == 403, "who wants it does not agree"
        assert (await ben.ask("POST", "/links/ana/agree"))[0] == 404
        assert (await amara.ask("DELETE", "/links/amara"))[0] == 204, "it was not they who asked"
        assert (await ben.ask("POST", "/links/amara/agree"))[0] == 404

        await clea.ask("POST", "/accounts/ben/invite", {})
        assert (await clea.ask("POST", "/links/ben/agree"))[1]["code"] == "own", "an approver neither"
        assert (await ben.ask("POST", "/links/ben/agree"))[1]["code"] == "own", "nor whom it is for"
        assert (await amara.ask("DELETE", "/links/ben"))[0] == 403
        await ana.ask("POST", "/accounts/amara/invite", {"reset": True})
        status, made = await ben.ask("POST", "/links/amara/agree")
        assert status == 201 and made["link"].startswith(f"{ORIGIN}/invitation/")
        assert (await amara.ask("GET", "/me"))[0] == 401, "now they are out"
        assert [one[1:] for one in house.ears.entries if one[0] == "ben"][-1] == (
            "account.agree", "amara", {"wanted by": "ana"}
        )  # fmt: skip
        assert house.ears.alerts, "who had an account and comes in again is an alert"
        assert (await ben.ask("POST", "/links/amara/agree"))[0] == 404, "once"
        await ana.ask("POST", "/accounts/amara/invite", {})
        house.now += 86_401
        house.open()
        assert house.desk.wanted() == [], "nor for ever"


async def test_administrators_invite_reset_and_see_what_people_come_in_with(house: House) -> None:
    async with api(house) as served:
        has_passkey(house, AMARA, Authenticator())
        ana, amara = session(house, served, ANA), session(house, served, AMARA)
        _, listed = await ana.ask("GET", "/accounts")
        assert {one["id"]: len(one["credentials"]["passkeys"]) for one in listed} == {"amara": 1, "ben": 0, "ana": 0}
        status, link = await ana.ask("POST", "/accounts/amara/invite", {"reset": True})
        assert status == 201 and link["link"].startswith(f"{ORIGIN}/invitation/")
        assert (await amara.ask("GET", "/me"))[0] == 401
        _, one = await ana.ask("GET", "/accounts/amara")
        assert one["invited"] == link["until"] and one["credentials"]["passkeys"] == []
        assert (await ana.ask("POST", "/accounts/zoe/invite", {}))[0] == 404
        has_passkey(house, BEN, Authenticator())
        name = house.desk.accounts.passkeys("ben")[0].name
        assert (await ana.ask("DELETE", f"/accounts/ben/passkeys/{name}"))[0] == 204
        assert (await ana.ask("DELETE", "/accounts/ben/passphrase"))[0] == 404
        caller = house.desk.known(ana.headers["Cookie"].partition("=")[2], "", b"", "")
        assert caller is not None
        token, _ = house.desk.make_token(caller, "all", ("administer",), 60, "")
        status, said = await Asker(served, token=token).ask("POST", "/accounts/ben/invite", {})
        assert status == 403 and said["code"] == "session-needed", "a token lets nobody in"


async def test_a_change_of_a_foreign_page_is_not_made(house: House) -> None:
    async with api(house) as served:
        amara = session(house, served, AMARA)
        for headers in ({"X-Reef": "0"}, {"Sec-Fetch-Site": "cross-site"}):
            status, said = await amara.ask("DELETE", "/sessions", **headers)
            assert status == 403 and said["code"] == "csrf"
