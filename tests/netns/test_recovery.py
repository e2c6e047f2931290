"""What applyd finds at its start after a power cut, with everything its sandbox forbids forbidden."""

from __future__ import annotations

import pytest

from tests.netns.stand import Stand, policy, rule


@pytest.mark.parametrize(
    "torn", [b'{"generation":2,"sta', b"\0" * 40, b'{"generation":1}\n'], ids=["cut", "zeros", "short"]
)
def test_a_torn_end_of_the_journal_is_dropped_and_the_confirmed_generation_runs(torn: bytes) -> None:
    with Stand() as stand:
        first = stand.apply(policy(rule("R-1"))).generation
        whole = stand.sh("nft -s list table inet reef")
        stand.kill("applyd")
        stand.sh("nft delete table inet reef")  # as after a boot
        journal = stand.instance.state_of("applyd") / "journal"
        before = journal.read_bytes()
        with journal.open("ab") as file:
            file.write(torn)
        stand.start("applyd")
        stand.wait_for("applyd")
        assert (stand.status().running, stand.status().confirmed) == (first, first)
        assert stand.sh("nft -s list table inet reef") == whole
        assert journal.read_bytes() == before
        assert stand.apply(policy(rule("R-2"))).generation > first
