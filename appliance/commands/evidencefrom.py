"""What a package of evidence is made of, gathered from the gateway it happened at: spools, stores, policy, trail."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import msgspec

from appliance.commands.audit import read as audit_entries
from appliance.commands.failure import FORBIDDEN, Failure
from appliance.commands.gateway import Gateway
from appliance.control.applying.generations import StoreError, read_stored, stored_path
from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import (
    AuditCheckpoint,
    AuditCheckpointIs,
    AuditEntry,
    AuditLog,
    AuditProof,
    AuditProve,
)
from appliance.control.messages.hits import Matched, MatchedList
from appliance.events import record, view
from appliance.events.reader import Reader
from appliance.events.record import Event
from appliance.events.stored import NotWhatItSays, save
from appliance.policy.compiling import bundle as bundles
from appliance.records.proof import SUFFIX, Proof

_DAY = 86_400.0
_MOST_EVENTS = 50_000
_MOST_ENTRIES = 500
_MOST_RULE_BYTES = 256 << 20
_PATIENCE = 30.0  # seconds until what was just written down is under a checkpoint
_KEPT = re.compile(r"packets kept: ([0-9a-f]{64})")
_SKEW = 2.0


class Case(msgspec.Struct, frozen=True):
    """An alert: the lines that tell of it, and from when to when what is beside it counts."""

    identifier: str
    alerts: tuple[bytes, ...]
    since: float
    until: float

    def events(self) -> list[Event]:
        return [record.decode(line) for line in self.alerts]


class Collected(msgspec.Struct):
    """What lies in the package now. `key`: the trail's verifier key."""

    site: str = ""
    key: str = ""
    generation: int = 0
    events: int = 0
    packets: int = 0
    files: int = 0
    audit: int = 0
    missing: list[str] = []


def lines(events: Path, wanted: Callable[[bytes], bool], since: float = 0.0) -> Iterator[bytes]:
    """The lines of all spools, byte for byte as they were written, that are wanted."""
    for directory in view.spools(events).values():
        reader = Reader(directory)
        if since:
            reader.seek_time(since - _SKEW)
        while (batch := reader.read()) is not None:
            yield from (line for line in batch.lines if wanted(line))


def find(gateway: Gateway, identifier: str, around: float) -> Case:
    """The alert of that flow, or of that moment. Raises `Failure`."""
    number = identifier.isascii() and identifier.isdigit()
    mark = (f'"flow_id":{identifier}' if number else f'"timestamp":"{identifier}"').encode()
    exact = re.compile(re.escape(mark) + rb"[,}]")
    try:
        found = [
            line
            for line in lines(gateway.instance.events, lambda line: mark in line and b'"event_type":"alert"' in line)
            if exact.search(line)
        ]
    except PermissionError as error:
        words = f"{error.filename}: {error.strerror}"
        raise Failure(words, "only root packs evidence", code=FORBIDDEN, name="not-allowed") from error
    if not found:
        remedy = "reef log --type alert --json shows each with its flow_id and timestamp"
        raise Failure(f"no alert {identifier} is in the log", remedy, name="unknown")
    moments = sorted(record.decode(line).time.timestamp() for line in found)
    # Numbers of flows come again after years: what is a day before the last one is another.
    begun = min(moment for moment in moments if moment > moments[-1] - _DAY)
    kept = tuple(line for line in found if record.decode(line).time.timestamp() >= begun)
    return Case(identifier, kept, begun - around, moments[-1] + around)


class Collector:
    """Gathers the payload below `folder`/data."""

    def __init__(self, gateway: Gateway, case: Case, folder: Path) -> None:
        self._gateway = gateway
        self._case = case
        self._data = folder / "data"
        self._alerts = case.events()
        self._done = Collected()
        self._flow_lines: list[bytes] = []

    def collect(self) -> Collected:
        self._data.mkdir(mode=0o700)
        (self._data / "alerts.ndjson").write_bytes(b"".join(line + b"\n" for line in self._case.alerts))
        self._events()
        self._kept("evidence", "packets", ".pcap", self._captures())
        self._kept("files", "files", "", self._carried())
        self._policy()
        self._flows()
        self._rules()
        self._audit()
        return self._done

    def _missing(self, words: str) -> None:
        self._done.missing.append(words)

    def _hosts(self) -> list[str]:
        """The addresses of the alert, as the log writes them."""
        found = (host for event in self._alerts for host in (event.src_ip, event.dest_ip))
        return list(dict.fromkeys(host for host in found if host))

    def _numbers(self) -> set[int]:
        return {event.flow_id for event in self._alerts if event.flow_id}

    # --- what was seen ------------------------------------------------------------------------------

    def _events(self) -> None:
        """Everything of the flow, and what else passed between the same hosts around that time."""
        flows = [b'"flow_id":%d' % number for number in self._numbers()]
        hosts = [f'"{host}"'.encode() for host in self._hosts()]

        def wanted(line: bytes) -> bool:
            return any(flow in line for flow in flows) or (bool(hosts) and all(host in line for host in hosts))

        found: list[tuple[str, bytes]] = []
        for line in lines(self._gateway.instance.events, wanted, self._case.since):
            with contextlib.suppress(msgspec.DecodeError, ValueError):
                event = record.decode(line)
                if self._belongs(event):
                    found.append((event.timestamp, line))
        found.sort()
        if len(found) > _MOST_EVENTS:
            self._missing(f"{len(found) - _MOST_EVENTS} events beyond the first {_MOST_EVENTS}")
        self._flow_lines = [line for _, line in found[:_MOST_EVENTS]]
        (self._data / "events.ndjson").write_bytes(b"".join(line + b"\n" for line in self._flow_lines))
        self._done.events = len(self._flow_lines)

    def _belongs(self, event: Event) -> bool:
        inside = self._case.since <= event.time.timestamp() <= self._case.until
        hosts = self._hosts()
        return event.flow_id in self._numbers() or (
            inside and bool(hosts) and {event.src_ip, event.dest_ip} >= set(hosts)
        )

    def _of_flow(self) -> Iterator[Event]:
        for line in self._flow_lines:
            event = record.decode(line)
            if event.flow_id in self._numbers():
                yield event

    def _captures(self) -> list[str]:
        words = [str(event.engine.get("message", "")) for event in self._of_flow() if event.engine is not None]
        return [found[1] for message in words if (found := _KEPT.match(message))]

    def _carried(self) -> list[str]:
        files = [
            event.fileinfo for event in self._of_flow() if event.fileinfo is not None and event.fileinfo.get("stored")
        ]
        return [str(file.get("sha256", "")) for file in files]

    def _kept(self, store: str, where: str, suffix: str, digests: list[str]) -> None:
        """Out of inspectd's stores; what is there no more is said."""
        folder = self._gateway.instance.state_of("inspectd") / store
        to = self._data / where
        to.mkdir(mode=0o700)
        taken = 0
        for digest in dict.fromkeys(digests):
            try:
                save(folder, digest, to / f"{digest}{suffix}")
                taken += 1
            except (OSError, NotWhatItSays) as error:
                self._missing(f"{where} {digest[:16]}: {getattr(error, 'strerror', None) or error}")
        if not digests:
            self._missing(f"{where}: none were kept of this connection (settings.keep_{store})")
        if where == "packets":
            self._done.packets = taken
        else:
            self._done.files = taken

    # --- what was in force --------------------------------------------------------------------------

    def _policy(self) -> None:
        number = self._in_force()
        self._done.generation = number
        if not number:
            self._missing("the policy: no generation was in force")
            return
        folder = self._data / "policy"
        folder.mkdir(mode=0o700)
        try:
            data, signature = read_stored(stored_path(self._gateway.instance.state_of("applyd"), number), number)
        except StoreError as error:
            self._missing(f"the policy: {error}")
            return
        bundle = bundles.decode(data)
        self._done.site = bundle.site
        (folder / f"generation-{number}.bundle").write_bytes(data)
        (folder / f"generation-{number}.signature").write_bytes(signature)
        (folder / f"generation-{number}.yaml").write_text(bundle.text)
        for name, text in bundle.inherited.items():
            (folder / f"inherited-{_plain(name)}.yaml").write_text(text)
        for path, text in bundle.files.items():
            (folder / f"list-{_plain(path)}").write_text(text)

    def _in_force(self) -> int:
        """The generation that ran when the alert came, as the trail says; else the one that runs."""
        moment = self._alerts[-1].time.timestamp()
        asked = AuditLog(action="policy.", until=moment + _SKEW)
        for entry in audit_entries(self._gateway, asked, 100):
            audit = _audit_of(entry)
            if audit is not None and audit.action in ("policy.apply", "policy.restore", "policy.start"):
                return audit.generation
        return self._gateway.ask(messages.Status(), messages.StatusReport).running

    def _flows(self) -> None:
        """The flow log of the firewall rules that decided the connection, for its hosts."""
        rules = tuple(sorted({event.decision.rule for event in self._of_flow() if event.decision.rule}))
        hosts = set(self._hosts())
        if not rules:
            self._missing("flows.json: no rule of the policy is known to have decided the connection")
            return
        back = int(time.time() - self._case.since) + 3600
        answer = self._gateway.ask(Matched(rules, back), MatchedList)
        flows = [one for one in answer.flows if one.source in hosts or one.destination in hosts]
        (self._data / "flows.json").write_bytes(msgspec.json.format(msgspec.json.encode(flows), indent=2) + b"\n")
        for words in answer.missing:
            self._missing(f"flows.json: {words}")

    def _rules(self) -> None:
        """The lines of the rule files that have the numbers of the alerts."""
        sids = {int(event.alert.get("signature_id", 0)) for event in self._alerts if event.alert is not None}
        named = re.compile(r"\bsid\s*:\s*(\d+)\s*;")
        texts = []
        for path in sorted(self._gateway.instance.rules.rglob("*.rules")):
            if path.stat().st_size > _MOST_RULE_BYTES:
                continue
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                found = named.search(line)
                if found and int(found[1]) in sids:
                    texts.append(f"# {path.name}\n{line}\n")
        own = sorted({str(event.alert.get("signature", "")) for event in self._alerts if event.alert is not None})
        if not texts:
            self._missing(
                "rules.txt: no rule file has the alert's number; the gateway raised it itself, or it is gone"
            )
        (self._data / "rules.txt").write_text(
            "".join(texts) or "".join(f"# the gateway's own: {one}\n" for one in own)
        )

    # --- who did what -------------------------------------------------------------------------------

    def _audit(self) -> None:
        folder = self._data / "audit"
        folder.mkdir(mode=0o700)
        found = self._entries()
        for index in sorted(found):
            proof = self._proof(index)
            (folder / f"{index}.json").write_bytes(proof.entry)
            whole = Proof(proof.index, proof.proof, proof.note)
            (folder / f"{index}{SUFFIX}").write_bytes(whole.encode())
        point = self._gateway.ask(AuditCheckpoint(), AuditCheckpointIs, of="recordd")
        (folder / "checkpoint").write_bytes(point.note)
        if point.cosigned:
            (folder / "cosigned-checkpoint").write_bytes(point.cosigned)
        self._done.key = point.key
        self._done.audit = len(found)

    def _entries(self) -> dict[int, AuditEntry]:
        """Entries that name a host of the alert, and those about the generation that was in force."""
        since = self._case.since - _DAY
        asked = [AuditLog(words=host, since=since) for host in _spellings(self._hosts())]
        found: dict[int, AuditEntry] = {}
        for one in asked:
            found.update(
                (entry.index, entry) for entry in audit_entries(self._gateway, one, _MOST_ENTRIES) if entry.body
            )
        for entry in audit_entries(self._gateway, AuditLog(action="policy."), _MOST_ENTRIES):
            audit = _audit_of(entry)
            if audit is not None and audit.generation == self._done.generation:
                found[entry.index] = entry
        return found

    def _proof(self, index: int) -> AuditProof:
        """A proof of an entry; the newest is under a checkpoint within a second or so."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._gateway.ask(AuditProve(index), AuditProof, of="recordd")
            except Failure as failure:
                if failure.name not in ("unknown", "no-checkpoint") or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)


def _spellings(hosts: list[str]) -> list[str]:
    """As events write an address, and as people do."""
    found = []
    for host in hosts:
        found.append(host)
        with contextlib.suppress(ValueError):
            found.append(str(ip_address(host)))
    return list(dict.fromkeys(found))


def _audit_of(entry: AuditEntry) -> record.Audit | None:
    try:
        event = record.decode(entry.body)
        return msgspec.convert(event.audit, record.Audit)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".")[:100]
