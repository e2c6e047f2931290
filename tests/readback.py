"""What the read-back tests share: the intent of a policy, as policyd has it from its bundle."""

from __future__ import annotations

import msgspec

from appliance.policy.compile import Compiled, compile_policy, numbers
from appliance.policy.model import Policy
from appliance.policy.readback.equivalence import Intent, intent_of
from tests.policies import NOW


def compiled_intent(policy: Policy, generation: int) -> tuple[Compiled, Intent]:
    """The compiled policy and what is to run, on a kernel that has no queues."""
    compiled = compile_policy(policy, generation=generation, capabilities=frozenset(), now=NOW)
    numbered = numbers([rule for rule in policy.rules if rule.enabled])
    intent = intent_of(policy, generation, numbered, NOW, frozenset())
    # What the settings of the host are is no matter of these tests, but of those that say so.
    return compiled, msgspec.structs.replace(intent, sysctls={})
