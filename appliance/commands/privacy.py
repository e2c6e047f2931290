"""`reef privacy`: which personal data lie where, and what of them is one person's (R30)."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator

import msgspec

from appliance.commands.failure import OK, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.commands.words import count, local_time
from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import AuditEntries, AuditLog
from appliance.control.messages.changes import MOST_LISTED, DraftList, Drafts, ProposalList, Proposals
from appliance.control.messages.hits import Matched, MatchedList
from appliance.control.messages.privacy import FindSubject, Held, PrivacyStored, PrivacyStores, SubjectFound
from appliance.control.messages.watch import DeviceList, Devices
from appliance.events import view
from appliance.events.reader import Reader
from appliance.events.record import RECORD_CLASSES, parse_time
from appliance.events.subject import naming, spellings
from appliance.policy.consumers import KEPT
from appliance.policy.logprefix import DEFAULT_RULE

_DAY = 86_400
_SLOW = 300.0  # an outbox of gigabytes is looked through line by line
_KEPT_PACKETS = re.compile(rb'"message":"packets kept: ([0-9a-f]{64})"')
_KEPT_FILE = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_TIME = re.compile(rb'"timestamp":"([^"]{20,40})"')


class Store(msgspec.Struct, frozen=True):
    """A row of `reef privacy`: what is kept, which personal data it has, what for, how long, who gets it, whether
    hosts go by pseudonyms there, and how much there is now ("" where it cannot be seen)."""

    store: str
    data: str
    purpose: str
    kept: str
    who: str
    pseudonyms: str
    now: str


_PURPOSE = {
    "alerts": "somebody must look at it",
    "audit": "who did what to the gateway",
    "notices": "what concerns the gateway itself",
    "telemetry": "what a CSIRT needs to follow an attack",
}
_DATA = {
    "alerts": "addresses, names, URLs",
    "audit": "log-ins, addresses",
    "notices": "addresses",
    "telemetry": "addresses, names, URLs",
}


def table(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    book = gateway.ask(messages.Names(), messages.NameBook)
    stored = gateway.ask(PrivacyStores(), PrivacyStored, of="alertd").held
    entries = gateway.ask(AuditLog(limit=1), AuditEntries, of="recordd").size
    devices = gateway.ask(Devices(), DeviceList, of="watchd").devices
    bans = gateway.ask(messages.Bans(limit=0), messages.BanList).total
    rows = [
        Store("log", "addresses, names, URLs", "finding faults, and why something was decided",
              "the newest of each process, by size", "operators", "no", _spools(gateway)),
        *_outbox(book, stored),
        Store("flow log", "addresses, ports, hours", "judging edits of the policy",
              _length(book.flow_log_days * _DAY), "policyd alone, under keys of the day", "no", ""),
        *_evidence(book),
        *_people(book),
        *_changes(gateway),
        *_trail(book, entries),
        Store("devices", "MAC addresses, addresses, names", "telling what is new in a network",
              "until it is forgotten", "operators", "no", count(len(devices), "device")),
        Store("bans", "addresses", "keeping attackers out", "until each ends", "operators", "no",
              count(bans, "ban")),
        Store("indicators", "addresses, names, URLs of others", "enforcing warnings", _lasting(book),
              ", ".join(_who(book, "indicators")) or "operators", "no", _amount(stored["indicators"], "indicator")),
        Store("pseudonym keys", "whom pseudonyms stand for", "unmasking by two persons",
              "as long as an event under them", "nobody", "-", _amount(stored["pseudonyms"], "key")),
        Store("officers", "names, mail, telephones", "telling who answers for a line",
              "as long as the text names them", "who may read the policy", "no",
              count(len(book.officers), "officer")),
        Store("accounts", "names, mail; addresses and devices of sessions", "knowing who uses the console",
              "sessions until they end; credentials while the text names them, and 30 days",
              "administrators, operators", "no", count(len(book.console.people), "person", "people")),
    ]  # fmt: skip
    if terminal.json:
        terminal.data(rows)
        return OK
    heads = ("store", "data", "what for", "kept", "who gets it", "pseudonyms", "now")
    terminal.table(heads, [msgspec.structs.astuple(row) for row in rows])
    return OK


def _outbox(book: messages.NameBook, stored: dict[str, Held]) -> Iterator[Store]:
    asked = book.alerts.pseudonyms
    hidden = f"hosts of {', '.join(asked.zones)}" if asked is not None else "no"
    for name in KEPT:
        seconds: int = getattr(book.alerts.retention, name)
        who = ", ".join(_who(book, name)) or "nobody"
        yield Store(
            f"outbox: {name}", _DATA[name], _PURPOSE[name], _length(seconds), who, hidden,
            _amount(stored[name], "event"),
        )  # fmt: skip
    words = ", ".join(_who(book, "alerts", "indicators", "sightings")) or "nobody"
    kept = _length(book.alerts.retention.alerts)
    amount = _amount(stored["objects"], "object") if "objects" in stored else ""
    yield Store("STIX objects", _DATA["alerts"], "giving alerts by TAXII and MISP", kept, words, hidden, amount)


def _who(book: messages.NameBook, *collections: str) -> list[str]:
    """The consumers who may have one of these, each with the highest label that they get."""
    chosen = (each for each in book.consumers if set(collections) & set(each.collections))
    return [f"{each.name} (up to {each.tlp})" for each in chosen]


def _evidence(book: messages.NameBook) -> Iterator[Store]:
    kept = _length(book.keep_days * _DAY)
    if book.keep_evidence:
        yield Store("packets", "what people sent", "evidence of an alert", kept, "root", "no", "")
    if book.keep_files != "none":
        yield Store("files", "what people sent", "evidence of an alert", kept, "root", "no", "")


def _people(book: messages.NameBook) -> Iterator[Store]:
    if book.console.people:
        yield Store(
            "console", "names, mail, log-ins, sessions", "who may look, change and approve",
            "as long as the text names them", "administrators of the console", "no",
            count(len(book.console.people), "person", "people"),
        )  # fmt: skip


def _changes(gateway: Gateway) -> Iterator[Store]:
    drafts = gateway.ask(Drafts(), DraftList).drafts
    proposals = gateway.ask(Proposals(limit=MOST_LISTED), ProposalList).proposals
    yield Store(
        "drafts", "log-ins", "whose text it is", "until it is dropped", "people of the console, operators", "no",
        count(len(drafts), "draft"),
    )  # fmt: skip
    yield Store(
        "proposals", "log-ins, what people wrote", "who asked for a change, and who agreed to it",
        f"the last {MOST_LISTED:,}", "people of the console, operators", "no", count(len(proposals), "proposal"),
    )  # fmt: skip


def _trail(book: messages.NameBook, entries: int) -> Iterator[Store]:
    for name, words in RECORD_CLASSES.items():
        seconds: int = getattr(book.audit.retention, name)
        yield Store(
            f"audit trail: {name}", "log-ins, addresses", words, _length(seconds), "operators; witnesses: hashes",
            "no", f"of {entries:,} entries",
        )  # fmt: skip


def _lasting(book: messages.NameBook) -> str:
    lengths = {source.trust.lasting for source in book.indicators.sources}
    words = [_length(int(each)) if each else "as the source says" for each in sorted(lengths)]
    return " or ".join(words) or "nobody gives any"


def _spools(gateway: Gateway) -> str:
    try:
        files = [path for folder in view.spools(gateway.instance.events).values() for path in folder.glob("*.log")]
        sizes = sum(path.stat().st_size for path in files)
    except OSError:
        return ""
    return f"{sizes / (1 << 20):,.1f} MiB"


def _length(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY)
    if not seconds:
        return "not kept"
    return count(days, "day") if not rest else count(seconds // 3600, "hour")


def _amount(held: Held, noun: str) -> str:
    since = f" since {local_time(held.first)}" if held.first else ""
    return f"{count(held.count, noun)}{since}"


# --- one person ---------------------------------------------------------------------------------------------------


def find(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    # First of all what writes down who asks.
    answer = gateway.ask(FindSubject(options.address, options.why), SubjectFound, of="alertd", patience=_SLOW)
    found = SubjectFound(answer.address, answer.keys, (*answer.held, *_elsewhere(gateway, answer.address)))
    if terminal.json:
        terminal.data(found)
        return OK
    rows = [
        (one.what, f"{one.count:,}", *(local_time(moment) if moment else "" for moment in (one.first, one.last)))
        for one in found.held
    ]
    heads = ("where", "how many", "first", "last")
    terminal.table(heads, rows, right={1}, empty=f"nothing of {found.address} is kept")
    terminal.note(f"its pseudonyms were looked for under {count(found.keys, 'key')}")
    terminal.note("retention takes it away; reef privacy shows when. What is held for a court stays: reef audit hold")
    return OK


def _elsewhere(gateway: Gateway, address: str) -> Iterator[Held]:
    yield from _in_spools(gateway, address)
    yield from _in_trail(gateway, address)
    yield from _in_flows(gateway, address)
    devices = [one for one in gateway.ask(Devices(), DeviceList, of="watchd").devices if address in one.addresses]
    if devices:
        yield Held("devices", len(devices), min(one.first for one in devices), max(one.last for one in devices))
    bans = [one for one in gateway.ask(messages.Bans(address), messages.BanList).bans if one.address == address]
    if bans:
        yield Held("bans", len(bans))
    book = gateway.ask(messages.Names(), messages.NameBook)
    named = [name for name, members in book.objects.items() if address in members or f"{address}/32" in members]
    if named:
        yield Held("policy", len(named))


def _in_spools(gateway: Gateway, address: str) -> Iterator[Held]:
    """The processes' own logs, and what inspection kept of the connections that they name."""
    named = naming(spellings(address))
    digests: dict[str, set[bytes]] = {"evidence": set(), "files": set()}
    try:
        for name, folder in view.spools(gateway.instance.events).items():
            moments: list[float] = []
            total = 0
            reader = Reader(folder)
            while (batch := reader.read()) is not None:
                for line in filter(named, batch.lines):
                    total += 1
                    moments = _widened(moments, line)
                    digests["evidence"].update(_KEPT_PACKETS.findall(line))
                    digests["files"].update(_KEPT_FILE.findall(line))
            if total:
                yield Held(f"log: {name}", total, *(moments or (0.0, 0.0)))
    except PermissionError as error:
        raise Failure(f"{error.filename}: {error.strerror}", "the log needs root or the operators' group") from error
    for store, known in digests.items():
        folder = gateway.instance.state_of("inspectd") / store
        there = sum((folder / text[:2] / text).exists() for text in map(bytes.decode, known))
        if there:
            yield Held({"evidence": "packets", "files": "files"}[store], there)


def _widened(moments: list[float], line: bytes) -> list[float]:
    stamp = _TIME.search(line)
    if stamp is None:
        return moments
    moment = parse_time(stamp[1].decode(errors="replace")).timestamp()
    return [min([*moments[:1], moment]), max([*moments[1:], moment])]


def _in_trail(gateway: Gateway, address: str) -> Iterator[Held]:
    total = before = 0
    named = naming(spellings(address))
    while True:
        page = gateway.ask(AuditLog(before=before, limit=1000, words=address), AuditEntries, of="recordd")
        total += sum(named(entry.body) for entry in page.entries)
        before = page.next
        if not before:
            break
    if total:
        yield Held("audit trail", total)


def _in_flows(gateway: Gateway, address: str) -> Iterator[Held]:
    book = gateway.ask(messages.Names(), messages.NameBook)
    if not book.flow_log_days:
        return
    rules = (*(rule.id for rule in book.rules), DEFAULT_RULE)
    answer = gateway.ask(Matched(rules, book.flow_log_days * _DAY), MatchedList, patience=_SLOW)
    flows = [one for one in answer.flows if address in (one.source, one.destination)]
    if flows:
        last = min(float(max(one.last for one in flows)), time.time())
        yield Held("flow log", sum(one.flows for one in flows), 0.0, last)
