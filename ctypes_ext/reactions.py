"""What rules do because the policy says so (`reef/reactions.h`): filled once, then shared by workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctypes_ext._engine import ffi, lib
from ctypes_ext.engine import Rules, check

# The actions of a column, one byte a rule. "reject" is to the source, as the rule language has it.
ACTIONS: dict[str, int] = {
    "alert": lib.REEF_ALERT,
    "pass": lib.REEF_PASS,
    "drop": lib.REEF_DROP,
    "reject": lib.REEF_REJECT,
    "off": lib.REEF_OFF,
}
_KINDS = {"at-most": 0, "every": 1, "once-after": 2}
_SHEDS = ("files", "transfers", "encrypted", "established", "new")  # reef_shed
_PER = {"source": 0, "destination": 1, "pair": 2, "rule": 3}

# Version (4 or 6), first and last address as numbers.
Range = tuple[int, int, int]


class Reactions:
    """For one rule set: `actions` has a byte for each rule of each of `profiles` columns. Raises `EngineError`."""

    def __init__(self, rules: Rules, profiles: int, actions: bytes) -> None:
        if len(actions) != profiles * len(rules):
            raise ValueError(f"{len(actions)} actions for {profiles} profiles of {len(rules)} rules")
        out = ffi.new("reef_reactions **")
        check(lib.reef_reactions_new(rules.c, profiles, actions, out), "reactions")
        self._c = ffi.gc(out[0], lib.reef_reactions_free)
        self.rules = rules  # it outlives them

    @property
    def c(self) -> Any:
        """For the other modules of the border."""
        return self._c

    def profile_of(self, column: Sequence[int]) -> None:
        """The column of connections by the number of the policy's rule that let them in; others have column 0."""
        check(lib.reef_reactions_profile(self._c, ffi.new("uint16_t[]", list(column)), len(column)), "profiles")

    def limits(self, column: int, depth: int, shed: Sequence[str]) -> None:
        """Bytes of a direction that are looked at, 0 for all; and what is left out under pressure, first to last."""
        said = ffi.new("reef_limits *", {"depth": min(depth, 0xFFFFFFFF)})
        for place, word in enumerate(shed, 1):
            said.shed_at[_SHEDS.index(word)] = place
        check(lib.reef_reactions_limits(self._c, column, said), "limits")

    def threshold(self, column: int, rules: Sequence[int], kind: str, count: int, seconds: int, per: str) -> None:
        """How often these rules (places in the image) are told of; as `model.Threshold` has it."""
        said = ffi.new("reef_reaction_threshold *", {"kind": _KINDS[kind], "by": _PER[per]})
        said.count, said.seconds = count, seconds
        check(
            lib.reef_reactions_threshold(self._c, column, ffi.new("uint32_t[]", list(rules)), len(rules), said),
            "threshold",
        )

    def suppress(
        self,
        rules: Sequence[int],
        action: str,
        until: int,
        *,
        client: Sequence[Range] = (),
        server: Sequence[Range] = (),
        either: Sequence[Range] = (),
        columns: Sequence[int] = (),
    ) -> None:
        """These rules do only `action` ("off" or "alert") where all conditions hold; an empty one is none."""
        said = ffi.new("reef_suppression *", {"action": ACTIONS[action], "until_s": until})
        kept = [_ranges(client), _ranges(server), _ranges(either), ffi.new("uint16_t[]", list(columns))]
        said.client, said.server, said.either, said.profile = kept
        said.clients, said.servers, said.eithers = len(client), len(server), len(either)
        said.profiles = len(columns)
        check(
            lib.reef_reactions_suppress(self._c, ffi.new("uint32_t[]", list(rules)), len(rules), said), "suppression"
        )


def _ranges(ranges: Sequence[Range]) -> Any:
    made = ffi.new("reef_address_range[]", max(1, len(ranges)))
    for at, (version, first, last) in zip(made, ranges, strict=False):
        size = 4 if version == 4 else 16
        at.version = version
        at.first[0:size] = list(first.to_bytes(size, "big"))
        at.last[0:size] = list(last.to_bytes(size, "big"))
    return made
