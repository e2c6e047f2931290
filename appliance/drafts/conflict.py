"""What two people changed in one text, and not alike. Messages carry it: it knows nothing of how texts are read."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["changed", "added", "removed", "moved"]


class Conflict(msgspec.Struct, frozen=True):
    """What both sides changed, and not alike. `section` and `name` say of what ("rules", "R-7"); `name` is "" where
    a whole section is meant. The three texts are "" where it is not there. `kind`: both `changed` it, both `added`
    it, one changed and the other `removed` it, both `moved` it (then the texts are what it stands behind)."""

    section: str
    name: str
    kind: Kind
    base: str
    mine: str
    theirs: str

    @property
    def what(self) -> str:
        """For people: "rule R-7", "objects records", "settings"."""
        section = "rule" if self.section == "rules" and self.name else self.section
        return f"{section} {self.name}".strip()
