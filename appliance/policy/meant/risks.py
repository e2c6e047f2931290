"""The risks of a site (R6): threats to its objects and zones, and the safeguards that stand against them.

A safeguard is an id of this same policy, so that the text cannot claim what it does not have.
"""

from __future__ import annotations

from collections.abc import Set
from typing import cast

from appliance.policy.meant.names import Names
from appliance.policy.model import Level, Risk, Treatment
from appliance.policy.written.document import RiskText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.text import Report


def risk(text: RiskText, names: Names, report: Report) -> Risk:
    """What a risk means. Assets that are not there are reported, and a risk to reduce that nothing reduces."""
    for word in text.assets:
        if word.value not in names.objects and word.value not in names.zones:
            guess = did_you_mean(word.value, [*names.objects, *names.zones])
            report.error(
                word.at, f"there is no object or zone `{word.value}`", guess or "name an asset that is defined"
            )
    treatment = "reduce" if text.treatment is None else text.treatment.value
    if treatment == "reduce" and not text.flawed and not text.safeguards and not text.measures:
        report.error(
            text.at,
            f"nothing reduces the risk `{text.id.value}`",
            "name `safeguards` or `measures`, or say what was decided instead: `treatment: accept`",
        )
    return Risk(
        id=text.id.value,
        threat=text.threat.value,
        assets=tuple(word.value for word in text.assets),
        likelihood=cast(Level, text.likelihood.value),
        impact=cast(Level, text.impact.value),
        treatment=cast(Treatment, treatment),
        safeguards=tuple(word.value for word in text.safeguards),
        measures=tuple(word.value for word in text.measures),
        owner=text.owner.value,
        review="" if text.review is None else text.review.value,
        span=report.span(text.at),
    )


def references(texts: tuple[RiskText, ...], ids: Set[str], report: Report) -> None:
    """Reports the safeguards that name nothing of the policy. `ids` are all of its ids, those of the risks too."""
    own = {text.id.value for text in texts}
    for text in texts:
        for word in text.safeguards:
            if word.value in own:
                report.error(
                    word.at,
                    f"`{word.value}` is a risk, and safeguards nothing",
                    "name a rule, a translation, a published service or an invariant",
                )
            elif word.value not in ids:
                guess = did_you_mean(word.value, sorted(ids - own))
                report.error(
                    word.at,
                    f"there is no safeguard `{word.value}`",
                    guess or "name the id of a rule or an invariant; what is no part of the policy is a measure",
                )
