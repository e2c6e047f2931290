"""What the read-back tests share: the intent of a policy, as policyd has it from its bundle."""

from __future__ import annotations

from appliance.policy import schedule
from appliance.policy.compile import Compiled, compile_policy, numbers
from appliance.policy.model import Policy
from appliance.policy.readback.equivalence import Intent, live_sets
from appliance.policy.rulechain import Surroundings
from tests.policies import NOW


def compiled_intent(policy: Policy, generation: int) -> tuple[Compiled, Intent]:
    """The compiled policy and what is to run, on a kernel that has no queues."""
    compiled = compile_policy(policy, generation=generation, capabilities=frozenset(), now=NOW)
    begin, horizon = schedule.period(NOW)
    intent = Intent(
        policy=policy,
        generation=generation,
        numbers=numbers([rule for rule in policy.rules if rule.enabled]),
        around=Surroundings(
            queue=False,
            not_before=begin,
            inspection={profile.name: profile.unavailable for profile in policy.profiles.values()},
        ),
        period=(begin, horizon - 1),
        live=live_sets(compiled.ruleset),
    )
    return compiled, intent
