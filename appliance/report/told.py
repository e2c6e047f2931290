"""What somebody who is not root at the gateway can give a report: what its processes told, and what everybody may
read. What they could not look at is said to be so, and never taken for well."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance import __version__
from appliance.control.messages.gateway import (
    DoctorReport,
    GenerationSummary,
    HistoryList,
    RuleCounterList,
    Shown,
    StatusReport,
)
from appliance.control.messages.hits import HitList
from appliance.control.messages.live import SetList
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.proof import Proof
from appliance.report.evidence import Reading, digest_of
from appliance.report.facts import Credentials, Disk, Facts, Seal, Subject
from appliance.report.figures import Records

NOT_HERE = "this was not looked at here: whoever reads it must be root at the gateway; `reef report` there does"


class Told(msgspec.Struct, frozen=True):
    """The readings, each with its question and its time."""

    taken: float
    shown: Reading[Shown]
    status: Reading[StatusReport]
    doctor: Reading[DoctorReport]
    history: Reading[HistoryList]
    counters: Reading[RuleCounterList]
    hits: Reading[HitList]
    sets: Reading[SetList]
    seal: Reading[Seal]
    processes: Reading[tuple[Credentials, ...]]
    sysctls: Reading[dict[str, str]]
    disk: Reading[Disk]
    records: Records


def facts_of(told: Told) -> Facts:
    """The facts of what runs, as far as they were told. The text is read and proven anew."""
    shown = told.shown
    policy, proof = _meant(shown, told.taken)
    status = told.status.value
    generation = shown.value.summary.generation if shown.value else status.running if status else 0
    site = policy.value.site if policy.value else status.site if status else ""
    text = shown.value.text if shown.value else ""
    digest = digest_of(text) if shown.value else ""
    return Facts(
        subject=Subject("running", site, f"generation {generation}", generation, digest, shown.query),
        taken=told.taken,
        software=__version__,
        policy=policy,
        inherited=_inherited(shown),
        baselines=_unseen("sha256sum of the gateway's folder of baselines", told),
        status=told.status,
        doctor=told.doctor,
        history=_generations(told.history),
        counters=told.counters,
        hits=told.hits,
        sets=told.sets,
        table=_unseen("nft -j list chains inet", told),
        processes=told.processes,
        seal=told.seal,
        sysctls=told.sysctls,
        clock=_unseen("timedatectl show", told),
        disk=told.disk,
        spools=_unseen("the segments of the spools", told),
        access=_unseen("stat of the gateway's files", told),
        proof=proof,
    )


def _unseen(query: str, told: Told) -> Reading[Any]:
    return Reading(query, told.taken, None, NOT_HERE)


def _meant(shown: Reading[Shown], taken: float) -> tuple[Reading[Policy], Reading[Proof]]:
    query, proven = shown.query, f"{shown.query} | reef check -"
    if shown.value is None:
        return Reading(query, shown.time, None, shown.missing), Reading(proven, shown.time, None, shown.missing)
    one = shown.value
    name = f"generation {one.summary.generation}"
    try:
        policy, _ = parse(one.text, name, inherited=one.inherited, files=one.files)
    except PolicyError as error:
        why = f"the text that runs is refused by now: {error.problems[0].message if error.problems else error}"
        return Reading(query, shown.time, None, why), Reading(proven, shown.time, None, why)
    proof = Examiner().examine(policy, int(taken)).proof
    return Reading(query, shown.time, policy), Reading(proven, taken, proof)


def _inherited(shown: Reading[Shown]) -> Reading[dict[str, str]]:
    digests = {name: digest_of(text) for name, text in shown.value.inherited.items()} if shown.value else None
    return Reading(shown.query, shown.time, digests, shown.missing)


def _generations(history: Reading[HistoryList]) -> Reading[tuple[GenerationSummary, ...]]:
    found = history.value.generations if history.value else None
    return Reading(history.query, history.time, found, history.missing)
