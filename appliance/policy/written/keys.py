"""What the sections of a policy text are made of: keys, and mappings of known keys."""

from __future__ import annotations

import msgspec

from appliance.policy.written import kinds
from appliance.policy.written.kinds import Choice
from appliance.policy.written.text import Word

Words = tuple[Word, ...]
LEVEL = Choice(("low", "medium", "high"))


class Key(msgspec.Struct, frozen=True):
    """One key: what may be written, and its words for the handbook and for editors."""

    shape: kinds.Shape
    words: str
    name: str = ""  # where the key is no Python name
    default: str = ""
    example: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping of the text with known keys; `at` is where it begins.

    A `flawed` one had problems (they are reported): keys that were wrong are left at their default, required
    ones hold "" or (). It is still there, so that its name is known and its references are checked.
    """

    at: int
    flawed: bool = False
    name: Word | None = None  # the key it stands under, where the author chooses that
