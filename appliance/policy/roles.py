"""Who may do what: the roles that a text gives to people, and what each of them allows.

The one table, for the console and for every process that it asks in a person's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

# look        see everything but the audit trail
# edit        drafts, proposals, comments
# approve     agree to what others propose
# apply       have what is agreed to run, confirm it, roll it back
# respond     bans, devices, indicators: what an officer does at once
# audit       the trail, evidence, and what names people
# administer  accounts, sessions and tokens of others
Permission = Literal["look", "edit", "approve", "apply", "respond", "audit", "administer"]
Role = Literal["reader", "editor", "approver", "auditor", "administrator"]

PERMISSIONS: tuple[Permission, ...] = ("look", "edit", "approve", "apply", "respond", "audit", "administer")
ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        "reader": frozenset({"look"}),
        "editor": frozenset({"look", "edit", "respond"}),
        "approver": frozenset({"look", "approve", "apply"}),
        "auditor": frozenset({"look", "audit"}),
        "administrator": frozenset({"look", "edit", "apply", "respond", "administer"}),
    }
)


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """What somebody with these roles may do."""
    return frozenset().union(*(ROLES[role] for role in roles))
