"""What the API promises of every change and every list, asked of every endpoint there is."""

from __future__ import annotations

import asyncio
from typing import get_args, get_origin

from appliance.console.api import NOUNS
from appliance.console.callers import Caller
from appliance.console.registry import Endpoint, endpoints
from appliance.policy.roles import PERMISSIONS
from tests.unit.console.serving import Names, Served, serving

ENDPOINTS = endpoints(NOUNS)
CHANGES = tuple(one for one in ENDPOINTS if one.changes)
EVERYBODY = {"Authorization": "Bearer ana"}

# What a change may not be of another state than was seen says by If-Match. These have no state that somebody saw:
STATELESS = {
    "makes something new": {
        "POST /drafts", "POST /proposals/{number}/comments", "POST /tokens", "POST /accounts/{id}/invite",
        "POST /me/passkeys", "POST /me/passkeys/options", "POST /me/app", "POST /me/proof", "POST /me/proof/options",
        "POST /alerts/{id}/evidence",
    },
    "asks, and changes nothing": {
        "POST /why", "POST /proposals/{number}/try", "POST /proposals/{number}/try/impact", "POST /ask/{process}",
    },
    "is there or gone, whoever asks how often": {
        "DELETE /me/passkeys/{name}", "DELETE /me/passphrase", "DELETE /sessions/{id}", "DELETE /sessions",
        "DELETE /tokens/{id}", "DELETE /accounts/{id}/passkeys/{name}", "DELETE /accounts/{id}/passphrase",
        "POST /links/{id}/agree", "DELETE /links/{id}",
    },
    "is a secret: what was there before is not told": {"PUT /me/passphrase"},
    "makes a draft of it": {"POST /alerts/{id}/suppression"},
    "only grows": {"POST /notices/seen"},
    "counts by the connection, or names its generation": {"POST /running/confirm", "POST /running/rollback"},
}  # fmt: skip
# What is in force at once, and not a text: an address is banned or it is not, whatever was seen before.
AT_ONCE = ("/bans", "/allow", "/gate", "/devices", "/indicators")
# Lists whose length the policy or a process bounds: they come whole.
BOUNDED = {
    "/drafts", "/links", "/accounts", "/calendar", "/objects", "/drafts/{id}/objects", "/uses/{name}",
    "/drafts/{id}/uses/{name}",
}  # fmt: skip


class Everything(Names):
    """A door for somebody who may everything."""

    def __init__(self) -> None:
        super().__init__()
        self.people["ana"] = Caller("ana", "Ana Ruiz", frozenset(PERMISSIONS))


def called(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def path_of(endpoint: Endpoint) -> str:
    found = endpoint.path
    for name, kind in endpoint.places.items():
        found = found.replace(f"{{{name}}}", "1" if kind is int else "none")
    return f"/api/v1{found}"


async def asked(served: Served, endpoint: Endpoint, **headers: str) -> tuple[int, str]:
    sent = {**EVERYBODY, **headers}
    url = served.url + path_of(endpoint)
    async with served.session.request(endpoint.method, url, headers=sent) as answer:
        told = await answer.json(content_type=None) if answer.status >= 400 else {}
        return answer.status, told.get("code", "")


def test_every_change_says_which_state_it_is_of_or_has_none() -> None:
    free = set().union(*STATELESS.values())
    asked_at_once = {called(one) for one in CHANGES if one.path.startswith(AT_ONCE)}
    assert {called(one) for one in CHANGES if not one.match} - asked_at_once == free


def test_a_change_of_what_somebody_saw_wants_to_hear_what_they_saw() -> None:
    async def story() -> None:
        async with serving(door=Everything()) as served:
            for one in CHANGES:
                if one.match:
                    assert await asked(served, one) == (428, "precondition"), called(one)
                    assert await asked(served, one, **{"If-Match": "x"}) == (400, "bad-request"), called(one)

    asyncio.run(story())


def test_every_change_takes_a_key() -> None:
    """Whatever comes first in the way of the change, a key that is none is not taken for one."""

    async def story() -> None:
        async with serving(door=Everything()) as served:
            for one in CHANGES:
                if one.body is None:
                    sent = {"If-Match": '"1"', "Idempotency-Key": "two words"}
                    assert await asked(served, one, **sent) == (400, "bad-request"), called(one)
                    sent["Idempotency-Key"] = f"one-{called(one)}".replace(" ", "")
                    first = await asked(served, one, **sent)
                    assert await asked(served, one, **sent) == first, f"{called(one)}: what was refused frees its key"

    asyncio.run(story())


def test_every_list_that_may_go_on_says_where() -> None:
    lists = {one.path: one for one in ENDPOINTS if one.method == "GET" and get_origin(one.answers) is tuple}
    assert {path for path, one in lists.items() if not one.paged} == BOUNDED
    for path, one in lists.items():
        if one.paged:
            assert one.query is not None, path
            assert {"limit", "after"} <= set(one.query.__struct_fields__), path
            assert get_args(one.answers)[-1] is ..., path
