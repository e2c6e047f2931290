"""Who asks, and what they may do. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.policy.roles import Permission


class Caller(msgspec.Struct, frozen=True):
    """Somebody who was recognised. `person` is what they log in as, `name` what others call them.

    `zones` are those whose rules they may change; () is all. `id` names the session, token or certificate by which
    they came: not the secret itself.
    """

    person: str
    name: str
    permissions: frozenset[Permission]
    zones: tuple[str, ...] = ()
    how: Literal["session", "token", "certificate"] = "session"
    id: str = ""

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions
