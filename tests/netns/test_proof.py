"""policyd on the real kernel: what breaks an invariant or weakens a baseline is never sealed; plans show traffic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.traffic import TrafficDifference
from tests.netns.stand import POLICY, Stand, policy, rule

INVARIANT = "invariants:\n  - {id: I-1, never: internet -> lan}\n"
GOOD = policy(rule("R-1"), rule("R-2", "tcp/80"), head=POLICY + INVARIANT)
PUBLISHED = (
    GOOD
    + "publish:\n  - {id: P-1, from: internet, address: 203.0.113.10, service: tcp/2222, to: 10.20.0.5, port: 22, "
    "owner: it@stand.example, why: help from outside}\n"
)
BASELINE = """\
reef: 1
baseline: national
first:
  - {id: N-1, from: role:internet, to: [any, gateway], service: telnet, action: deny, why: no telnet}
  - {id: N-2, from: role:internal, to: gateway, service: ssh, action: allow, why: help, owner: noc@gov.example}
"""
INHERITING = GOOD.replace("site: stand\n", "site: stand\ninherits: [national]\n")
TELNET = policy(rule("R-9", "telnet", origin="internet", to="gateway"))


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as found:
        yield found


def test_a_published_service_that_breaks_an_invariant_is_refused_with_its_packet(stand: Stand) -> None:
    stand.apply(GOOD)
    signed = stand.log.read_text().count("generation ")
    for request in (messages.Apply(PUBLISHED, 1, "a way in", confirm_within=0), messages.Plan(PUBLISHED)):
        refused = stand.refusal(request)
        assert refused.code == "policy"
        (finding,) = refused.findings
        assert "`P-1` allows internet -> lan 10.20.0.5, ssh, which `I-1`" in finding.message
        assert "-> 203.0.113.10:2222 (P-1 leads it to 10.20.0.5:22)" in finding.message
        assert PUBLISHED.splitlines()[finding.line - 1].startswith("  - {id: P-1")
    assert stand.status().running == 1
    assert stand.log.read_text().count("generation ") == signed
    checked = stand.ask(messages.Check(PUBLISHED), messages.Checked)
    assert not checked.ok and "I-1" in checked.findings[0].message
    excepted = PUBLISHED.replace("never: internet -> lan}", "never: internet -> lan, except: [P-1]}")
    assert stand.apply(excepted, base=1).generation == 2


def test_a_plan_shows_what_it_opens_and_closes(stand: Stand) -> None:
    assert stand.ask(messages.Plan(GOOD), messages.Planned).traffic is None  # nothing runs yet
    stand.apply(GOOD)
    edited = GOOD.replace("service: tcp/80", "service: tcp/8000-8100")
    planned = stand.ask(messages.Plan(edited), messages.Planned)
    assert planned.traffic is not None
    assert [line.words for line in planned.traffic.opened] == [
        "lan -> internet, tcp/8000-8100 (was denied by default, now allowed by R-2)"
    ]
    assert [line.words for line in planned.traffic.closed] == [
        "lan -> internet, http (was allowed by R-2, now denied by default)"
    ]
    assert planned.traffic.opened[0].example == "tcp 10.20.0.10:50000 -> 198.51.100.20:8000"
    applied = stand.apply(edited, base=1)
    assert applied.traffic == planned.traffic
    assert applied.seconds["prove"] > 0
    same = stand.ask(messages.Plan(edited), messages.Planned).traffic
    assert same == TrafficDifference((), ())


def test_a_required_baseline_cannot_be_left_out(stand: Stand) -> None:
    (stand.instance.baselines / "national.yaml").write_text(BASELINE)
    stand.apply(TELNET)  # nothing is required yet
    stand.instance.required.write_text("# of the ministry of the interior\nnational\n")
    refused = stand.refusal(messages.Apply(TELNET, 1, "without it", confirm_within=0))
    assert refused.code == "policy"
    missing, denied, weak = refused.findings
    assert "the baseline `national` is required here" in missing.message and "inherits: [national]" in missing.remedy
    assert "`R-9` allows internet -> gateway, telnet, which `N-1` of the baseline `national`" in weak.message
    assert "nothing here allows lan -> gateway, ssh, which `N-2`" in denied.message
    stand.apply(INHERITING, base=1)
    # An old generation is no way round it.
    refused = stand.refusal(messages.Rollback(1))
    assert "the baseline `national` is required here" in refused.findings[0].message
    assert stand.status().running == 2


@pytest.mark.parametrize("listing", [b"no name here!\n", b"\xff\xfe"])
def test_a_list_that_cannot_be_read_lets_nothing_through(stand: Stand, listing: bytes) -> None:
    stand.instance.required.write_bytes(listing)
    refused = stand.refusal(messages.Apply(GOOD, 0, "with a broken list", confirm_within=0))
    assert (refused.code, "required-baselines" in refused.message) == ("baseline", True)
    assert stand.status().running == 0


def test_a_translation_may_not_lead_elsewhere_what_a_baseline_allows(stand: Stand) -> None:
    """The operations centre reaches the gateway by ssh (N-2); a site that leads that port elsewhere is refused."""
    (stand.instance.baselines / "national.yaml").write_text(BASELINE)
    addressed = INHERITING.replace(
        "networks: [10.20.0.0/16]}", "networks: [10.20.0.0/16], addresses: {lan0: [10.20.0.1/16]}}"
    )
    hijack = "nat:\n  destination:\n    - {id: N-9, from: lan, destination: 10.20.0.1, service: ssh, to: 10.20.0.7}\n"
    refused = stand.refusal(messages.Apply(addressed + hijack, 0, "a way round", confirm_within=0))
    assert "`N-9` leads elsewhere what `N-2` of the baseline `national`" in refused.findings[0].message
    stand.apply(addressed + hijack.replace("service: ssh", "service: tcp/2022"))


def test_what_a_rule_never_matches_is_a_warning_and_no_more(stand: Stand) -> None:
    applied = stand.apply(policy(rule("R-1", "tcp"), rule("R-2", "tcp/80")))
    assert [finding.severity for finding in applied.findings] == ["warning"]
    assert "`R-2` never matches: `R-1` above hides all of it" in applied.findings[0].message
