"""What a stream of EVE lines comes to: alerts by rule, protocols, hosts, who talks to whom, files, names, a timeline.

Pure: lines in, counts out. A line is decoded once, and of it only what is counted.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from ipaddress import ip_address
from typing import TypeVar

import msgspec

from ctypes_ext.engine import RuleCost
from dataplane.detections.finding import Finding

_Key = TypeVar("_Key", str, tuple[str, str])

TOP = 1000  # entries of a kind that a summary keeps
BARS = 24  # of the timeline


class _Signature(msgspec.Struct):
    signature_id: int
    signature: str = ""
    category: str = ""
    severity: int = 3
    action: str = "allowed"
    gid: int = 1
    rev: int = 0


class _Flow(msgspec.Struct):
    pkts_toserver: int = 0
    pkts_toclient: int = 0
    bytes_toserver: int = 0
    bytes_toclient: int = 0
    start: str = ""


class _Query(msgspec.Struct):
    rrname: str = ""


class _Dns(msgspec.Struct):
    type: str = ""
    rrname: str = ""
    queries: list[_Query] = []


class _Http(msgspec.Struct):
    hostname: str = ""


class _Tls(msgspec.Struct):
    sni: str = ""


class _Anomaly(msgspec.Struct):
    type: str = ""
    event: str = ""


class _File(msgspec.Struct):
    filename: str = ""
    size: int = 0
    magic: str = ""
    md5: str = ""
    sha1: str = ""
    sha256: str = ""
    state: str = ""
    stored: bool = False


class _Line(msgspec.Struct):
    timestamp: str
    event_type: str
    src_ip: str = ""
    src_port: int = 0
    dest_ip: str = ""
    dest_port: int = 0
    proto: str = ""
    app_proto: str = ""
    alert: _Signature | None = None
    flow: _Flow | None = None
    dns: _Dns | None = None
    http: _Http | None = None
    tls: _Tls | None = None
    anomaly: _Anomaly | None = None
    fileinfo: _File | None = None


class RuleAlerts(msgspec.Struct):
    """The alerts of one rule."""

    gid: int
    sid: int
    rev: int
    signature: str
    category: str
    severity: int
    action: str
    count: int
    first: str
    last: str
    sources: int
    destinations: int
    source: str  # that of most of them
    destination: str


class Host(msgspec.Struct):
    address: str
    opened: int  # flows it began
    answered: int  # flows that were opened to it
    sent: int  # bytes
    received: int
    alerts: int  # in which it is either end


class Talk(msgspec.Struct):
    """Conversations between two addresses with one service."""

    client: str
    server: str
    service: str
    flows: int
    sent: int  # bytes, by the client
    received: int


class Protocol(msgspec.Struct):
    name: str
    flows: int
    packets: int
    bytes: int


class File(msgspec.Struct):
    name: str
    size: int
    kind: str
    sha256: str
    source: str
    destination: str
    protocol: str
    state: str
    stored: bool


class Named(msgspec.Struct):
    """A name that was asked for: in DNS, as a host of HTTP, as a server name of TLS."""

    name: str
    how: str
    count: int


class Count(msgspec.Struct):
    what: str
    count: int


class Bar(msgspec.Struct):
    """A stretch of the timeline, from `start` (seconds since the epoch)."""

    start: float
    seconds: float
    flows: int
    bytes: int
    alerts: int


class Found(msgspec.Struct):
    first: str
    last: str
    alerts: int
    rules: list[RuleAlerts]
    flows: int
    protocols: list[Protocol]
    hosts: list[Host]
    hosts_seen: int
    talks: list[Talk]
    files: list[File]
    files_seen: int
    names: list[Named]
    anomalies: list[Count]
    events: list[Count]
    timeline: list[Bar]


class Summary(msgspec.Struct, tag="summary"):
    """What one run of `reef inspect` came to. `found` is None where nothing was counted."""

    captures: list[str]
    broken: list[str]
    bytes_read: int
    seconds: float
    packets: int
    bytes: int
    malformed: int
    events_lost: int
    flows_refused: int
    found: Found | None
    findings: list[Finding] = []
    rule_costs: list[RuleCost] | None = None  # the dearest first; None: they were not counted


class _RuleTally:
    def __init__(self, first: _Line, alert: _Signature) -> None:
        self.alert = alert
        self.count = 0
        self.first = self.last = first.timestamp
        self.sources: Counter[str] = Counter()
        self.destinations: Counter[str] = Counter()


class Tally:
    """Counts lines as they come."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Line).decode_lines
        self.alerts = 0
        self._events: Counter[str] = Counter()
        self._rules: dict[tuple[int, int], _RuleTally] = {}
        self._protocols: dict[str, Protocol] = {}
        self._hosts: dict[str, Host] = {}
        self._talks: dict[tuple[str, str, str], Talk] = {}
        self._files: list[File] = []
        self._files_seen = 0
        self._names: Counter[tuple[str, str]] = Counter()
        self._anomalies: Counter[str] = Counter()
        self._by_second: dict[str, Bar] = {}
        self._spelled: dict[str, str] = {}
        self._flows = 0
        self._first = "9"
        self._last = ""

    def add(self, lines: bytes) -> None:
        """Whole lines of EVE JSON."""
        for line in self._decode(lines):
            self._events[line.event_type] += 1
            line.src_ip, line.dest_ip = self._plain(line.src_ip), self._plain(line.dest_ip)
            if line.event_type not in ("engine", "stats"):
                self._first = min(self._first, line.timestamp)
                self._last = max(self._last, line.timestamp)
            if line.alert is not None:
                self._alert(line, line.alert)
            elif line.event_type == "flow" and line.flow is not None:
                self._flow(line, line.flow)
            elif line.dns is not None:
                self._dns(line.dns)
            elif line.event_type == "http" and line.http is not None and line.http.hostname:
                self._names[line.http.hostname, "http"] += 1
            elif line.event_type == "tls" and line.tls is not None and line.tls.sni:
                self._names[line.tls.sni, "tls"] += 1
            elif line.anomaly is not None:
                self._anomalies[line.anomaly.event or line.anomaly.type] += 1
            elif line.fileinfo is not None:
                self._file(line, line.fileinfo)

    def _plain(self, address: str) -> str:
        """As people write it: EVE spells IPv6 out in full."""
        if ":" not in address:
            return address
        found = self._spelled.get(address)
        if found is None:
            found = self._spelled[address] = str(ip_address(address))
        return found

    def _host(self, address: str) -> Host:
        host = self._hosts.get(address)
        if host is None:
            host = self._hosts[address] = Host(address, 0, 0, 0, 0, 0)
        return host

    def _second(self, timestamp: str) -> Bar:
        second = timestamp[:19]
        bar = self._by_second.get(second)
        if bar is None:
            bar = self._by_second[second] = Bar(0, 1, 0, 0, 0)
        return bar

    def _alert(self, line: _Line, alert: _Signature) -> None:
        self.alerts += 1
        rule = self._rules.get((alert.gid, alert.signature_id))
        if rule is None:
            rule = self._rules[alert.gid, alert.signature_id] = _RuleTally(line, alert)
        rule.count += 1
        rule.first, rule.last = min(rule.first, line.timestamp), max(rule.last, line.timestamp)
        self._second(line.timestamp).alerts += 1
        if line.src_ip:
            rule.sources[line.src_ip] += 1
            rule.destinations[line.dest_ip] += 1
            for address in {line.src_ip, line.dest_ip}:
                self._host(address).alerts += 1

    def _flow(self, line: _Line, flow: _Flow) -> None:
        self._flows += 1
        sent, received = flow.bytes_toserver, flow.bytes_toclient
        name = line.app_proto if line.app_proto not in ("", "failed") else line.proto.lower()
        protocol = self._protocols.get(name)
        if protocol is None:
            protocol = self._protocols[name] = Protocol(name, 0, 0, 0)
        protocol.flows += 1
        protocol.packets += flow.pkts_toserver + flow.pkts_toclient
        protocol.bytes += sent + received
        client, server = self._host(line.src_ip), self._host(line.dest_ip)
        client.opened += 1
        client.sent += sent
        client.received += received
        server.answered += 1
        server.sent += received
        server.received += sent
        service = f"{line.proto.lower()}/{line.dest_port}" if line.dest_port else line.proto.lower()
        key = (line.src_ip, line.dest_ip, service)
        talk = self._talks.get(key)
        if talk is None:
            talk = self._talks[key] = Talk(*key, 0, 0, 0)
        talk.flows += 1
        talk.sent += sent
        talk.received += received
        self._first = min(self._first, flow.start or self._first)
        bar = self._second(flow.start or line.timestamp)
        bar.flows += 1
        bar.bytes += sent + received

    def _dns(self, dns: _Dns) -> None:
        if dns.type in ("query", "request"):
            for name in [query.rrname for query in dns.queries] or [dns.rrname]:
                self._names[name, "dns"] += 1

    def _file(self, line: _Line, file: _File) -> None:
        self._files_seen += 1
        if len(self._files) < TOP:
            self._files.append(
                File(
                    file.filename,
                    file.size,
                    file.magic,
                    file.sha256,
                    line.src_ip,
                    line.dest_ip,
                    line.app_proto,
                    file.state,
                    file.stored,
                )
            )

    def found(self) -> Found:
        """What all of it comes to, most important first."""
        rules = [
            RuleAlerts(
                rule.alert.gid,
                rule.alert.signature_id,
                rule.alert.rev,
                rule.alert.signature,
                rule.alert.category,
                rule.alert.severity,
                rule.alert.action,
                rule.count,
                rule.first,
                rule.last,
                len(rule.sources),
                len(rule.destinations),
                _most(rule.sources),
                _most(rule.destinations),
            )
            for rule in self._rules.values()
        ]
        rules.sort(key=lambda rule: (rule.severity, -rule.count, rule.sid))
        return Found(
            first=self._first if self._last else "",
            last=self._last,
            alerts=self.alerts,
            rules=rules,
            flows=self._flows,
            protocols=sorted(self._protocols.values(), key=lambda one: (-one.bytes, one.name)),
            hosts=sorted(self._hosts.values(), key=lambda one: (-one.alerts, -one.sent - one.received, one.address))[
                :TOP
            ],
            hosts_seen=len(self._hosts),
            talks=sorted(self._talks.values(), key=lambda one: (-one.sent - one.received, one.client, one.server))[
                :TOP
            ],
            files=self._files,
            files_seen=self._files_seen,
            names=[Named(name, how, count) for (name, how), count in _ordered(self._names)],
            anomalies=[Count(what, count) for what, count in _ordered(self._anomalies)],
            events=[Count(what, count) for what, count in _ordered(self._events)],
            timeline=_timeline(self._by_second),
        )


def _most(counter: Counter[str]) -> str:
    return counter.most_common(1)[0][0] if counter else ""


def _ordered(counter: Counter[_Key]) -> list[tuple[_Key, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:TOP]


def _timeline(by_second: dict[str, Bar]) -> list[Bar]:
    """At most `BARS` stretches of equal length from the first second to the last."""
    if not by_second:
        return []
    at = {datetime.fromisoformat(f"{second}+00:00").timestamp(): bar for second, bar in by_second.items()}
    start, end = min(at), max(at) + 1
    seconds = max(1.0, float(-(-(end - start) // BARS)))
    bars = [Bar(start + i * seconds, seconds, 0, 0, 0) for i in range(int((end - start + seconds - 1) // seconds))]
    for second, counted in at.items():
        bar = bars[int((second - start) // seconds)]
        bar.flows += counted.flows
        bar.bytes += counted.bytes
        bar.alerts += counted.alerts
    return bars
