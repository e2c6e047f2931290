"""`reef ban`: drop everything from and to an address at once, without a new generation."""

from __future__ import annotations

import argparse
import ipaddress
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.commands.change import session
from appliance.commands.failure import OK, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, duration, local_time, size
from appliance.control.messages import gateway as messages
from appliance.control.messages.gate import (
    Gate,
    GateCount,
    GateDone,
    GateForget,
    GateLine,
    GateList,
    GateListed,
    GatePart,
    GateReport,
)

_MOST_BYTES = 64 << 20  # of the text of a list
_ENTRY4, _ENTRY6 = 5, 17  # bytes of a packed prefix
_PART = 300_000  # prefixes of each version: some 9 MB as JSON, and a message has at most 16


def add(options: argparse.Namespace, terminal: Terminal) -> int:
    if options.file or options.list:
        return _put(options, terminal)
    _somebody(options)
    request = messages.Ban(whole(options.addresses), options.seconds, options.reason, owner=options.owner)
    gateway = Gateway(options)
    if options.trial:
        return _tried(gateway.ask(messages.TryBan(request.addresses), messages.BanTried), terminal)
    if not options.yes:
        _not_oneself(request.addresses)
    bans = gateway.ask(request, messages.BanList)
    how_long = f"for {duration(options.seconds)}" if options.seconds else "until it is taken back"
    _say(bans, f"banned {_addresses_of(bans)} {how_long}", terminal)
    return OK


def _tried(tried: messages.BanTried, terminal: Terminal) -> int:
    if terminal.json:
        terminal.data(tried)
        return OK
    for _, _, why in tried.refused:
        terminal.line(f"refused: {escape(why)}", "red")
    for _, where in tried.inside:
        terminal.line(f"one of your own: {escape(where)}", "yellow")
    for entry in tried.banned:
        terminal.line(f"banned already: {entry.address}, by {escape(entry.by)}")
    if not tried.refused:
        terminal.line("this can be banned", "green")
    return OK


def _not_oneself(addresses: Sequence[str]) -> None:
    """A ban needs no confirm, so nothing would let its author in again: raises `Failure` for their own address."""
    for address in session().split()[:1]:
        inside = ipaddress.ip_address(address)
        for banned in map(ipaddress.ip_network, addresses):
            if inside.version == banned.version and inside in banned:
                words = f"{banned} holds {address}, which is where you come from"
                raise Failure(words, "say --yes if you mean it", name="oneself")


def _somebody(options: argparse.Namespace) -> None:
    if not options.addresses:
        raise Failure("nobody is named", "name addresses or networks, or a list", code=USAGE, name="usage")


def _put(options: argparse.Namespace, terminal: Terminal) -> int:
    """A whole list, read here: the gateway gets numbers, and checks them again."""
    if options.addresses or not options.file or not options.list:
        raise Failure("a list has a file and a name", "say --file LIST --list NAME alone", code=USAGE, name="usage")
    from ctypes_ext.gate import PrefixList

    try:
        with Path(options.file).open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise Failure(f"{options.file}: {error.strerror}", name="unreadable") from error
    if len(text) > _MOST_BYTES:
        raise Failure(f"{options.file}: more than {size(_MOST_BYTES)}", "give it as several lists", name="too-large")
    prefixes, report = PrefixList.read(text)
    wide = [str(line) for line, is_wide in report.notes if is_wide]
    if wide:
        words = f"{options.file}: line {', '.join(wide)} bans whole parts of the Internet"
        raise Failure(words, "nothing wider than /8 (IPv6: /16) is banned; take it out", name="wide")
    gateway = Gateway(options)
    *parts, last = in_parts(options.list, prefixes.packed(4), prefixes.packed(6))
    for part in parts:
        gateway.ask(part, GateDone)
    listed = gateway.ask(last, GateListed)
    if terminal.json:
        terminal.data(listed)
        return OK
    terminal.line(f"the list {listed.name} of {count(listed.entries, 'prefix', 'prefixes')} is in force", "green")
    if report.bad:
        first = ", ".join(str(line) for line, _ in report.notes)
        terminal.note(f"{count(report.bad, 'line')} left out that begin with no prefix, the first: {first}", "yellow")
    return OK


def in_parts(name: str, packed4: bytes, packed6: bytes, most: int = _PART) -> list[GatePart | GateList]:
    """The messages that put a list: parts of at most `most` prefixes of each version; with the last one it holds."""
    count = max(-(-len(packed4) // (most * _ENTRY4)), -(-len(packed6) // (most * _ENTRY6)), 1)
    ticket = secrets.token_hex(8) if count > 1 else ""
    cut = [
        (
            packed4[n * most * _ENTRY4 : (n + 1) * most * _ENTRY4],
            packed6[n * most * _ENTRY6 : (n + 1) * most * _ENTRY6],
        )
        for n in range(count)
    ]
    parts = [GatePart(ticket, number, *pair) for number, pair in enumerate(cut[:-1])]
    return [*parts, GateList(name, *cut[-1], ticket, len(parts))]


def remove(options: argparse.Namespace, terminal: Terminal) -> int:
    if options.list:
        if options.addresses:
            raise Failure("a list goes whole", "say --list NAME alone", code=USAGE, name="usage")
        done = Gateway(options).ask(GateForget(options.list), GateDone)
        if terminal.json:
            terminal.data(done)
        else:
            terminal.line(f"the list {options.list} is no more", "green")
        return OK
    _somebody(options)
    request = messages.Unban(whole(options.addresses))
    bans = Gateway(options).ask(request, messages.BanList)
    _say(bans, f"no longer banned: {_addresses_of(bans)}", terminal)
    return OK


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    limit = getattr(options, "limit", 1000)
    gateway, word = Gateway(options), getattr(options, "word", "")
    bans = gateway.ask(messages.Bans(word, 0, limit), messages.BanList)
    while bans.after and len(bans.bans) < limit:
        page = gateway.ask(messages.Bans(word, bans.after, limit - len(bans.bans)), messages.BanList)
        bans = messages.BanList(bans.bans + page.bans, bans.total, page.after, bans.exact)
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
    empty = "no ban holds that or says it" if word else "nothing is banned"
    terminal.table(("address", "left", "since", "who", "why"), rows, right={1}, empty=empty)
    if bans.after:
        more = "" if bans.exact else "more than "
        terminal.note(f"these are {len(rows):,} of {more}{bans.total:,}; --limit shows more, --word fewer")
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
            _where(line),
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


def _where(line: GateLine) -> str:
    if line.mode == "nft":
        return f"nft in its place: {line.words}"
    return line.mode or f"not there: {line.words}"


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
