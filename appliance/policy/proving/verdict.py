"""A proof in words: its findings as problems of the text, each at the line of its rule, with a packet that shows it.

A broken invariant and a weakened baseline are errors. Rules that can never match, that change nothing, or that cross
another one with a different action are warnings; so is what could not be decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.policy.model import Policy, Rule, Span
from appliance.policy.problem import Problem
from appliance.policy.proving.lexicon import Lexicon, listed
from appliance.policy.proving.proof import Finding, Proof
from appliance.policy.proving.traffic import DEFAULT, packet_words, together, words

_UNDECIDED = 8  # that are told; a proof has all of them
GRAVE = ("invariant", "baseline")


def problems(
    policy: Policy, proof: Proof, file: str, lexicon: Lexicon | None = None, *, baseline: bool = False
) -> tuple[Problem, ...]:
    """The findings of a proof, grave ones first, then in the order of the rules.

    `file` is the text that is judged: that of the site, or with `baseline` the baseline itself. What it inherits is
    not warned of: it is meant for sites that it does not know.
    """
    if not (proof.findings or proof.undecided):
        return ()
    return _Words(policy, file, lexicon or Lexicon(policy), baseline=baseline).problems(proof)


class _Words:
    def __init__(self, policy: Policy, file: str, lexicon: Lexicon, *, baseline: bool) -> None:
        self.baseline = baseline
        self.policy = policy
        self.file = file
        self.lexicon = lexicon
        self.spans = {nat.id: nat.span for nat in policy.destination_nat}
        self.rules = {rule.id: rule for rule in policy.rules}
        self.order = {rule.id: number for number, rule in enumerate(policy.rules)}

    def problems(self, proof: Proof) -> tuple[Problem, ...]:
        ordered = sorted(
            proof.findings,
            key=lambda finding: (finding.kind not in GRAVE, self.order.get(finding.rule, -1)),
        )
        crossed: dict[str, list[tuple[str, Finding]]] = {}
        found: list[Problem] = []
        for finding in ordered:
            if finding.kind == "conflict":
                upper, lower = sorted((finding.rule, finding.others[0]), key=lambda ident: self.order[ident])
                crossed.setdefault(upper, []).append((lower, finding))
            else:
                problem = self._one(finding)
                found += [] if problem is None else [problem]
        for upper, lowers in crossed.items():
            found += self._conflict(upper, lowers)
        shown = proof.undecided[:_UNDECIDED]
        found += [Problem(Span(self.file, 0, 0), f"not decided: {said}", "", "warning") for said in shown]
        more = len(proof.undecided) - len(shown)
        if more:
            found.append(Problem(Span(self.file, 0, 0), f"not decided: {more} more like that", "", "warning"))
        return tuple(found)

    def _one(self, finding: Finding) -> Problem | None:
        match finding.kind:
            case "invariant":
                return self._invariant(finding)
            case "baseline":
                return self._baseline(finding)
        rule = self.rules[finding.rule]
        if finding.kind == "dead":
            return self._dead(rule, finding)
        return self._no_effect(rule, finding) if rule.origin == "site" else None

    # --- errors ---------------------------------------------------------------------------------------

    def _invariant(self, finding: Finding) -> Problem:
        broken = next(item for item in self.policy.invariants if item.id == finding.name)
        span, at = self._place(finding.rule), broken.span
        own = at is not None and at.file == span.file
        remedy = f", or name it in `except` of `{broken.id}`" if own else "; what is inherited has no exceptions"
        return Problem(
            span,
            f"`{finding.rule}` allows {self._traffic(finding)}, which `{broken.id}` ({at}) says is never to pass"
            f"{self._example(finding)}",
            f"narrow `{finding.rule}`{remedy}",
        )

    def _baseline(self, finding: Finding) -> Problem:
        demand = self.rules.get(finding.others[0])
        at = "" if demand is None or demand.span is None else f" ({demand.span})"
        wants = f"`{finding.others[0]}` of the baseline `{finding.name}`{at}"
        rule = self.rules.get(finding.rule)
        if finding.rule != DEFAULT and rule is None:
            return Problem(
                self._place(finding.rule),
                f"`{finding.rule}` leads elsewhere what {wants} allows{self._example(finding)}",
                f"translate less in `{finding.rule}`",
            )
        if rule is not None and rule.action == "allow":
            return Problem(
                self._place(finding.rule),
                f"`{finding.rule}` allows {self._traffic(finding)}, which {wants} denies{self._example(finding)}",
                f"narrow `{finding.rule}`",
            )
        who = "nothing here allows" if rule is None else f"`{finding.rule}` denies"
        return Problem(
            self._place(finding.rule),
            f"{who} {self._traffic(finding)}, which {wants} allows{self._example(finding)}",
            "inherit the baseline" if rule is None else f"narrow `{finding.rule}`",
        )

    # --- warnings -------------------------------------------------------------------------------------

    def _dead(self, rule: Rule, finding: Finding) -> Problem | None:
        inherited = rule.origin != "site" and not self.baseline
        if inherited or (rule.expires_at and not finding.others):
            return None  # that a rule has expired is told as such
        if not finding.others:
            return Problem(self._place(rule.id), f"`{rule.id}` can match nothing", "look at its fields", "warning")
        hide = "hides" if len(finding.others) == 1 else "hide"
        return Problem(
            self._place(rule.id),
            f"`{rule.id}` never matches: {self._named(finding.others)} above {hide} all of it",
            self._remedy(rule, finding.others),
            "warning",
        )

    def _remedy(self, rule: Rule, hiding: Sequence[str]) -> str:
        """What to do about a rule that others hide: it can only be put above rules of its own text and section."""
        if any(ident in self.rules and self.rules[ident].origin != rule.origin for ident in hiding):
            return "remove it: what a baseline puts first stays first"
        if rule.id in self.spans and not all(ident in self.spans for ident in hiding):
            return f"remove it, or narrow {self._named(hiding[:1])}: `rules` come before `publish`"
        return f"remove it, or put it above {self._named(hiding[:1])}"

    def _no_effect(self, rule: Rule, finding: Finding) -> Problem:
        others = self._named(finding.others) if finding.others else "the default"
        return Problem(
            self._place(rule.id),
            f"`{rule.id}` changes nothing: without it {others} would decide the same{self._example(finding)}",
            "remove it, unless you count what it matches",
            "warning",
        )

    def _conflict(self, ident: str, lowers: Sequence[tuple[str, Finding]]) -> list[Problem]:
        """One warning for a rule that decides parts of rules below it. What is inherited is meant to."""
        upper = self.rules[ident]
        own = [(lower, finding) for lower, finding in lowers if self.rules[lower].origin == "site"]
        if upper.origin != "site" or not own:
            return []
        others = self._named([lower for lower, _ in own])
        return [
            Problem(
                self._place(ident),
                f"`{ident}` ({upper.action}) and {others} below it share packets and decide them differently: "
                f"`{ident}` wins{self._example(own[0][1])}",
                "if that is not meant, narrow one of them or exchange them",
                "warning",
            )
        ]

    # --- parts ----------------------------------------------------------------------------------------

    def _place(self, ident: str) -> Span:
        rule = self.rules.get(ident)
        span = rule.span if rule is not None else self.spans.get(ident)
        return span or Span(self.file, 0, 0)

    def _named(self, idents: Sequence[str]) -> str:
        return listed([("the default" if ident == DEFAULT else f"`{ident}`") for ident in dict.fromkeys(idents)])

    def _traffic(self, finding: Finding) -> str:
        return finding_words(finding, self.lexicon) or "packets"

    def _example(self, finding: Finding) -> str:
        if finding.witness is None:
            return ""
        return f", for example {packet_words(finding.witness, self.lexicon, timed=timed(finding))}"


def finding_words(finding: Finding, lexicon: Lexicon) -> str:
    """What a finding is about: the first line of it, and how many more there are."""
    if finding.region is None:
        return ""
    found = together(finding.regions or (finding.region,), lexicon)
    more = f" (and {len(found) - 1} more lines)" if len(found) > 1 else ""
    return words(found[0], lexicon) + more


def timed(finding: Finding) -> bool:
    """Whether it matters when the packet of a finding is sent."""
    return finding.region is not None and bool(finding.region.schedules)
