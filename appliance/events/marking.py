"""What an event of a spool becomes on its way into the outbox: the bytes that are sent, once and for all.

Added is what only the whole gateway knows: the site, the generation that ran, the TLP label. They stand where the
rule and the zones of a decision do, in `metadata.flowvars`, and the line stays valid EVE JSON. Where the policy asks
for it hosts get their pseudonyms here, before the bytes are fixed: nobody is ever sent the address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from appliance.events import tlp
from appliance.events.classes import COLLECTION_OF, Class, class_of
from appliance.events.outbox import New
from appliance.events.pseudonyms import Hiding
from appliance.events.record import GID
from appliance.events.tlp import Tlp
from appliance.policy.consumers import AlertSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OURS = b'"metadata":{"flowvars":[{"gid":"reef"'


class NotAnEvent(Exception):
    """The line is no event; the text says why."""


class _Head(msgspec.Struct):
    """What is asked of every line; the rest is passed over."""

    timestamp: str
    event_type: str
    host: str = ""
    metadata: dict[str, Any] | None = None
    src_ip: str = ""
    dest_ip: str = ""


_heads = msgspec.json.Decoder(_Head)
_encoder = msgspec.json.Encoder()


class Generations:
    """Which generation ran when, as far as was seen since the process began; before that, the first one seen."""

    _MOST = 256

    def __init__(self) -> None:
        self._seen: list[tuple[int, int]] = []  # (since, generation), microseconds

    def runs(self, generation: int, now: int) -> None:
        if not self._seen or self._seen[-1][1] != generation:
            self._seen = [*self._seen[-self._MOST :], (now, generation)]

    def at(self, moment: int) -> int:
        """The generation at a moment; 0: none is known."""
        for since, generation in reversed(self._seen):
            if moment >= since:
                return generation
        return self._seen[0][1] if self._seen else 0


class Marker:
    """Makes what is kept of what was written, by one policy."""

    def __init__(
        self, settings: AlertSettings, site: str, generations: Generations, hiding: Hiding | None = None
    ) -> None:
        self._site = site
        self._hiding = hiding
        self._generations = generations
        default = tlp.parse(settings.tlp)
        kinds = {mark.kept: tlp.parse(mark.tlp) for mark in settings.marks if mark.kept}
        self._of_class = {each: kinds.get(COLLECTION_OF[each], default) for each in Class}
        self._of_zone = {mark.zone: tlp.parse(mark.tlp) for mark in settings.marks if mark.zone}

    def turn(self, last: int) -> None:
        """Before events are made; `last` is the newest number of the outbox. Raises `sqlite3.Error`."""
        if self._hiding is not None:
            self._hiding.turn(last)

    def new(self, line: bytes) -> New:
        """The event of one line. Raises `NotAnEvent`."""
        try:
            head = _heads.decode(line)
            moment = (datetime.fromisoformat(head.timestamp) - _EPOCH) // _MICROSECOND
        except (msgspec.DecodeError, ValueError, TypeError) as error:  # TypeError: a time without its zone
            raise NotAnEvent(str(error)) from error
        kind = class_of(head.event_type)
        ours = _ours(head.metadata)
        label = self._label(kind, ours)
        said: dict[str, Any] = {}
        generation = self._generations.at(moment)
        if generation:
            said["generation"] = generation
        said["tlp"] = label.word
        if self._hiding is not None:
            hidden = self._hiding.hide(line, (head.src_ip, head.dest_ip), kind)
            if hidden != line:
                line, head = hidden, _again(hidden)
                ours = _ours(head.metadata)
                said |= {"pseudonyms": True, "key": self._hiding.key}
        return New(self._body(line.rstrip(), head, ours, said), head.event_type, kind, label, moment)

    def _label(self, kind: Class, ours: dict[str, Any]) -> Tlp:
        if self._of_zone and ours:
            zones = [self._of_zone[zone] for zone in (ours.get("from"), ours.get("to")) if zone in self._of_zone]
            if zones:
                return max(zones)
        return self._of_class[kind]

    def _body(self, line: bytes, head: _Head, ours: dict[str, Any], said: dict[str, Any]) -> bytes:
        """The line with `said` in our variable, where `ours` stands already. The engine's lines are told by how it
        writes them, and get it in between: to read and write them whole takes three times as long."""
        host = b"" if head.host or not self._site else b',"host":' + _encoder.encode(self._site)
        if head.metadata is None:
            variable = b',"metadata":{"flowvars":[' + _encoder.encode({"gid": GID} | said) + b"]}"
            return line[:-1] + host + variable + b"}"
        if line.count(_OURS) == 1 and ours and ours.keys().isdisjoint(said):
            place = line.index(_OURS) + len(_OURS)
            return line[:place] + b"," + _encoder.encode(said)[1:-1] + line[place:-1] + host + b"}"
        whole: dict[str, Any] = msgspec.json.decode(line)
        others = [one for one in head.metadata.get("flowvars", ()) if not _is_ours(one)]
        whole["metadata"] = head.metadata | {"flowvars": [{"gid": GID} | ours | said, *others]}
        if self._site:
            whole.setdefault("host", self._site)
        return _encoder.encode(whole)


def _again(line: bytes) -> _Head:
    try:
        return _heads.decode(line)
    except msgspec.DecodeError as error:
        raise NotAnEvent(f"its hosts cannot be hidden: {error}") from error


def _ours(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """What Reef said of the event: rule, action, zones."""
    variables: Sequence[Any] = (metadata or {}).get("flowvars", ())
    return next((one for one in variables if _is_ours(one)), {})


def _is_ours(variable: object) -> bool:
    return isinstance(variable, dict) and variable.get("gid") == GID
