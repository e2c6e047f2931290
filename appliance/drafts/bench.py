"""What is wrong with a draft, found as it is typed: parsed and proven again where it changed, in a thread.

Each of the drafts that were edited last has caches of its own, so that a keystroke costs what it changes, and no
draft costs what runs anything: the caches of running texts are not touched.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import msgspec

from appliance.control.deciding.candidate import findings, renamed
from appliance.control.deciding.sources import SourceError, baselines, required, with_own_lists
from appliance.control.messages.changes import Proof, ProvenOf
from appliance.control.messages.text import Finding
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.meant.required import complaints, missing
from appliance.policy.model import Policy, Rule, Span
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.proving.examine import Examination, Examiner
from appliance.policy.proving.lexicon import Lexicon
from appliance.policy.proving.proof import Finding as ProofFinding
from appliance.policy.proving.traffic import packet_words
from appliance.policy.proving.verdict import GRAVE, problems, timed

FILE = "policy.yaml"
_NAME = "<policy>"  # what every text is called while it is parsed
_WARM = 3  # drafts whose caches are kept
_IDLE = 900.0  # seconds after which they are not
_MOST_SHOWN = 1000


class Looked(msgspec.Struct, frozen=True):
    """What was found in a text. `policy` and `proof` are None where it does not parse."""

    ok: bool
    findings: tuple[Finding, ...]
    proof: Proof | None
    policy: Policy | None
    seconds: float

    @property
    def rules(self) -> int:
        return 0 if self.policy is None else len(self.policy.rules)


class Texts(msgspec.Struct, frozen=True):
    """What a site's text is read under: the gateway's baselines, and those that it must inherit."""

    baselines: Path
    required: Path

    def around(self, files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
        """Baselines by name, list files, names of required baselines. Raises `SourceError`."""
        inherited = dict(baselines(self.baselines))
        return inherited, with_own_lists(files, inherited, self.baselines), required(self.required)


class Bench:
    """One draft's caches."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._parsed = ParseCache()
        self._examiner = Examiner()
        self._lexicon: Lexicon | None = None
        self.turn = asyncio.Lock()
        self.used = time.monotonic()

    def look(self, text: str, files: Mapping[str, str]) -> Looked:
        """Synchronous, in a thread; one at a time."""
        begun = time.perf_counter()
        try:
            inherited, lists, wanted = self._texts.around(files)
            now = time.time()
            policy, warnings = parse(text, _NAME, inherited=inherited, files=lists, cache=self._parsed, now=now)
        except PolicyError as error:
            return Looked(False, findings(renamed(error.problems, FILE)), None, None, time.perf_counter() - begun)
        except SourceError as error:
            return Looked(False, (Finding(FILE, 0, 0, str(error)),), None, None, time.perf_counter() - begun)
        proving = time.perf_counter()
        found = self._examiner.examine(policy, int(now))
        shown = self._shown(policy, found, time.perf_counter() - proving)
        left_out = missing(policy, wanted)
        said = [
            *(complaints(text, FILE, left_out) if left_out else ()),
            *warnings,
            *problems(policy, found.proof, FILE, self._words(policy)),
            *_open(found),
        ]
        ok = all(problem.severity != "error" for problem in said)
        return Looked(ok, findings(renamed(said, FILE)), shown, policy, time.perf_counter() - begun)

    def _shown(self, policy: Policy, found: Examination, seconds: float) -> Proof:
        rules = {rule.id: rule for rule in policy.rules}
        own = [one for one in found.proof.findings if one.kind in GRAVE or _is_own(one, rules)]
        shown = tuple(self._one(policy, one, rules) for one in own[:_MOST_SHOWN])
        return Proof(shown, found.proof.conflicts, (*found.open, *found.proof.undecided), seconds)

    def _one(self, policy: Policy, finding: ProofFinding, rules: Mapping[str, Rule]) -> ProvenOf:
        rule = rules.get(finding.rule)
        span = None if rule is None else rule.span
        line = span.line if span is not None and span.file == _NAME else 0
        example = ""
        if finding.witness is not None:
            example = packet_words(finding.witness, self._words(policy), timed=timed(finding))
        return ProvenOf(finding.kind, finding.rule, finding.others, finding.name, example, line)

    def _words(self, policy: Policy) -> Lexicon:
        known = self._lexicon
        if known is None or not known.serves(policy):
            self._lexicon = known = Lexicon(policy)
        return known


def _is_own(finding: ProofFinding, rules: Mapping[str, Rule]) -> bool:
    """Whether it is about the site's own rules: what is inherited is meant for sites that it does not know."""
    about = (finding.rule, *finding.others[:1]) if finding.kind == "conflict" else (finding.rule,)
    return all(name in rules and rules[name].origin == "site" for name in about)


def _open(found: Examination) -> list[Problem]:
    remedy = "name zones instead of `any`, or say it in several invariants"
    return [
        Problem(Span(FILE, 0, 0), f"not decided: {words}; what is not shown to hold is not applied", remedy)
        for words in found.open
    ]


class Benches:
    """The caches of the drafts that were edited last."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._warm: OrderedDict[str, Bench] = OrderedDict()

    async def look(self, ident: str, text: str, files: Mapping[str, str]) -> Looked:
        bench = self._warm.pop(ident, None) or Bench(self._texts)
        self._warm[ident] = bench
        while len(self._warm) > _WARM:
            self._warm.popitem(last=False)
        async with bench.turn:
            bench.used = time.monotonic()
            return await asyncio.to_thread(bench.look, text, files)

    def forget(self, ident: str) -> None:
        self._warm.pop(ident, None)

    def tidy(self) -> None:
        """Let go of what nobody edits any more."""
        now = time.monotonic()
        for ident, bench in list(self._warm.items()):
            if now - bench.used > _IDLE:
                del self._warm[ident]
