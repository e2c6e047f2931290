"""DNS as a way out, and names that a program made up.

A tunnel asks for ever new names of one domain, and the names are its freight: so what is counted for each client and
registered domain is how many different names there were and how many bytes their own part could carry (Paxson et al.,
"Practical Comprehensive Bounds on Surreptitious Communication over DNS", 2013, bound it likewise). A program that
looks for its master by made-up names asks for many domains that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.policy.detections import Thresholds
from dataplane.detections import bounds
from dataplane.detections.domains import entropy, is_reverse, made_up, plain, registered
from dataplane.detections.finding import Finding, lasting, moment, several, spelled
from dataplane.detections.seen import Question
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.table import Table

_LONG = 16  # characters of a name's own part, on average, below which it is no freight
_SHORT = 8  # characters that are no freight, however many names there are
_MIXED = 3.0  # bits per character of all own parts together: written text has less when it is so repetitive
_MADE_UP = 0.6  # share of unknown domains that must look made up
_UNKNOWN = "NXDOMAIN"


class _Domain(msgspec.Struct):
    names: dict[str, float] = {}  # own part of the name, when last
    bytes: int = 0
    kinds: dict[str, int] = {}
    first: float = 0.0


class _Client(msgspec.Struct):
    unknown: dict[str, float] = {}


class DnsNames:
    def __init__(self, thresholds: Thresholds, around: Surroundings) -> None:
        self._limits = thresholds
        self._around = around
        self._domains: Table[tuple[bytes, str], _Domain] = Table(bounds.DNS_DOMAINS, float(thresholds.tunnel_seconds))
        self._clients: Table[bytes, _Client] = Table(bounds.DNS_CLIENTS, float(thresholds.dga_seconds))

    def look(self, seen: Question) -> Iterator[Finding]:
        if self._around.own(seen.client) or is_reverse(seen.name):
            return
        domain = registered(seen.name)
        if not domain:
            return
        if not seen.rcode:
            yield from self._asked(seen, domain)
        elif seen.rcode == _UNKNOWN:
            yield from self._unknown(seen, domain)

    # --- tunnels --------------------------------------------------------------------------------------

    def _asked(self, seen: Question, domain: str) -> Iterator[Finding]:
        own = plain(seen.name)[: -len(domain) - 1]
        if len(own) < _SHORT:
            return  # most names: they carry nothing
        key = (seen.client, domain)
        held = self._domains.get(key, seen.time) or self._domains.put(key, _Domain(first=seen.time), seen.time)
        if seen.time - held.first > self._limits.tunnel_seconds:
            held = self._domains.put(key, _Domain(first=seen.time), seen.time)
        if own in held.names:
            return
        if len(held.names) < bounds.DNS_NAMES:
            held.names[own] = seen.time
        held.bytes += len(own)
        held.kinds[seen.kind] = held.kinds.get(seen.kind, 0) + 1
        self._domains.weigh(key, len(held.names))
        if len(held.names) >= self._limits.tunnel_names and held.bytes >= self._limits.tunnel_bytes:
            length = sum(map(len, held.names)) / len(held.names)
            mixed = entropy("".join(held.names).replace(".", ""))
            if length >= _LONG and mixed >= _MIXED:
                self._domains.drop(key)
                yield self._tunnel(seen, domain, held, length, mixed)

    def _tunnel(self, seen: Question, domain: str, held: _Domain, length: float, mixed: float) -> Finding:
        client = spelled(seen.client)
        kinds = several([kind for kind, _ in sorted(held.kinds.items(), key=lambda item: -item[1])], 4)
        longest = max(held.names, key=len)
        return Finding(
            kind="dns-tunnel",
            time=seen.time,
            since=held.first,
            offender=client,
            victim=spelled(seen.server),
            port=53,
            protocol="udp",
            outside=not self._around.inside(seen.client),
            words=(
                f"{client} ({self._around.words(seen.client)}) asked for {len(held.names)} different names of "
                f"{domain} "
                f"({kinds}) within {lasting(seen.time - held.first)} from {moment(held.first)} on. They are "
                f"{length:.0f} characters long on average ({mixed:.1f} bits each) and could have carried "
                f"{held.bytes} "
                f"bytes; one is {longest[:60]}. It is told from {self._limits.tunnel_names} names and "
                f"{self._limits.tunnel_bytes} bytes in {lasting(self._limits.tunnel_seconds)} on"
            ),
            remedy=(
                f"Find the program on {client} that does it. Some scanners of viruses and mail ask like that: exempt "
                f"the host under `detections` when {domain} is theirs. Else block the domain at your resolver, "
                "and let "
                "nobody but the resolver ask outside"
            ),
            confidence="high" if mixed >= 3.5 else "medium",
            seen=len(held.names),
            threshold=self._limits.tunnel_names,
            evidence=(domain,),
        )

    # --- made-up names ----------------------------------------------------------------------------------

    def _unknown(self, seen: Question, domain: str) -> Iterator[Finding]:
        held = self._clients.get(seen.client, seen.time) or self._clients.put(seen.client, _Client(), seen.time)
        held.unknown.pop(domain, None)
        held.unknown[domain] = seen.time
        while True:
            oldest = next(iter(held.unknown))
            fresh = seen.time - held.unknown[oldest] <= self._limits.dga_seconds
            if fresh and len(held.unknown) <= bounds.DNS_UNKNOWN:
                break
            del held.unknown[oldest]
        self._clients.weigh(seen.client, len(held.unknown))
        odd = [name for name in held.unknown if made_up(name)]
        if len(odd) < self._limits.dga_domains or len(odd) < _MADE_UP * len(held.unknown):
            return
        self._clients.drop(seen.client)
        client = spelled(seen.client)
        began = next(iter(held.unknown.values()))
        yield Finding(
            kind="dga",
            time=seen.time,
            since=began,
            offender=client,
            victim=spelled(seen.server),
            port=53,
            protocol="udp",
            outside=not self._around.inside(seen.client),
            words=(
                f"{client} ({self._around.words(seen.client)}) asked for {len(held.unknown)} domains that do "
                "not exist "
                f"within {lasting(seen.time - began)} from {moment(began)} on; {len(odd)} of them look made up by a "
                f"program: {several(odd, bounds.WORDS_SHOWN)}. It is told from {self._limits.dga_domains} in "
                f"{lasting(self._limits.dga_seconds)} on"
            ),
            remedy=(
                f"Malware looks for its master like that: take {client} off the network and look for the program. If "
                "it is your resolver, look in its log who asked"
            ),
            confidence="high" if len(odd) >= 2 * self._limits.dga_domains else "medium",
            seen=len(odd),
            threshold=self._limits.dga_domains,
            evidence=tuple(odd[: bounds.WORDS_SHOWN]),
        )
