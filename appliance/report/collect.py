"""Reads the facts: asks the daemons, the kernel and the disk. Whatever cannot be read is said, never guessed.

The kernel is asked where applyd lives, since the gateway of a lab has a network namespace of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance import __version__
from appliance.control import ipc
from appliance.control.applying.generations import StoreError, read_stored, stored_path
from appliance.control.deciding.sources import SourceError, baselines
from appliance.control.messages import gateway as messages
from appliance.control.messages import keys as messages_keys
from appliance.control.messages import live as messages_live
from appliance.control.messages.alerts import AlertTrend, AlertTrendIs
from appliance.control.messages.audit import AuditHealth, AuditHealthIs
from appliance.control.messages.changes import MOST_LISTED, ProposalList, Proposals
from appliance.control.messages.hits import HitList, Hits
from appliance.control.messages.indicators import IndicatorList, Indicators
from appliance.control.messages.watch import DeviceList, Devices
from appliance.control.processes import Instance
from appliance.policy.compiling import bundle as bundles
from appliance.policy.model import Policy
from appliance.policy.proving.proof import Proof
from appliance.report import host
from appliance.report.evidence import Reading, digest_of
from appliance.report.facts import HIT_DAYS, RUNNING, Facts, Seal, Subject
from appliance.report.figures import Records
from crypto.signing import verify

HISTORY = 1000  # generations that are looked at
_PATIENCE = 60.0
_ONLY_TEXT = "a text alone was given, and this is a property of a gateway that runs; report on the gateway itself"

T = TypeVar("T")
Told = Callable[[str], None]


class Gone(Exception):
    """Something could not be read; the text says what, and what would make it possible."""


def reading(query: str, now: Callable[[], float], read: Callable[[], T]) -> Reading[T]:
    """Ask, and keep either the answer or why there is none."""
    at = now()
    try:
        return Reading(query, at, read())
    except (Gone, host.NotReadable) as error:
        return Reading(query, at, None, str(error))


def of_text(
    policy: Policy, file: str, text: str, inherited: dict[str, str], proof: Reading[Proof], now: float
) -> Facts:
    """The facts of a policy that runs nowhere."""
    query = f"reef check {file}"
    return Facts(
        subject=Subject("text", policy.site, file, 0, digest_of(text), f"sha256sum {file}"),
        taken=now,
        software=__version__,
        policy=Reading(query, now, policy),
        inherited=Reading(query, now, digests(inherited)),
        proof=proof,
        **{name: Reading("reef report", now, None, _ONLY_TEXT) for name in RUNNING},
    )


class Running(msgspec.Struct, frozen=True):
    """What runs on a gateway, as its text says; where the text could not be had, the readings say why."""

    site: str
    generation: int
    text_digest: str
    policy: Reading[Policy]
    inherited: Reading[dict[str, str]]  # name -> SHA-256
    proof: Reading[Proof]


def of_gateway(instance: Instance, running: Running, now: Callable[[], float], told: Told) -> Facts:
    """The facts of a gateway and of the generation that runs there."""
    taken = now()

    def ask(query: str, request: messages.Request, reply: type[T]) -> Reading[T]:
        return reading(query, now, lambda: _ask(instance, request, reply))

    told("asking the daemons")
    status = ask("reef show status --json", messages.Status(), messages.StatusReport)
    doctor = ask("reef doctor --json", messages.Doctor(), messages.DoctorReport)
    history = ask(f"reef history --limit {HISTORY} --json", messages.History(HISTORY), messages.HistoryList)
    counters = ask("reef show rules --json", messages.RuleCounters(), messages.RuleCounterList)
    hits = ask(f"reef show rules --unused {HIT_DAYS}d --json", Hits(HIT_DAYS * 86400), HitList)
    sets = ask("reef show sets --json", messages_live.Sets(), messages_live.SetList)
    told("asking the kernel")
    found = host.processes(instance)
    pid = next((process.pid for process in found if process.name == "applyd"), 0)
    where = host.Namespace(pid)
    zones = running.policy.value.zones if running.policy.value is not None else {}
    names = host.sysctl_names(tuple(name for zone in zones.values() for name in zone.interfaces))
    told("reading the disk")
    stored = stored_path(instance.state_of("applyd"), running.generation)
    paths = host.guarded(instance)
    return Facts(
        subject=Subject(
            "running",
            running.site,
            f"generation {running.generation}",
            running.generation,
            running.text_digest,
            text_of(running.generation),
        ),
        taken=taken,
        software=__version__,
        policy=running.policy,
        inherited=running.inherited,
        baselines=reading(f"sha256sum {instance.baselines}/*.yaml", now, lambda: _baselines(instance)),
        status=status,
        doctor=doctor,
        history=Reading(
            history.query, history.time, history.value.generations if history.value else None, history.missing
        ),
        counters=counters,
        hits=hits,
        sets=sets,
        table=reading(where.said(host.LIST_CHAINS), now, lambda: host.table(where)),
        processes=Reading(
            host.PROCESS_QUERY, now(), found or None, "" if found else "no process of the gateway runs here"
        ),
        seal=reading(
            f"SHA-256 of the bundle in {stored}, and its Ed25519 signature by keyd's key",
            now,
            lambda: _seal(instance, stored, running.generation),
        ),
        sysctls=reading(where.said(("sysctl", *names)), now, lambda: host.sysctls(where, names)),
        clock=reading(" ".join(host.CLOCK), now, host.clock),
        disk=reading(f"df -B1 --output=avail,size {instance.state}", now, lambda: host.disk(Path(instance.state))),
        spools=reading(f"the segments below {instance.events}", now, lambda: host.spools(instance)),
        access=reading("stat -c '%a %u %g %n' " + " ".join(map(str, paths)), now, lambda: host.access(paths)),
        proof=running.proof,
    )


def records(instance: Instance, since: float, now: Callable[[], float]) -> Records:
    """What figures of the time since then are counted from."""

    def ask(query: str, request: messages.Request, reply: type[T], of: str = "policyd") -> Reading[T]:
        return reading(query, now, lambda: _ask(instance, request, reply, of))

    return Records(
        since,
        ask("reef proposals --json", Proposals("", MOST_LISTED), ProposalList),
        ask("reef alerts --json", AlertTrend(since), AlertTrendIs, "alertd"),
        ask("reef indicators --json", Indicators(limit=1), IndicatorList, "alertd"),
        ask("reef devices --json", Devices(), DeviceList, "watchd"),
        ask("reef ban --json", messages.Bans(), messages.BanList),
        ask("reef audit --json", AuditHealth(), AuditHealthIs, "recordd"),
    )


def text_of(generation: int) -> str:
    """How to see the text that runs."""
    return f"reef show generation {generation}"


def _ask(instance: Instance, request: messages.Request, reply: type[T], of: str = "policyd") -> T:
    try:
        return ipc.call(instance.socket(of), request, reply, timeout=_PATIENCE)
    except ipc.RefusedError as error:
        raise Gone(error.reply.message) from error
    except (ipc.DaemonAway, ipc.ProtocolError, TimeoutError) as error:
        raise Gone(str(error)) from error


def digests(texts: dict[str, str]) -> dict[str, str]:
    return {name: digest_of(text) for name, text in texts.items()}


def _baselines(instance: Instance) -> dict[str, str]:
    try:
        return digests(dict(baselines(instance.baselines)))
    except SourceError as error:
        raise Gone(str(error)) from error


def _seal(instance: Instance, path: Path, generation: int) -> Seal:
    """Reads the stored bundle and checks the signature with the public key that keyd gives out."""
    if os.geteuid() != 0:
        raise Gone("only root can read the stored bundle; run the report as root")
    try:
        body, signature = read_stored(path, generation)
        key = ipc.call(instance.socket("keyd"), messages_keys.PublicKey(), messages_keys.PublicKeyIs).key
    except StoreError as error:
        return Seal(generation, str(error), False)
    except (ipc.RefusedError, ipc.DaemonAway, ipc.ProtocolError, TimeoutError) as error:
        raise Gone(f"keyd does not give its public key: {error}") from error
    digest = bundles.digest(body)
    return Seal(generation, digest, verify(key, digest, signature))
