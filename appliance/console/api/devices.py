"""Devices on our own networks: when each was seen first, whether it belongs here, and whether it is held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from appliance.console.api.bans import Page, Place, Word
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.devices import Admit, Expel, Quarantine, QuarantineReport
from appliance.control.messages.watch import AcceptDevice, DeviceInfo, DeviceList, Devices, ForgetDevice

Mac = Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")]
State = Literal["", "learned", "accepted", "unknown", "held"]


class WantedDevices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In a state (`held`: in quarantine), with a word in its addresses, names, maker or zone."""

    word: Word = ""
    state: State = ""
    after: Place = ""
    limit: Page = 100


class Macs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hardware addresses."""

    macs: Annotated[tuple[Mac, ...], msgspec.Meta(min_length=1, max_length=1000)]


class DevicePage(msgspec.Struct, frozen=True):
    """The newest first. `counts` of all by their states; `holding` are the zones that hold whom nobody accepted;
    `learning_until` what is new is noted and not told. The next page begins `after`, "" at the end."""

    devices: tuple[DeviceInfo, ...]
    total: int
    counts: dict[str, int]
    holding: tuple[str, ...]
    learning_until: float
    forgotten: int
    after: str


@endpoint("GET", "/devices", permission="look", answers=DevicePage, paged=True)
async def devices(ctx: Ctx, query: WantedDevices) -> Answer:
    """Devices that were ever seen on our own networks, a page."""
    listed = await ctx.ask(Devices(), DeviceList, of="watchd")
    held = await ctx.ask(Quarantine(), QuarantineReport)
    every = with_quarantine(listed.devices, held)
    found = sorted(
        (one for one in every if _in_state(one, query.state) and says(one, query.word)),
        key=lambda one: (-one.first, one.mac),
    )
    counts: dict[str, int] = {}
    for one in every:
        for state in (one.state, *(("held",) if one.quarantined else ())):
            counts[state] = counts.get(state, 0) + 1
    begin = int(query.after or 0)
    page = tuple(found[begin : begin + query.limit])
    after = str(begin + len(page)) if page and begin + len(page) < len(found) else ""
    zones = tuple(zone.name for zone in held.zones)
    shown = DevicePage(page, len(found), counts, zones, listed.learning_until, listed.forgotten, after)
    return Answer(shown, after=after)


@endpoint("POST", "/devices/accept", permission="respond", answers=tuple[DeviceInfo, ...])
async def accept(ctx: Ctx, body: Macs) -> tuple[DeviceInfo, ...]:
    """They belong here, and are in quarantine nowhere from now on."""
    listed = await ctx.ask(AcceptDevice(body.macs), DeviceList, of="watchd")
    return with_quarantine(listed.devices, await ctx.ask(Admit(body.macs), QuarantineReport))


@endpoint("POST", "/devices/quarantine", permission="respond", answers=QuarantineReport)
async def quarantine(ctx: Ctx, body: Macs) -> QuarantineReport:
    """They are held again where their zone has a quarantine; the register keeps them."""
    return await ctx.ask(Expel(body.macs), QuarantineReport)


@endpoint("POST", "/devices/forget", permission="respond", answers=tuple[DeviceInfo, ...])
async def forget(ctx: Ctx, body: Macs) -> tuple[DeviceInfo, ...]:
    """As if they had never been seen; answers what was known of them."""
    held = await ctx.ask(Expel(body.macs), QuarantineReport)
    return with_quarantine((await ctx.ask(ForgetDevice(body.macs), DeviceList, of="watchd")).devices, held)


def with_quarantine(devices: Iterable[DeviceInfo], held: QuarantineReport) -> tuple[DeviceInfo, ...]:
    """Who of them is held. What is enforced is applyd's to say, not what the register calls them."""
    zones, admitted = {zone.name for zone in held.zones}, set(held.admitted)
    return tuple(
        msgspec.structs.replace(one, quarantined=one.zone in zones and one.mac not in admitted) for one in devices
    )


def _in_state(one: DeviceInfo, state: State) -> bool:
    return one.quarantined if state == "held" else state in ("", one.state)


def says(one: DeviceInfo, word: str) -> bool:
    """Whether a word stands in what is known of a device."""
    word = word.strip().lower()
    texts = (one.mac, one.zone, one.maker, one.by, *one.names, *one.addresses)
    return any(word in text.lower() for text in texts)
