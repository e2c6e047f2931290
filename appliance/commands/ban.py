"""`reef ban`: drop everything from and to an address at once, without a new generation."""

from __future__ import annotations

import argparse
import ipaddress
import time
from collections.abc import Sequence

from appliance.commands.change import session
from appliance.commands.failure import OK, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.commands.words import duration, local_time, size
from appliance.control import messages
from appliance.control.messages_gate import Gate, GateCount, GateReport


def add(options: argparse.Namespace, terminal: Terminal) -> int:
    request = messages.Ban(whole(options.addresses), options.seconds, options.reason, owner=options.owner)
    gateway = Gateway(options)
    if not options.yes:
        _not_oneself(request.addresses)
    bans = gateway.ask(request, messages.BanList)
    how_long = f"for {duration(options.seconds)}" if options.seconds else "until it is taken back"
    _say(bans, f"banned {_addresses_of(bans)} {how_long}", terminal)
    return OK


def _not_oneself(addresses: Sequence[str]) -> None:
    """A ban needs no confirm, so nothing would let its author in again: raises `Failure` for their own address."""
    for address in session().split()[:1]:
        inside = ipaddress.ip_address(address)
        for banned in map(ipaddress.ip_network, addresses):
            if inside.version == banned.version and inside in banned:
                words = f"{banned} holds {address}, which is where you come from"
                raise Failure(words, "say --yes if you mean it", name="oneself")


def remove(options: argparse.Namespace, terminal: Terminal) -> int:
    request = messages.Unban(whole(options.addresses))
    bans = Gateway(options).ask(request, messages.BanList)
    _say(bans, f"no longer banned: {_addresses_of(bans)}", terminal)
    return OK


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    bans = Gateway(options).ask(messages.Bans(), messages.BanList)
    if terminal.json:
        terminal.data(bans)
        return OK
    now = time.time()
    rows = [
        (
            ban.address,
            duration(ban.until - now) if ban.until else "no end",
            local_time(ban.since),
            by_and_owner(ban.by, ban.owner),
            ban.reason,
        )
        for ban in bans.bans
    ]
    terminal.table(("address", "left", "since", "who", "why"), rows, right={1}, empty="nothing is banned")
    return OK


def gate(options: argparse.Namespace, terminal: Terminal) -> int:
    report = Gateway(options).ask(Gate(), GateReport)
    if terminal.json:
        terminal.data(report)
        return OK
    if report.words:
        terminal.line(f"there is no gate: {report.words}", "red")
    rows = [
        (
            line.interface,
            line.zone,
            line.mode or f"not there: {line.words}",
            reason,
            f"{tally.packets:,}",
            size(tally.bytes),
        )
        for line in report.lines
        for reason, tally in (sorted(line.counts.items()) or [("", GateCount(0, 0))])
    ]
    empty = "no zone of the policy is protected (`protect`)"
    terminal.table(("line", "zone", "gate", "why", "packets", "bytes"), rows, right={4, 5}, empty=empty)
    if report.lists:
        terminal.line("")
        kept = [
            (kept.name, f"{kept.entries:,}", f"{kept.dropped.packets:,}", size(kept.dropped.bytes))
            for kept in report.lists
        ]
        terminal.table(("list", "prefixes", "packets", "bytes"), kept, right={1, 2, 3})
    return OK


def _say(bans: messages.BanList, words: str, terminal: Terminal) -> None:
    if terminal.json:
        terminal.data(bans)
    else:
        terminal.line(words, "green")


def by_and_owner(by: str, owner: str) -> str:
    return f"{by} for {owner}" if owner and owner != by else by


def _addresses_of(bans: messages.BanList) -> str:
    return ", ".join(ban.address for ban in bans.bans)


def whole(words: Sequence[str]) -> tuple[str, ...]:
    """Canonical addresses and CIDRs. Raises `Failure` for all that are none."""
    found, wrong = [], []
    for word in words:
        try:
            network = ipaddress.ip_network(word, strict=True)
        except ValueError as error:
            wrong.append(f"{word}: {_why(word, error)}")
            continue
        if network.prefixlen == 0:
            wrong.append(f"{word}: this is everybody; name a smaller network")
        found.append(str(network.network_address) if network.num_addresses == 1 else str(network))
    if wrong:
        raise Failure("\n".join(wrong), name="bad-address")
    return tuple(dict.fromkeys(found))


def _why(word: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"not a network; did you mean {ipaddress.ip_network(word, strict=False)}?"
    return "not an address; write one like 203.0.113.9, 203.0.113.0/24 or 2001:db8::9"
