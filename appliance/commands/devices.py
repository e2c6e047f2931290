"""`reef devices` and `reef show services`: the registers of what was ever seen on our own networks (R3)."""

from __future__ import annotations

import argparse
import re
import time

import msgspec

from appliance.commands.failure import OK, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time
from appliance.control.messages.devices import Admit, Expel, Quarantine, QuarantineReport
from appliance.control.messages.watch import (
    AcceptDevice,
    DeviceInfo,
    DeviceList,
    Devices,
    ForgetDevice,
    KnownServices,
    ServiceList,
)

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_OF = "watchd"


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    answer, held = _with_quarantine(gateway, gateway.ask(Devices(), DeviceList, of=_OF))
    if getattr(options, "unknown", False):
        kept = tuple(device for device in answer.devices if device.state == "unknown")
        answer = DeviceList(kept, answer.learning_until, answer.forgotten)
    if terminal.json:
        terminal.data(answer)
        return OK
    terminal.table(
        ("device", "state", "first seen", "last seen", "zone", "addresses", "name", "maker"),
        [_row(device) for device in answer.devices],
        empty="no device was seen yet",
    )
    _learning(answer.learning_until, terminal)
    for zone in held.zones:
        dropped = count(zone.packets, "packet")
        terminal.note(f"zone {escape(zone.name)} holds devices that nobody accepted in quarantine: {dropped} dropped")
    if answer.forgotten:
        terminal.note(f"{count(answer.forgotten, 'device')} found no room in the register", "yellow")
    return OK


def _with_quarantine(gateway: Gateway, listed: DeviceList) -> tuple[DeviceList, QuarantineReport]:
    """Who of them is held. What is enforced is applyd's to say, not what the register calls them."""
    try:
        held = gateway.ask(Quarantine(), QuarantineReport)
    except Failure:
        return listed, QuarantineReport(())  # watchd alone answers
    zones, admitted = {zone.name for zone in held.zones}, set(held.admitted)
    devices = tuple(
        msgspec.structs.replace(device, quarantined=device.zone in zones and device.mac not in admitted)
        for device in listed.devices
    )
    return msgspec.structs.replace(listed, devices=devices), held


def _row(device: DeviceInfo) -> tuple[str, ...]:
    more = f" and {len(device.addresses) - 2} more" if len(device.addresses) > 2 else ""
    state = f"accepted by {device.by}" if device.by else device.state
    state += ", in quarantine" if device.quarantined else ""
    fields = (
        device.mac, state, local_time(device.first), local_time(device.last), device.zone,
        ", ".join(device.addresses[:2]) + more, ", ".join(device.names), device.maker,
    )  # fmt: skip
    return tuple(escape(field) for field in fields)


def accept(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    words = list(options.devices)
    if options.learned:
        listed = gateway.ask(Devices(), DeviceList, of=_OF).devices
        words += [device.mac for device in listed if device.state == "learned"]
    if not words:
        raise Failure("no device is named", "name hardware addresses, or --learned where some were", name="no-device")
    macs = _macs(words)
    answer = gateway.ask(AcceptDevice(macs), DeviceList, of=_OF)
    gateway.ask(Admit(macs), QuarantineReport)
    return _changed(answer, "accepted", terminal)


def forget(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    macs = _macs(options.devices)
    gateway.ask(Expel(macs), QuarantineReport)
    answer = gateway.ask(ForgetDevice(macs), DeviceList, of=_OF)
    return _changed(answer, "forgotten", terminal)


def quarantine(options: argparse.Namespace, terminal: Terminal) -> int:
    held = Gateway(options).ask(Expel(_macs(options.devices)), QuarantineReport)
    if terminal.json:
        terminal.data(held)
        return OK
    terminal.line(f"no longer accepted: {', '.join(_macs(options.devices))}", "green")
    if not held.zones:
        terminal.note("no zone of the policy has a `quarantine`, so they are held nowhere", "yellow")
    return OK


def services(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(KnownServices(), ServiceList, of=_OF)
    if terminal.json:
        terminal.data(answer)
        return OK
    rows = [
        (
            one.address, f"{one.protocol}/{one.port}" if one.port else f"{one.protocol}, many ports", one.app,
            one.zone, local_time(one.first), local_time(one.last),
        )
        for one in answer.services
    ]  # fmt: skip
    head = ("host", "service", "speaks", "zone", "first seen", "last seen")
    terminal.table(head, [tuple(map(escape, row)) for row in rows], empty="no service was seen yet")
    _learning(answer.learning_until, terminal)
    return OK


def _learning(until: float, terminal: Terminal) -> None:
    if until > time.time():
        terminal.note(f"learning until {local_time(until)}: what is new is noted and not told")


def _macs(words: list[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.lower().replace("-", ":") for word in words))
    wrong = [word for word in found if not _MAC.fullmatch(word)]
    if wrong:
        raise Failure(
            f"no hardware address: {', '.join(wrong)}", "write it like b8:27:eb:01:02:03", name="bad-address"
        )
    return found


def _changed(answer: DeviceList, verb: str, terminal: Terminal) -> int:
    if terminal.json:
        terminal.data(answer)
    else:
        terminal.line(f"{verb}: {', '.join(device.mac for device in answer.devices)}", "green")
    return OK
