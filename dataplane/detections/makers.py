"""Who made a network card: the IEEE's registers, as Debian's package ieee-data has them. Pure: texts
in, names out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable

import msgspec

REGISTERS = ("oui36.csv", "mam.csv", "oui.csv")  # below /usr/share/ieee-data; 36, 28 and 24 bits are assigned
_LENGTHS = (9, 7, 6)  # hexadecimal digits
_NAME = 60  # characters


class Makers(msgspec.Struct, frozen=True):
    """Names by the first digits of an address, upper case."""

    names: dict[str, str] = {}

    def of(self, mac: str) -> str:
        """The maker of `02:00:…`; what an address itself says where it is nobody's; "" where nobody knows."""
        digits = mac.replace(":", "").replace("-", "").upper()
        if len(digits) != 12:
            return ""
        for length in _LENGTHS:
            name = self.names.get(digits[:length])
            if name is not None:
                return name
        return "a private address, of nobody's register" if int(digits[1], 16) & 2 else ""


def read(texts: Iterable[Iterable[str]]) -> Makers:
    """Registers as the IEEE publishes them: Registry, Assignment, Organization Name, Organization Address."""
    names: dict[str, str] = {}
    for text in texts:
        for row in csv.reader(text):
            if len(row) >= 3 and len(row[1]) in _LENGTHS:
                names.setdefault(row[1].upper(), row[2].strip()[:_NAME])
    return Makers(names)
