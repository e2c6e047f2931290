"""`reef explain` says what the gateway does, also where its kernel cannot do what the text says."""

from __future__ import annotations

import msgspec

from appliance.commands.explain import Explanation, as_enforced

ALLOWED = Explanation(
    "10.20.0.12", "lan", "10.21.0.10:80", "dmz", "tcp/80", "allow", "R-1", "the web site", "it",
    "10.20.0.12", "10.21.0.10:80", "", "", {},
)  # fmt: skip


WORDS = "rule R-1: inspection strict needs nft queue, which this kernel lacks; its flows are denied (fail-closed)"


def test_what_the_kernel_does_as_the_rule_says_is_told_as_it_is() -> None:
    assert as_enforced(ALLOWED, {"R-1": "allow", "R-2": "deny"}, (WORDS.replace("R-1", "R-11"),)) == ALLOWED
    assert as_enforced(ALLOWED, {}, ()) == ALLOWED


def test_a_flow_that_is_denied_because_nothing_can_inspect_it_is_not_called_allowed() -> None:
    found = as_enforced(ALLOWED, {"R-1": "deny"}, (WORDS,))
    assert found.action == "deny"
    assert found.why == "the web site; " + WORDS.removeprefix("rule R-1: ")
    assert msgspec.structs.replace(found, action="allow", why=ALLOWED.why) == ALLOWED
