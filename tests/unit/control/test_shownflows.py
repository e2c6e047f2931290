"""Connections as `reef show flows` tells them: one that the running generation forbids is not said to pass."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from appliance.control.conntrack import Flow, Tuple
from appliance.control.messages_live import Flows
from appliance.control.shownflows import CUT, shown_flows
from appliance.policy.bundle import FLAG_QUEUE_CLOSED, FLAG_QUEUE_OPEN, RuleInfo, generation_mark

RULES = (
    RuleInfo("R-1", 1, "allow"),
    RuleInfo("R-2", 2, "deny"),
    RuleInfo("R-4", 4, "allow", inspect="strict"),
)
CLIENT, SERVER = ip_address("10.20.0.11"), ip_address("198.51.100.80")


def flow(mark: int) -> Flow:
    return Flow(Tuple(CLIENT, SERVER, 17, 40000, 53), Tuple(SERVER, CLIENT, 17, 53, 40000), mark)


@pytest.mark.parametrize(
    ("mark", "cut"),
    [
        (generation_mark(8) | 1, False),  # decided by the generation that runs
        (generation_mark(7) | 1, False),  # decided before, and quiet since; its rule still allows it
        (generation_mark(7) | 2, True),  # its rule denies now
        (generation_mark(7) | 3, True),  # its rule is gone
        (generation_mark(8) | 3, False),  # a number that is not known, but this generation let it in
        (1, True),  # rule 1 let it in once; it was decided anew since then, and not let in
        (0, False),  # never decided: of the box itself before any policy
    ],
)
def test_a_connection_that_is_forbidden_now_is_cut(mark: int, cut: bool) -> None:
    (shown,) = shown_flows([flow(mark)], Flows(), 8, RULES).flows
    assert (shown.state == CUT) is cut


@pytest.mark.parametrize(
    ("mark", "inspection"),
    [
        (generation_mark(8) | 1, ""),
        (generation_mark(8) | 4 | FLAG_QUEUE_CLOSED, "judged"),
        (generation_mark(8) | 4 | FLAG_QUEUE_OPEN, "judged"),
        (generation_mark(8) | 4, "handed back"),
        (generation_mark(7) | 4, "judged"),  # its next packet is decided anew
    ],
)
def test_a_connection_says_whether_it_is_judged_or_was_handed_back(mark: int, inspection: str) -> None:
    (shown,) = shown_flows([flow(mark)], Flows(), 8, RULES).flows
    assert shown.inspection == inspection
