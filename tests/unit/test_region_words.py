"""Traffic in the policy's own names: few lines, nothing left out."""

from __future__ import annotations

import random

import msgspec
import pytest

from appliance.policy.addresses import literal, normal
from appliance.policy.decide import Packet
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy, Range
from appliance.policy.proving.cuboids import Cuboid, fused, minus, minus_all
from appliance.policy.proving.lexicon import ANY_SERVICE, Lexicon, networks, words_of_service
from appliance.policy.proving.proof import Change, Region, Witness
from appliance.policy.proving.traffic import Traffic, alike, lines_of, packet_words, together, traffic_of, words

V4, V6 = Range(4, 0, 2**32 - 1), Range(6, 0, 2**128 - 1)
TEXT = """reef: 1
site: words
timezone: America/Belize
zones:
  internet: {interfaces: [wan0], external: no}
  lan: {interfaces: [lan0], networks: [10.20.0.0/16, 2001:db8:20::/48]}
  dmz: {role: dmz, interfaces: [dmz0], networks: [10.21.0.0/24]}
objects:
  staff-net: {networks: [10.20.4.0/22]}
  desk: {addresses: [10.20.4.7, "2001:db8:20::7"]}
  records: {addresses: [10.21.0.10, 10.21.0.12]}
services:
  web: [tcp/80, tcp/443]
people:
  a: {name: A}
  b: {name: B}
  c: {name: C}
groups: {staff: [a, b]}
"""
POLICY, _ = parse(TEXT, "t.yaml", inherited={})
LEXICON = Lexicon(POLICY)


def ranges(*said: str) -> tuple[Range, ...]:
    return normal([literal(one) for one in said])


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (["0.0.0.0/0", "::/0"], []),
        (["0.0.0.0/0"], ["any IPv4 address"]),
        (["10.20.4.0/22"], ["staff-net"]),
        (["10.20.4.7"], ["10.20.4.7"]),
        (["10.20.4.7", "2001:db8:20::7"], ["desk"]),
        (["10.20.4.0/22", "10.21.0.10", "10.21.0.12"], ["staff-net", "records"]),
        (["10.20.0.0/21"], ["10.20.0.0/21"]),
        (["198.51.100.8-198.51.100.11"], ["198.51.100.8/30"]),
        (["198.51.100.8-198.51.100.13"], ["198.51.100.8/30", "198.51.100.12/31"]),
        (["198.51.100.9-198.51.100.14"], ["198.51.100.9-198.51.100.14"]),
        (["0.0.0.0-10.20.3.255", "10.20.8.0-255.255.255.255"], ["any IPv4 address but staff-net"]),
    ],
)
def test_addresses_are_named_by_the_objects_they_hold(said: list[str], wanted: list[str]) -> None:
    assert LEXICON.addresses(ranges(*said)) == wanted


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([ANY_SERVICE], []),
        ([((6, 6), (80, 80), (0, 65535)), ((6, 6), (443, 443), (0, 65535))], ["web"]),
        ([((6, 6), (443, 443), (0, 65535))], ["https"]),
        ([((6, 6), (8000, 8100), (0, 65535))], ["tcp/8000-8100"]),
        ([((1, 1), (2048, 2303), (0, 65535))], ["icmp/echo-request"]),
        ([((1, 1), (2048, 2303), (0, 65535)), ((58, 58), (32768, 33023), (0, 65535))], ["ping"]),
        ([((17, 17), (68, 68), (67, 67))], ["dhcp-reply"]),
        (minus(ANY_SERVICE, ((6, 6), (25, 25), (0, 65535))), ["any service but smtp"]),
        (minus(ANY_SERVICE, ((6, 6), (0, 65535), (0, 65535))), ["any service but tcp"]),
        ([((47, 47), (0, 65535), (0, 65535))], ["gre"]),
        ([((1, 1), (769, 769), (0, 65535))], ["icmp/host-unreachable"]),
    ],
)
def test_services_are_named_as_the_policy_would(parts: list[Cuboid], wanted: list[str]) -> None:
    assert LEXICON.services(parts) == wanted


@pytest.mark.parametrize(
    ("ids", "nobody", "said"),
    [
        ((), True, ""),
        (("a", "b"), False, "group:staff"),
        (("a", "b", "c"), False, "group:staff, c"),
        (("c",), True, "anyone but group:staff"),
        (("a", "b", "c"), True, ""),
    ],
)
def test_people_are_named_by_their_groups(ids: tuple[str, ...], nobody: bool, said: str) -> None:
    assert LEXICON.people(ids, nobody) == said


def region(source: str, destination: str, port: tuple[int, int] = (443, 443), to_zone: str = "internet") -> Region:
    return Region("lan", to_zone, literal(source), literal(destination), (6, 6), port)


def change(where: Region, new_rule: str = "R-9") -> Change:
    packet = Packet(
        where.source.version, "lan0", "wan0", where.source.first, where.destination.first, 6, 40000, where.key[0]
    )
    return Change(where, "deny", "allow", "default", new_rule, Witness(packet, where.from_zone, where.to_zone))


def test_boxes_of_one_change_are_one_line() -> None:
    changes = [
        change(region("10.20.4.0/22", "0.0.0.0/0", (80, 80))),
        change(region("10.20.4.0/22", "0.0.0.0/0")),
        change(region("10.20.4.0/22", "0.0.0.0/0", (80, 80), "dmz")),
        change(region("10.20.4.0/22", "0.0.0.0/0", (443, 443), "dmz")),
        change(region("10.20.4.7", "198.51.100.25"), "R-10"),
        change(region("2001:db8:20::7", "2001:db8:5::25"), "R-10"),
    ]
    found = [line for group in alike(changes) for line in lines_of(group, LEXICON)]
    assert [line.words for line in found] == [
        "lan staff-net -> internet, dmz, web (was denied by default, now allowed by R-9)",
        "lan desk -> internet 198.51.100.25, 2001:db8:5::25, https (was denied by default, now allowed by R-10)",
    ]
    assert found[0].example == "tcp 10.20.4.10:40000 -> 198.51.100.20:80"


def test_everything_of_both_versions_is_any_address() -> None:
    whole = [Region("lan", zone, part, part) for part in (V4, V6) for zone in POLICY.zones]
    (traffic,) = together(whole, LEXICON)
    assert words(traffic, LEXICON) == "lan -> any zone, any service"


def test_an_object_is_named_by_what_it_has_of_the_version_in_question() -> None:
    """The other side says which version it is; where neither does it is said."""
    one = region("10.20.4.0/22", "198.51.100.25")
    mail = msgspec.structs.replace(one, source=literal("10.20.4.7"))
    both = msgspec.structs.replace(one, source=literal("10.20.4.7"), destination=V4)
    assert [words(traffic_of(part), LEXICON) for part in (one, mail, both)] == [
        "lan staff-net -> internet 198.51.100.25, https",
        "lan desk -> internet 198.51.100.25, https",
        "lan desk -> internet, https, IPv4 only",
    ]


def test_what_must_hold_besides_is_said() -> None:
    one = Region(
        "lan", "internet", V4, V4, people=("a", "b"), nobody=False,
        schedules=("office",), assumed=("updates.example.org stands for the destination",),
    )  # fmt: skip
    (traffic,) = together([one], LEXICON)
    assert words(traffic, LEXICON) == (
        "lan -> internet, any service, IPv4 only, as group:staff, when office, "
        "if updates.example.org stands for the destination"
    )


def test_a_packet_says_how_it_was_sent_and_when() -> None:
    packet = Packet(4, "wan0", "dmz0", literal("198.51.100.7").first, literal("10.21.0.10").first, 6, 40000, 443)
    sent = Witness(
        packet, "internet", "dmz", 1_774_000_000, published=(literal("203.0.113.10").first, 8443), nat="P-1"
    )
    assert packet_words(sent, LEXICON) == (
        "tcp 198.51.100.7:40000 -> 203.0.113.10:8443 (P-1 leads it to 10.21.0.10:443)"
    )
    assert packet_words(sent, LEXICON, timed=True).endswith(", at Fri 2026-03-20 03:46")  # the site's clock
    ping = Packet(6, "wan0", "dmz0", 1, 2, 58, icmp_type=128)
    assert packet_words(Witness(ping, "internet", "dmz", person="a"), LEXICON) == (
        "icmpv6/echo-request ::1 -> ::2, as a"
    )


def inside(traffic: Traffic, where: Region, point: tuple[int, int, int, int]) -> bool:
    source, destination, protocol, key = point
    return (
        where.from_zone in traffic.sources
        and where.to_zone in traffic.destinations
        and any(p.version == where.source.version and p.first <= source <= p.last for p in traffic.source)
        and any(p.version == where.source.version and p.first <= destination <= p.last for p in traffic.destination)
        and any(a <= protocol <= b and c <= key <= d for (a, b), (c, d), _ in traffic.services)
    )


def test_few_lines_hold_exactly_what_many_boxes_held() -> None:
    chance = random.Random(7)

    def interval(most: int) -> tuple[int, int]:
        first = chance.randint(0, most)
        return first, chance.randint(first, most)

    for _ in range(150):
        boxes = []
        for _ in range(chance.randint(1, 7)):
            version = chance.choice([4, 6])
            (a, b), (c, d) = interval(3), interval(3)
            zone = chance.choice(["lan", "dmz"])
            protocol = chance.choice([(6, 6), (0, 255), (5, 6)])
            key = interval(3) if protocol == (6, 6) else (0, 65535)
            boxes.append(
                Region(zone, chance.choice(["lan", "dmz"]), Range(version, a, b), Range(version, c, d), protocol, key)
            )
        found = together(boxes, LEXICON)
        assert len(found) <= len(boxes)
        for version in (4, 6):
            for from_zone in ("lan", "dmz"):
                for to_zone in ("lan", "dmz"):
                    where = Region(from_zone, to_zone, Range(version, 0, 0), Range(version, 0, 0))
                    for point in (
                        (s, d, p, k) for s in range(5) for d in range(5) for p in (4, 5, 6) for k in (0, 2, 9)
                    ):
                        before = any(
                            (box.from_zone, box.to_zone, box.source.version) == (from_zone, to_zone, version)
                            and box.source.first <= point[0] <= box.source.last
                            and box.destination.first <= point[1] <= box.destination.last
                            and box.protocol[0] <= point[2] <= box.protocol[1]
                            and box.key[0] <= point[3] <= box.key[1]
                            for box in boxes
                        )
                        assert before == any(inside(traffic, where, point) for traffic in found)


def test_boxes_taken_from_boxes_leave_the_rest() -> None:
    chance = random.Random(3)
    for _ in range(300):
        whole, *taken = [
            tuple((first, chance.randint(first, 4)) for first in (chance.randint(0, 4) for _ in range(3)))
            for _ in range(4)
        ]
        left = minus_all([whole], taken)
        for point in ((x, y, z) for x in range(5) for y in range(5) for z in range(5)):
            held = [all(a <= at <= b for at, (a, b) in zip(point, box, strict=True)) for box in (whole, *taken)]
            wanted = held[0] and not any(held[1:])
            for boxes in (left, fused(left)):
                assert sum(
                    all(a <= at <= b for at, (a, b) in zip(point, box, strict=True)) for box in boxes
                ) == wanted  # fmt: skip


def test_an_interval_is_said_in_networks_where_two_say_it() -> None:
    assert networks(Range(4, 0, 2)) == ["0.0.0.0/31", "0.0.0.2"]
    assert networks(Range(4, 1, 6)) == ["0.0.0.1-0.0.0.6"]


def test_protocols_without_a_name_are_said_by_number() -> None:
    assert words_of_service(((7, 16), (0, 65535), (0, 65535))) == "proto/7-16"
    assert words_of_service(((1, 1), (3 * 256 + 1, 3 * 256 + 4), (0, 65535))) == "icmp/destination-unreachable/1-4"


def test_thousands_of_objects_do_not_make_it_slow() -> None:
    from appliance.policy.model import AddressSet, Object

    many = {
        f"o-{n}": Object(f"o-{n}", AddressSet((Range(4, 10 * 2**24 + n, 10 * 2**24 + n),))) for n in range(20_000)
    }
    lexicon = Lexicon(Policy("many", objects=many))
    assert lexicon.addresses((Range(4, 10 * 2**24 + 5, 10 * 2**24 + 5),)) == ["o-5"]
    assert len(lexicon.addresses((Range(4, 10 * 2**24, 10 * 2**24 + 2**16),))) >= 1
