"""The messages behind `reef impact`, and those about the keys of the flow log."""

from __future__ import annotations

import msgspec

from appliance.policy.answering.impact import ImpactGroup


class Impact(msgspec.Struct, frozen=True, tag=True):
    """Replay the flows of the last `days` against this text.

    Newest first, for at most `seconds` (0: all of them). `addresses` names single hosts, and is written down (R30).
    """

    text: str
    file: str = "policy.yaml"
    files: dict[str, str] = {}
    days: int = 7
    seconds: float = 0.0
    addresses: bool = False


class Impacted(msgspec.Struct, frozen=True, tag=True):
    """What generation `base` decided, or would, and the candidate does not.

    `flows` were looked at, of `logged` between `since` and `until` (seconds since the epoch); `unsure` of them depend
    on the source port, which is not kept; `unlike_log` the running policy decides otherwise than they were logged.
    `unlisted` groups are not listed. `missing` says in words what could not be looked at.
    """

    base: int
    flows: int
    logged: int
    since: int
    until: int
    seconds: float
    groups: tuple[ImpactGroup, ...]
    unlisted: int = 0
    unsure: int = 0
    unlike_log: int = 0
    missing: tuple[str, ...] = ()


class FlowKey(msgspec.Struct, frozen=True, tag=True):
    """The key of the flow log of a day (days since the epoch, UTC). Who writes the log may ask for today's and
    yesterday's, which are made when they are not there; who reads it for any that there is."""

    day: int


class FlowKeyIs(msgspec.Struct, frozen=True, tag=True):
    key: bytes


class ForgetFlowKeys(msgspec.Struct, frozen=True, tag=True):
    """Destroy the keys of all days before `before`: what they closed can be read by nobody any more."""

    before: int


class FlowKeysForgotten(msgspec.Struct, frozen=True, tag=True):
    days: int
