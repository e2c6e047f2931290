"""`reef devices` and `reef show services`: the registers of what was ever seen on our own networks (R3)."""

from __future__ import annotations

import argparse
import re
import time

from appliance.commands.failure import OK, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time
from appliance.control.messages_watch import (
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
    answer = Gateway(options).ask(Devices(), DeviceList, of=_OF)
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
    if answer.forgotten:
        terminal.note(f"{count(answer.forgotten, 'device')} found no room in the register", "yellow")
    return OK


def _row(device: DeviceInfo) -> tuple[str, ...]:
    more = f" and {len(device.addresses) - 2} more" if len(device.addresses) > 2 else ""
    state = f"accepted by {device.by}" if device.by else device.state
    fields = (
        device.mac, state, local_time(device.first), local_time(device.last), device.zone,
        ", ".join(device.addresses[:2]) + more, ", ".join(device.names), device.maker,
    )  # fmt: skip
    return tuple(escape(field) for field in fields)


def accept(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(AcceptDevice(_macs(options.devices)), DeviceList, of=_OF)
    return _changed(answer, "accepted", terminal)


def forget(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(ForgetDevice(_macs(options.devices)), DeviceList, of=_OF)
    return _changed(answer, "forgotten", terminal)


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
