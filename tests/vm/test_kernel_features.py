"""What the host's kernel may lack, with the real compiled ruleset: VLAN zones, nft queue, the flowtable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.policy.compiling.bundle import QUEUES_CLOSED, QUEUES_OPEN, VERDICT_DONE, VERDICT_GO_ON, VERDICT_REJECT
from tests.vm.machine import Machine
from tests.vm.site import Site, rule

HERE = Path(__file__).parent
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def site(machine: Machine) -> Site:
    return Site(machine)


def test_vlan_interfaces_are_zones_of_their_own(site: Site) -> None:
    site.load(rule("R-1", "staff", 80) + rule("R-2", "guest", 81))
    assert [site.reaches("staff", port) for port in (80, 81)] == [True, False]
    assert [site.reaches("guest", port) for port in (80, 81)] == [False, True]


def test_a_source_of_the_other_vlan_is_spoofed(site: Site) -> None:
    site.load(rule("R-1", "staff", 80) + rule("R-2", "guest", 80))
    before = site.counter("spoof_guest")
    site.machine.run("ip -n guest addr add 10.1.0.77/32 dev eth0")
    site.run("guest", "timeout 2 nc -w1 -s 10.1.0.77 10.9.0.2 80 </dev/null")
    assert site.counter("spoof_guest") > before


def test_without_inspection_fail_open_flows_pass_and_fail_closed_ones_do_not(site: Site) -> None:
    site.load(rule("R-open", "staff", 82, inspect="standard") + rule("R-closed", "staff", 83, inspect="strict"))
    assert site.reaches("staff", 82), "fail-open: nobody listens on the queue, the flow must pass"
    assert not site.reaches("staff", 83), "fail-closed: nobody listens on the queue, nothing may pass"


class Consumer:
    """Reads every queue while the block lasts, and gives every packet the same verdict."""

    def __init__(self, site: Site, mark: int = VERDICT_GO_ON) -> None:
        self.site = site
        self.mark = mark
        self.running = 0

    def __enter__(self) -> Consumer:
        self.site.machine.run("rm -f /run/queued")
        queues = f"{QUEUES_CLOSED[0]}-{QUEUES_OPEN[1]}"
        command = f"/usr/bin/python3 {HERE / 'queue_consumer.py'} {queues} /run/queued {self.mark}"
        script = f"echo $$ >/run/consumer; exec ip netns exec gateway {command}"
        self.running = self.site.machine.start(script, timeout=300)
        self.site.until(lambda: self.site.run("gateway", "cat /run/queued").status == 0, "it has bound its queues")
        return self

    def __exit__(self, *_: object) -> None:
        self.site.machine.run("kill $(cat /run/consumer)")
        self.site.machine.wait(self.running)

    def count(self) -> int:
        return int(self.site.run("gateway", "cat /run/queued").output)


def test_with_a_consumer_every_packet_of_an_inspected_flow_goes_through_its_queue(site: Site) -> None:
    site.load(
        rule("R-open", "staff", 82, inspect="standard")
        + rule("R-closed", "staff", 83, inspect="strict")
        + rule("R-free", "staff", 80)
    )
    with Consumer(site) as consumer:
        assert site.reaches("staff", 80)
        assert consumer.count() == 0, "a flow without inspection went through the queue"
        assert site.reaches("staff", 82)
        after_open = consumer.count()
        assert after_open >= 6, "handshake, data and end of a fail-open flow go through the queue"
        assert site.reaches("staff", 83)
        assert consumer.count() >= after_open + 6, "handshake, data and end of a fail-closed one too"
    assert not site.reaches("staff", 83), "the consumer is gone: fail-closed flows stop again"
    assert site.reaches("staff", 82), "the consumer is gone: fail-open flows pass again"


def test_what_is_handed_back_at_its_first_packet_comes_to_no_queue_again(site: Site) -> None:
    site.load(rule("R-closed", "staff", 83, inspect="strict"))
    with Consumer(site, VERDICT_DONE) as consumer:
        assert site.reaches("staff", 83)
        assert consumer.count() == 1, "only its first packet was judged"


def test_what_is_rejected_is_told_at_once(site: Site) -> None:
    site.load(rule("R-closed", "staff", 83, inspect="strict"))
    with Consumer(site, VERDICT_REJECT):
        done = site.run("staff", "nc -w5 -vz 10.9.0.2 83")
        assert done.status == 1 and "refused" in done.output, done


def test_a_generation_is_loaded_while_packets_wait_and_none_of_them_is_decided_by_chance(site: Site) -> None:
    """Packets that nobody judged before a generation changes do not pass by the change."""
    site.load(rule("R-closed", "staff", 83, inspect="strict"))
    with Consumer(site):
        site.start("staff", f"/usr/bin/python3 {HERE / 'peer.py'} hold 10.9.0.2 83 /run/judged")

        def lines() -> str:
            return site.run("staff", "cat /run/judged 2>/dev/null || true").output

        def more_than(so_far: int) -> Callable[[], bool]:
            return lambda: lines().isdigit() and int(lines()) > so_far

        site.until(more_than(0), "the connection is answered")
        for number in range(5):
            site.load(rule("R-closed", "staff", 83, inspect="strict") + rule(f"R-{number}", "guest", 80))
            site.until(more_than(int(lines()) + 3), "it goes on")
    site.until(lambda: lines() == "cut", "without who judges it is cut")


def test_established_flows_take_the_flowtable_and_a_generation_that_forbids_them_cuts_them(site: Site) -> None:
    site.load(rule("R-1", "staff", 80))
    site.start("staff", f"/usr/bin/python3 {HERE / 'peer.py'} hold 10.9.0.2 80 /run/held")

    def held() -> str:
        return site.run("staff", "cat /run/held 2>/dev/null || true").output

    def offloaded() -> bool:
        listing = site.run("gateway", "conntrack -L -p tcp --dport 80 2>/dev/null").output
        return any("[OFFLOAD]" in line for line in listing.splitlines())

    site.until(lambda: held().isdigit(), "the connection is answered")
    site.until(offloaded, "the connection is in the flowtable")
    site.load(rule("R-1", "staff", 80) + rule("R-2", "staff", 81))
    so_far = int(held())
    site.until(lambda: held().isdigit() and int(held()) > so_far + 5, "the flow goes on under the next generation")
    site.until(offloaded, "the flow is in the flowtable of the next generation")
    site.load(rule("R-2", "staff", 81))
    site.until(lambda: held() == "cut", "the flow that the new generation forbids is cut, though it was offloaded")


def test_an_inspected_flow_is_never_offloaded(site: Site) -> None:
    site.load(rule("R-open", "staff", 82, inspect="standard"))
    site.start("staff", f"/usr/bin/python3 {HERE / 'peer.py'} hold 10.9.0.2 82 /run/inspected")
    site.until(lambda: site.run("staff", "cat /run/inspected").output.isdigit(), "the connection is answered")
    lines = int(site.run("staff", "cat /run/inspected").output)
    site.until(lambda: int(site.run("staff", "cat /run/inspected").output) > lines + 20, "it goes on")
    listing = site.run("gateway", "conntrack -L -p tcp --dport 82 2>/dev/null").output
    assert "dport=82" in listing
    assert "[OFFLOAD]" not in listing
