"""The thin clients of the kernel against the kernel: sets, counters, drift, addresses, routes, conntrack, probes."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.control.kernel import capabilities
from appliance.control.kernel.conntrack import GROUP_DESTROY, GROUP_NEW, Conntrack, Events, session_tuple
from appliance.control.kernel.drift import Drift, fingerprint
from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.network import Network, NetworkRefused
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import Element, Sets, counters, format_element, kernel_generation, parse_address
from appliance.control.kernel.nft import present_devices
from appliance.control.kernel.rtnetlink import Address, Routing, wanted_route
from appliance.policy.compiling.bundle import Bundle, ZoneInfo
from appliance.policy.compiling.ruleset import Flowtable, Ruleset, Set
from appliance.policy.model import InterfaceAddress, Route
from ctypes_ext import sandbox
from ctypes_ext.nftables import Nftables, NftablesError

TABLE = """
table inet reef {
    counter r_R-1 { packets 3 bytes 300; }
    counter r_R-2 { }
    set hosts { type ipv4_addr; }
    set hosts6 { type ipv6_addr; flags timeout; }
    set networks { type ipv4_addr; flags interval; }
    set networks6 { type ipv6_addr; flags interval; }
    set pairs { type ipv4_addr . inet_service; flags interval; }
    map verdicts { type ipv4_addr : verdict; elements = { 10.0.0.1 : jump r_R-1 }; }
    chain r_R-1 { counter name r_R-1; accept; }
    chain input { type filter hook input priority filter; ip saddr vmap @verdicts; ct mark set 0x40007; }
}
"""


def sh(command: str) -> str:
    done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    """A network namespace of this test's own, with two links."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    sandbox.unshare(sandbox.CLONE_NEWNET)
    try:
        sh("ip link set lo up; ip link add lan0 type veth peer name wan0; ip link set lan0 up; ip link set wan0 up")
        yield
    finally:
        sandbox.setns(home, sandbox.CLONE_NEWNET)
        os.close(home)


@pytest.fixture
def netfilter() -> Iterator[Netfilter]:
    Nftables().run(TABLE)
    with Netfilter() as found:
        yield found


def listed(name: str) -> set[str]:
    """The elements of a set as the nft command sees them."""
    found = json.loads(sh(f"nft -j list set inet reef {name}"))["nftables"][1]["set"].get("elem", [])
    words = set()
    for element in found:
        plain = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
        if isinstance(plain, dict) and "prefix" in plain:
            words.add(f"{plain['prefix']['addr']}/{plain['prefix']['len']}")
        elif isinstance(plain, dict) and "range" in plain:
            words.add("-".join(plain["range"]))
        else:
            words.add(plain)
    return words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hosts", ("192.0.2.1", "10.0.0.1")),
        ("hosts6", ("2001:db8::1", "::1")),
        ("networks", ("10.0.0.0/8", "192.0.2.1", "192.0.2.4-192.0.2.6", "255.255.255.0/24", "0.0.0.0/8")),
        ("networks6", ("2001:db8::/32", "2001:db9::7", "fe80::/10")),
    ],
)
def test_elements_are_there_as_nft_sees_them(netfilter: Netfilter, name: str, words: tuple[str, ...]) -> None:
    sets = Sets(netfilter)
    info = sets.info(name)
    sets.add(info, [parse_address(word)[1] for word in words])
    assert listed(name) == set(words)
    assert {format_element(element, info.key_length) for element in sets.elements(info)} == set(words)
    sets.remove(info, [parse_address(words[0])[1]])
    assert listed(name) == set(words[1:])
    sets.replace(info, [parse_address(words[0])[1]])
    assert listed(name) == {words[0]}


def test_a_transaction_happens_wholly_or_not_at_all(netfilter: Netfilter) -> None:
    sets = Sets(netfilter)
    info = sets.info("hosts")
    sets.add(info, [Element(1, 1)])
    before = kernel_generation(netfilter).id
    with pytest.raises(NetlinkError) as refused:
        sets.change(info, [Element(2, 2)], [Element(1, 1), Element(9, 9)])  # 9 is not there
    assert refused.value.errno == 2
    assert [element.first for element in sets.elements(info)] == [1]
    assert kernel_generation(netfilter).id == before


def test_many_elements_go_in_one_transaction_and_are_matched(netfilter: Netfilter) -> None:
    """Against a naive twin: a Python set of the same addresses, and the kernel's own answer to `get element`."""
    sets = Sets(netfilter)
    info = sets.info("networks")
    chance = random.Random(7)
    taken = sorted(chance.sample(range(1 << 16), 3_000))
    wanted = [Element(0x0A000000 + 4 * block, 0x0A000000 + 4 * block + chance.randrange(4)) for block in taken]
    before = kernel_generation(netfilter).id
    sets.replace(info, wanted)
    assert kernel_generation(netfilter).id == before + 1
    assert sets.elements(info) == wanted
    inside = {address for element in wanted for address in range(element.first, element.last + 1)}
    for _ in range(40):
        address = 0x0A000000 + chance.randrange(1 << 18)
        words = format_element(Element(address, address), 4)
        found = subprocess.run(
            ["nft", "get", "element", "inet", "reef", "networks", f"{{ {words} }}"], capture_output=True
        )
        assert (found.returncode == 0) == (address in inside), words


def test_a_timeout_ends_an_element(netfilter: Netfilter) -> None:
    sets = Sets(netfilter)
    info = sets.info("hosts6")
    sets.add(info, [Element(1, 1, timeout=300), Element(2, 2)])
    (first, second) = sets.elements(info)
    assert 0 < first.timeout <= 300
    assert second.timeout == 0
    sets.add(info, [Element(4, 4, timeout=0.2)])
    deadline = time.monotonic() + 30
    while len(sets.elements(info)) == 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [(one.first, one.last) for one in sets.elements(info)] == [(1, 1), (2, 2)]


def test_a_set_that_is_not_there_is_refused(netfilter: Netfilter) -> None:
    with pytest.raises(NetlinkError) as refused:
        Sets(netfilter).info("nonesuch")
    assert refused.value.errno == 2
    assert {info.name for info in Sets(netfilter).all()} >= {"hosts", "networks", "pairs", "verdicts"}


def test_counters_are_read_in_one_dump(netfilter: Netfilter) -> None:
    assert counters(netfilter) == {"r_R-1": (3, 300), "r_R-2": (0, 0)}


def test_the_fingerprint_sees_rules_and_not_what_lives(netfilter: Netfilter) -> None:
    live = frozenset({"hosts", "networks"})
    before = fingerprint(live)
    assert fingerprint(live) == before
    sets = Sets(netfilter)
    for name in live:
        sets.add(sets.info(name), [Element(5, 5)])
    sh("nft add table inet other; nft add chain inet other c; nft add rule inet other c accept")
    sh("ping -c 1 127.0.0.1")
    assert fingerprint(live) == before
    for change, back in (
        ("add rule inet reef r_R-1 accept", None),
        ("add element inet reef verdicts { 10.0.0.2 : accept }", "delete element inet reef verdicts { 10.0.0.2 }"),
        ("add chain inet reef extra", "delete chain inet reef extra"),
        ("add set inet reef extra { type ipv4_addr; }", "delete set inet reef extra"),
        ("add table inet reef { flags dormant; }", "add table inet reef"),
    ):
        now = fingerprint(live)
        sh(f"nft '{change}'")
        assert fingerprint(live) != now, change
        if back:
            sh(f"nft '{back}'")
    sh("nft delete table inet reef")
    assert fingerprint(live) == b""


def test_an_element_of_a_static_set_is_announced_and_one_of_a_live_set_is_not(netfilter: Netfilter) -> None:
    drift, live = Drift(print), frozenset({"hosts"})
    sh("nft add table inet other; nft add set inet other s '{ type mark; }'")
    drift.announced(live)
    sh("nft add element inet reef hosts { 10.0.0.5 }")
    sh("nft add element inet other s { 5 }")
    assert not drift.announced(live)
    sh("nft add element inet reef verdicts { 10.0.0.2 : accept }")
    assert drift.announced(live)
    sh("nft delete element inet reef verdicts { 10.0.0.2 }")
    assert drift.announced(live)
    assert not drift.announced(live)


def test_a_dry_run_leaves_nothing_behind_also_in_the_library() -> None:
    nftables = Nftables()
    nftables.run("add table inet reef; add map inet reef m { type ipv4_addr : verdict; }", dry_run=True)
    assert nftables.listing("list ruleset") == ""
    # The same name with another type: a context that remembered the dry run would refuse it.
    nftables.run("add table inet reef; add map inet reef m { type ifname : verdict; }")
    with pytest.raises(NftablesError):
        nftables.run("add rule inet reef nowhere accept")
    nftables.run("add chain inet reef nowhere; add rule inet reef nowhere accept")


def test_probing_changes_nothing_and_tells_what_is_needed() -> None:
    with Netfilter() as netfilter:
        found = capabilities.probe(Nftables(), netfilter)
    assert sh("nft list ruleset") == ""
    names = capabilities.names(found)
    # Without these no policy could run, and every kernel that the tests run on has them.
    assert {"conntrack mark", "verdict maps", "time", "nflog", "fib", "concatenated intervals"} <= names
    lacking = [capability for capability in found if not capability.available]
    assert all("not on this kernel (" in capability.words for capability in lacking)
    needed = capabilities.with_need(found, ("fib",))
    assert [capability.name for capability in needed if capability.needed_by] == ["fib"]


def bundle(*routes: Route, addresses: tuple[InterfaceAddress, ...] = (), **sysctls: str) -> Bundle:
    return Bundle(
        "s",
        1,
        0,
        "a",
        "r",
        0.0,
        "",
        {},
        Ruleset(),
        routes=routes,
        addresses=addresses,
        sysctls={name.replace("__", "."): value for name, value in sysctls.items()},
    )


LAN = (InterfaceAddress("lan0", "10.1.0.1/24"), InterfaceAddress("lan0", "2001:db8:1::1/64"))
FULL = bundle(
    Route("192.0.2.0/24", via="10.1.0.9"),
    Route("2001:db8:2::/48", via="2001:db8:1::9", metric=5),
    Route("0.0.0.0/0", via="10.1.0.9"),
    Route("10.9.0.0/16", blackhole=True),
    Route("198.51.100.0/24", interface="wan0"),
    addresses=LAN,
    net__ipv4__ip_forward="1",
)


def test_addresses_routes_and_sysctls_follow_the_bundle() -> None:
    routing = Routing()
    network = Network(routing)
    network.check(FULL)
    network.commit(None, FULL)
    assert "10.1.0.1/24" in sh("ip -o -4 addr show lan0")
    assert "2001:db8:1::1/64" in sh("ip -o -6 addr show lan0")
    table = sh("ip route; ip -6 route")
    for words in (
        "192.0.2.0/24 via 10.1.0.9 dev lan0",
        "default via 10.1.0.9",
        "blackhole 10.9.0.0/16",
        "198.51.100.0/24 dev wan0",
        "2001:db8:2::/48 via 2001:db8:1::9",
    ):
        assert words in table
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    held = routing.routes()
    network.commit(FULL, FULL)  # nothing to do
    assert routing.routes() == held
    sh("ip route add 203.0.113.0/24 via 10.1.0.9")
    network.commit(FULL, bundle(addresses=LAN[:1]))
    assert routing.routes() == set()
    assert "203.0.113.0/24" in sh("ip route")  # somebody else's route is none of ours
    assert "2001:db8:1::1" not in sh("ip -6 addr")


def test_no_interface_of_a_zone_sends_redirects() -> None:
    """The kernel sends them where `all` or the interface says so, and an interface says so from its beginning."""

    def sends(interface: str) -> str:
        return Path(f"/proc/sys/net/ipv4/conf/{interface}/send_redirects").read_text().strip()

    assert (sends("lan0"), sends("wan0")) == ("1", "1")
    said = bundle(net__ipv4__conf__all__send_redirects="0", net__ipv4__conf__default__send_redirects="0")
    zones = (ZoneInfo("lan", ("lan0", "not-yet")), ZoneInfo("internet", ("wan0",)))
    said = msgspec.structs.replace(said, zones=zones)
    network = Network(Routing())
    network.check(said)
    network.commit(None, said)
    assert (sends("lan0"), sends("wan0")) == ("0", "0")
    sh("ip link add later type veth peer name later-peer")
    try:
        assert sends("later") == "0"
    finally:
        sh("ip link del later")


def test_what_cannot_be_done_is_undone() -> None:
    routing = Routing()
    network = Network(routing)
    network.commit(None, FULL)
    before = sh("ip -o addr | sort; ip route; ip -6 route")
    wrong = bundle(
        Route("192.0.2.0/25", via="10.1.0.9"),
        Route("203.0.113.0/24", via="172.31.0.1"),  # on no network of ours
        addresses=(InterfaceAddress("wan0", "10.2.0.1/24"),),
        net__ipv4__ip_forward="0",
    )
    with pytest.raises(NetworkRefused, match="unreachable"):
        network.commit(FULL, wrong)
    assert sh("ip -o addr | sort; ip route; ip -6 route") == before
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"


def test_every_missing_interface_and_setting_is_told() -> None:
    wrong = bundle(
        Route("192.0.2.0/24", interface="lte0"),
        addresses=(InterfaceAddress("dmz0", "10.3.0.1/24"),),
        net__ipv4__no_such_setting="1",
    )
    with pytest.raises(NetworkRefused) as refused:
        Network(Routing()).check(wrong)
    assert len(refused.value.problems) == 3
    assert "this box has lan0, lo, wan0" in str(refused.value)


def test_an_interface_that_comes_later_gets_what_is_its_own() -> None:
    network = Network(Routing())
    late = bundle(Route("192.0.2.0/24", via="10.3.0.9"), addresses=(InterfaceAddress("dmz0", "10.3.0.1/24"), *LAN))
    missing = network.settle(late)
    assert any("no interface dmz0" in words for words in missing)
    assert "10.1.0.1/24" in sh("ip -o addr")
    sh("ip link add dmz0 type veth peer name dmz0p; ip link set dmz0 up; ip link set dmz0p up")
    assert network.settle(late) == ()
    assert "192.0.2.0/24 via 10.3.0.9 dev dmz0" in sh("ip route")


def test_flowtables_take_the_interfaces_that_are_there() -> None:
    ruleset = Ruleset(flowtables={"fast": Flowtable(("lan0", "lte0", "wan0"))})
    assert present_devices(ruleset).flowtables["fast"].devices == ("lan0", "wan0")


def test_sets_of_interface_numbers_take_the_interfaces_that_are_there() -> None:
    elements = {'0x1 . "lan0" . "lte0"': "", '0x1 . "lan0" . "wan0"': "", '0x1 . "lte0" . "wan0"': ""}
    numbers = Set("type mark . iface_index . iface_index", elements=elements)
    names = Set("type mark . ifname . ifname", elements=elements)
    held = present_devices(Ruleset(sets={"numbers": numbers, "names": names}))
    assert list(held.sets["numbers"].elements) == ['0x1 . "lan0" . "wan0"']
    assert held.sets["names"] == names


def test_connections_are_seen_looked_up_and_decided_anew(netfilter: Netfilter) -> None:
    sh("sysctl -qw net.netfilter.nf_conntrack_acct=1")
    conntrack = Conntrack(netfilter)
    watch = Events(GROUP_NEW, GROUP_DESTROY)
    clients = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener = socket.create_server((address, 5000), family=family)
        client = socket.create_connection((address, 5000))
        server, _ = listener.accept()
        client.sendall(b"word")
        assert server.recv(16) == b"word"
        clients.append((listener, client, server))
        wanted = session_tuple(f"{address} {client.getsockname()[1]} {address} 5000")
        assert wanted is not None
        flow = conntrack.lookup(wanted)
        assert flow is not None
        assert (flow.mark, flow.rule, flow.state, flow.original) == (0x40007, 7, "established", wanted)
        assert min(flow.packets) >= 1
        assert conntrack.decide_anew(flow)
        assert (after := conntrack.lookup(wanted)) is not None
        assert after.mark == 0
        client.sendall(b"again")
        assert (after := conntrack.lookup(wanted)) is not None
        assert after.mark == 0x40007  # the ruleset decided again
    assert len(conntrack.flows(7)) == 2
    assert conntrack.flows(8) == []
    assert conntrack.decide_rule_anew(7) == 2
    sh("ping -c 1 127.0.0.1; ping -c 1 ::1")
    protocols = {flow.original.protocol for flow in conntrack.flows()}
    assert {1, 6, 58} <= protocols
    for flow in conntrack.flows():
        assert conntrack.delete(flow)
        assert not conntrack.delete(flow)
        assert not conntrack.decide_anew(flow)
    assert conntrack.flows() == []
    seen = list(watch.read())
    watch.close()
    ended = [flow for gone, flow in seen if gone]
    assert {flow.original.protocol for flow in ended} == {1, 6, 58}
    assert len([flow for gone, flow in seen if not gone]) == len(ended)
    assert all(flow.packets[0] >= 1 for flow in ended)


def test_the_kernels_own_name_for_a_route_without_interface_is_the_same_route() -> None:
    routing = Routing()
    links = routing.links()
    routing.add_address(Address(links["lan0"].index, "10.1.0.1/24"))
    wanted = wanted_route(Route("192.0.2.0/24", via="10.1.0.9"), links)
    routing.add_route(wanted)
    assert [route.index for route in routing.routes()] == [links["lan0"].index]
    with pytest.raises(NetlinkError) as refused:
        routing.add_route(wanted)
    assert refused.value.errno == 17
    with pytest.raises(KeyError):
        wanted_route(Route("192.0.2.0/24", interface="lte0"), links)
