"""Where others meet the office: consumers who give indicators, the lists of what is in force, people who ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from appliance.control.auditing import Write, origin_of
from appliance.control.ipc import Peer
from appliance.control.messages.gateway import Refused as RefusedReply
from appliance.control.messages.indicators import (
    IndicatorInfo,
    IndicatorList,
    Indicators,
    IndicatorsTaken,
    Overridden,
    OverrideIndicator,
    SourceInfo,
    TakeIndicators,
)
from appliance.events.api.context import Outcome
from appliance.events.tlp import Tlp
from appliance.indicators import csvin, mispin, stixin
from appliance.indicators.deciding import LOOKED_FOR, Mode
from appliance.indicators.desk import Desk, OverrideRefused, Shown
from appliance.indicators.fetching import State
from appliance.indicators.given import Given
from appliance.indicators.giving import Give, told
from appliance.indicators.hitting import around
from appliance.indicators.indicator import Indicator, Read, Refused, Unreadable
from appliance.indicators.inforce import Changed, Key
from appliance.indicators.neverlists import never_of
from appliance.indicators.office import Office
from appliance.indicators.store import StoreError
from appliance.indicators.values import Kind, Value, ValueRefused
from appliance.policy.indicators import IndicatorSettings, IndicatorSource

MOST_SHOWN = 10_000
_LISTS: dict[str, tuple[Kind, ...]] = {
    "addresses": ("address", "network"),
    "domains": ("domain",),
    "urls": ("url",),
    "hashes": ("sha256", "sha1", "md5"),
}


class Counter:
    """For one office. What waits is awaited; nothing here blocks the loop. `give` has consumers read indicators."""

    def __init__(self, office: Office, audit: Write, state: Callable[[str], State], give: Give) -> None:
        self._office = office
        self._give = give
        self._audit = audit
        self._state = state
        self._given = Given(audit)
        self._settings = IndicatorSettings()
        self.problems: tuple[str, ...] = ()

    async def follow(self, settings: IndicatorSettings, own: Iterable[tuple[str, str]], lists: Path) -> None:
        """Another generation. `own` are networks and whose; warning lists are read again. Raises `StoreError`."""
        never, self.problems = await asyncio.to_thread(never_of, settings.never, tuple(own), lists)
        self._settings = settings
        await asyncio.wrap_future(self._office.do(lambda desk, now: (None, desk.follow(settings, never, now))))

    # --- consumers ------------------------------------------------------------------------------------

    async def inbox(self, consumer: str, objects: list[bytes]) -> list[Outcome]:
        """Indicators that a consumer posted: kept, in force or on the way when this returns."""
        read = await asyncio.to_thread(stixin.given, objects)
        if consumer not in {source.name for source in self._settings.sources}:
            words = f"the policy of this gateway trusts no source of the name {consumer}"
            return [Outcome(_id(one), _version(one), False, words) for one in read]
        kept = tuple(one for one in read if isinstance(one, Indicator))
        try:
            # What a consumer posts is in the collection as it came; the API sees to that.
            _, taken = await self._take(consumer, Read(kept))
            self._given.add(consumer, taken)
        except StoreError as error:
            return [Outcome(_id(one), _version(one), False, str(error)) for one in read]
        refused = dict(taken.refused)
        return [
            Outcome(one.id, _version(one), one.id not in refused, refused.get(one.id, ""))
            if isinstance(one, Indicator)
            else Outcome(_id(one), _version(one), False, one.why)
            for one in read
        ]

    async def _take(self, source: str, read: Read) -> tuple[tuple[Indicator, ...], IndicatorsTaken]:
        taken = await asyncio.wrap_future(self._office.do(lambda desk, now: desk.take(source, read, now)))
        return taken.fresh, IndicatorsTaken(taken.new, taken.changed, taken.known, taken.refused)

    def listed(self, name: str, highest: Tlp) -> Iterable[str]:
        """The values in force of a list, as far as their label lets them be given."""
        kinds = _LISTS.get(name, ())

        def find(desk: Desk, now: float) -> list[str]:
            found = []
            for value, mode in desk.in_force():
                if value.kind in kinds and mode >= Mode.ALERT:
                    shown = desk.naming(value, now)
                    if any(one.indicator.tlp <= highest for one in shown):
                        found.append(value.text)
            return found

        return self._office.ask(find).result()

    def tick(self) -> None:
        """Call it about each second."""
        self._given.tick()

    def flush(self) -> None:
        """At the end."""
        self._given.flush()

    # --- people ---------------------------------------------------------------------------------------

    async def answer(
        self, request: Indicators | TakeIndicators | OverrideIndicator, peer: Peer
    ) -> IndicatorList | IndicatorsTaken | Overridden | RefusedReply:
        try:
            match request:
                case Indicators():
                    return await self._list(request)
                case TakeIndicators():
                    return await self._brought(request, peer)
                case OverrideIndicator():
                    return await self._override(request, peer)
        except StoreError as error:
            return RefusedReply("store", str(error))

    async def _brought(self, request: TakeIndicators, peer: Peer) -> IndicatorsTaken | RefusedReply:
        if request.source not in {source.name for source in self._settings.sources}:
            known = ", ".join(source.name for source in self._settings.sources) or "none"
            return RefusedReply("unknown", f"the policy has no source `{request.source}`; it has {known}")
        try:
            read = await asyncio.to_thread(_read, request)
        except Unreadable as error:
            return RefusedReply("unreadable", str(error))
        fresh, taken = await self._take(request.source, read)
        await asyncio.to_thread(self._give, told(fresh, read.raw))
        detail = {"format": request.format, "sha256": sha256(request.document).hexdigest()}
        detail |= {"new": str(taken.new), "changed": str(taken.changed)}
        self._audit(peer.name, "indicator.add", request.source, origin=origin_of(peer), detail=detail)
        refused = tuple((one.which, one.why) for one in read.refused)
        return IndicatorsTaken(taken.new, taken.changed, taken.known, (*refused, *taken.refused)[:MOST_SHOWN])

    async def _override(self, request: OverrideIndicator, peer: Peer) -> Overridden | RefusedReply:
        try:
            value = csvin.guessed(request.value)
        except ValueRefused as error:
            return RefusedReply("bad-value", str(error))

        by = peer.name

        def change(desk: Desk, now: float) -> tuple[Overridden, list[Changed]]:
            if request.back:
                return Overridden(value.text, "", "", 0.0), desk.restore(value, now)
            made, changes = desk.override(value, by, request.why, now + request.seconds, now)
            return Overridden(value.text, made.first, made.second, made.until), changes

        try:
            made = await asyncio.wrap_future(self._office.do(change))
        except OverrideRefused as error:
            return RefusedReply("override", str(error))
        action = "indicator.restore" if request.back else "indicator.override"
        detail = {} if request.back else {"first": made.first, "second": made.second, "seconds": f"{request.seconds}"}
        self._audit(by, action, value.text, why=request.why, origin=origin_of(peer), detail=detail)
        return made

    async def naming(self, address: str) -> int:
        """How many indicators name an address, or a network that it lies in."""

        def find(desk: Desk, now: float) -> int:
            return len({each.indicator.id for value in around(address) for each in desk.naming(value, now)})

        return await asyncio.wrap_future(self._office.ask(find))

    async def known(self) -> int:
        """How many indicators there are."""
        return await asyncio.wrap_future(self._office.ask(lambda desk, _: len(desk)))

    async def _list(self, request: Indicators) -> IndicatorList:
        refused = dict(self._office.refused)

        def blocking(desk: Desk, now: float) -> IndicatorList:
            values = [one for one in around(request.holds) if one.text not in refused]
            shown = [each for one in values if desk.mode(one) is Mode.BLOCK for each in desk.naming(one, now)]
            found = [_info(one, desk, refused) for one in shown]
            return IndicatorList(tuple(found[: request.limit]), len(found), {})

        if request.holds:
            return await asyncio.wrap_future(self._office.ask(blocking))

        def find(desk: Desk, now: float) -> IndicatorList:
            naming = {_key(each): each for one in around(request.word) for each in desk.naming(one, now)}
            if request.source or request.mode:
                naming.clear()
            page, found = desk.find(
                now, word=request.word.strip(), source=request.source, mode=request.mode, after=max(request.after, 0),
                limit=max(0, min(request.limit, MOST_SHOWN)),
            )  # fmt: skip
            shown = [each for each in page if _key(each) not in naming]
            shown[:0] = [] if request.after else naming.values()
            return IndicatorList(
                indicators=tuple(_info(each, desk, refused) for each in shown),
                total=max(found.total, len(shown)),
                in_force=desk.modes,
                sources=tuple(self._source(one, desk.sources[one.name]) for one in self._settings.sources),
                overrides=tuple((o.value.text, o.first, o.second, o.why, o.until) for o in desk.overrides()),
                words=self.problems,
                after=found.after,
                exact=found.exact,
            )

        return await asyncio.wrap_future(self._office.ask(find))

    def _source(self, source: IndicatorSource, indicators: int) -> SourceInfo:
        state = self._state(source.name)
        return SourceInfo(source.name, source.address, indicators, state.fetched, state.error)


def _read(request: TakeIndicators) -> Read:
    match request.format:
        case "stix":
            return stixin.read(request.document)
        case "misp":
            return mispin.read(request.document)
        case "csv":
            return csvin.read(request.document, now=time.time())


def _id(one: Indicator | Refused) -> str:
    return one.id if isinstance(one, Indicator) else one.which


def _version(one: Indicator | Refused) -> str:
    if not isinstance(one, Indicator):
        return ""
    stamp = datetime.fromtimestamp(one.modified, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"


def _key(shown: Shown) -> Key:
    return shown.source, shown.indicator.id


def _info(shown: Shown, desk: Desk, refused: dict[str, str]) -> IndicatorInfo:
    modes = dict(shown.ruling.modes)
    hits = [found for value in modes if (found := desk.hits(value)) is not None]
    why = (*shown.ruling.why, *((value.text, refused[value.text]) for value in modes if value.text in refused))
    return IndicatorInfo(
        id=shown.indicator.id,
        source=shown.source,
        name=shown.indicator.name,
        tlp=shown.indicator.tlp.label,
        confidence=shown.indicator.confidence,
        values=tuple(
            (value.kind, value.text, modes.get(value, Mode.NONE).word, _where(value, modes))
            for value in shown.indicator.values
        ),
        why=why,
        seen=shown.seen,
        until=shown.ruling.until,
        hits=sum(found.count for found in hits),
        last_hit=max((found.last for found in hits), default=0.0),
    )


def _where(value: Value, modes: dict[Value, Mode]) -> str:
    return LOOKED_FOR.get(value.kind, "") if value in modes else ""
