"""Rules that end: the ruleset itself stops matching at that moment; here the connections they let in are seen to.

A connection that an expired rule decided is decided anew at its next packet (its mark is cleared), so that
no idle one lives on under a rule that is no more.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.control.kernel.conntrack import Conntrack
from appliance.policy.compiling.bundle import RuleInfo


class Expiry:
    """The ends of the running generation's rules, by the wall clock as the kernel's `meta time` is."""

    def __init__(self, conntrack: Conntrack, log: Callable[[str], None]) -> None:
        self._conntrack = conntrack
        self._log = log
        self._coming: list[RuleInfo] = []  # latest first

    def watch(self, rules: tuple[RuleInfo, ...], now: float) -> None:
        """Take the rules of a generation; those that ended already are left out (nothing new matched them)."""
        self._coming = sorted(
            (rule for rule in rules if rule.expires_at > now), key=lambda rule: rule.expires_at, reverse=True
        )

    def tick(self, now: float) -> tuple[str, ...]:
        """See to the rules that ended until `now`; their ids. A clock that jumps forward ends them at once, as it
        does in the kernel."""
        ended: list[str] = []
        while self._coming and self._coming[-1].expires_at <= now:
            rule = self._coming.pop()
            count = self._conntrack.decide_rule_anew(rule.number)
            self._log(f"rule {rule.id} has expired; {count} connections of it are decided anew")
            ended.append(rule.id)
        return tuple(ended)
