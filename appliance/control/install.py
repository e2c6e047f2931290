"""Writes the instance file of an installed gateway: run once at each boot, before the first process.

The table says which users there are; their numbers are given by the box (sysusers.d), so that no image and no
package can know them.
"""

from __future__ import annotations

import grp
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.control.processes import PROCESSES, Identity, Instance, Process, encode_instance
from appliance.control.units import OPERATORS_GROUP, PINS, STATE
from appliance.durable import replace

RUN = "/run/reef"


class NotInstalled(Exception):
    """The users or the group are not there; the text says which and what makes them."""


def instance_of(rows: Sequence[Process], config: Path) -> Instance:
    """The instance that this box's user database makes of the table. Raises `NotInstalled`."""
    identities: dict[str, Identity] = {}
    missing: list[str] = []
    for row in rows:
        try:
            user = pwd.getpwnam(row.user)
        except KeyError:
            missing.append(f"user {row.user}")
        else:
            identities[row.name] = Identity(user.pw_uid, user.pw_gid)
    operators = 0
    try:
        operators = grp.getgrnam(OPERATORS_GROUP).gr_gid
    except KeyError:
        missing.append(f"group {OPERATORS_GROUP}")
    if missing:
        raise NotInstalled(f"this box has no {', no '.join(missing)}; `systemd-sysusers` makes them")
    return Instance("reef", RUN, STATE, str(config), identities, operators, PINS)


def write(path: Path, instance: Instance) -> None:
    """Replace the file in one step; anybody may read it."""
    replace(path, encode_instance(instance), b"\n", mode=0o644)


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m appliance.control.install INSTANCE_FILE", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        write(path, instance_of(PROCESSES, path.parent))
    except (NotInstalled, OSError) as error:
        print(f"reef: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
