"""What is proven of a text on the command line: the same as at the gateway, in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping

from appliance.commands.problems import finding
from appliance.commands.proven import Proven, Shown
from appliance.control.deciding.gate import traffic_of
from appliance.control.messages.gateway import Finding
from appliance.control.messages.traffic import TrafficDifference
from appliance.policy.meant.alone import renamed
from appliance.policy.meant.required import complaints, missing, under
from appliance.policy.model import Policy
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.lexicon import Lexicon
from appliance.policy.proving.traffic import packet_words
from appliance.policy.proving.verdict import finding_words, problems, timed


def prove(policy: Policy, file: str, baseline: str = "") -> tuple[tuple[Finding, ...], Proven]:
    """What is proven of a policy, as problems of its text and as data. `baseline` names a text that is one."""
    started = time.perf_counter()
    proof = Examiner().examine(policy, int(time.time())).proof
    seconds = round(time.perf_counter() - started, 6)
    lexicon = Lexicon(policy)
    said = problems(policy, proof, file, lexicon, baseline=bool(baseline))
    told = tuple(finding(problem) for problem in (renamed(said, baseline, file) if baseline else said))
    shown = tuple(
        Shown(
            one.kind,
            one.rule,
            one.others,
            one.name,
            finding_words(one, lexicon),
            "" if one.witness is None else packet_words(one.witness, lexicon, timed=timed(one)),
        )
        for one in proof.findings
    )
    return told, Proven(proof.decided, proof.undecided, proof.steps, seconds, shown)


def left_out(
    policy: Policy,
    text: str,
    file: str,
    required: tuple[str, ...],
    inherited: Mapping[str, str],
    files: Mapping[str, str],
) -> tuple[Finding, ...]:
    """The required baselines that a text leaves out, and what it does that they would not let it."""
    names = missing(policy, required)
    if not names:
        return ()
    found = complaints(text, file, names)
    whole, refused = under(text, file, names, inherited, files)
    found += refused
    if whole is not None:
        found += problems(policy, Examiner().against(policy, whole, int(time.time())), file)
    return tuple(finding(problem) for problem in found)


def difference(old: Policy, new: Policy) -> TrafficDifference:
    """The traffic that two policies decide otherwise."""
    return traffic_of(Examiner().difference(old, new, int(time.time())), Lexicon(new))
