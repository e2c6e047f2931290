"""Literals and interval arithmetic against the standard library's ipaddress and plain sets of numbers."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy import addresses
from appliance.policy.addresses import AddressError
from appliance.policy.model import Range

SMALL = st.integers(0, 40)
RANGES = st.lists(st.tuples(st.sampled_from([4, 6]), SMALL, SMALL).map(lambda t: Range(t[0], min(t[1:]), max(t[1:]))))


def members(ranges: tuple[Range, ...] | list[Range]) -> set[tuple[int, int]]:
    return {(item.version, number) for item in ranges for number in range(item.first, min(item.last, 60) + 1)}


@given(RANGES)
def test_a_normal_union_has_the_same_members_and_no_seams(ranges: list[Range]) -> None:
    normal = addresses.normal(ranges)
    assert members(normal) == members(ranges)
    assert list(normal) == sorted(normal)
    for left, right in itertools.pairwise(normal):
        assert left.version != right.version or left.last + 1 < right.first


@given(RANGES, RANGES)
def test_difference_and_intersection_are_those_of_sets(left: list[Range], right: list[Range]) -> None:
    a, b = addresses.normal(left), addresses.normal(right)
    assert members(addresses.intersection(a, b)) == members(a) & members(b)
    assert members(addresses.without(a, b)) == members(a) - members(b)
    for result in (addresses.intersection(a, b), addresses.without(a, b), addresses.complement(a)):
        assert addresses.normal(result) == result


def test_the_complement_of_nothing_is_every_address() -> None:
    everything = addresses.complement(())
    assert everything == (Range(4, 0, 2**32 - 1), Range(6, 0, 2**128 - 1))
    assert addresses.complement(everything) == ()


@settings(max_examples=500)
@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 128))
def test_literals_mean_what_ipaddress_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    length = min(length, address.max_prefixlen)
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    first, last = int(network[0]), int(network[-1])
    assert addresses.literal(str(network)) == Range(address.version, first, last)
    assert addresses.literal(str(address)) == Range(address.version, int(address), int(address))
    assert addresses.literal(f"{network[0]}-{network[-1]}") == Range(address.version, first, last)
    assert addresses.literal(addresses.words_of(Range(address.version, first, last))) == Range(
        address.version, first, last
    )
    assert addresses.text_of(address.version, int(address)) == str(address) or address.version == 6
    if str(network[0]) != str(address):
        with pytest.raises(AddressError, match="host bits") as refused:
            addresses.network(f"{address}/{length}")
        assert f"{addresses.text_of(network.version, first)}/{length}" in refused.value.remedy


@pytest.mark.parametrize("tail", ["33", "-1", "+8", "1" * 5_000, "0" * 5_000 + "8", "²", ""])
def test_what_is_no_length_of_a_prefix_is_refused(tail: str) -> None:
    with pytest.raises(AddressError, match="prefix length"):
        addresses.network(f"10.0.0.0/{tail}")


@settings(max_examples=1500)
@given(st.text(alphabet="0123456789abcdef:./-", max_size=20))
def test_what_ipaddress_refuses_is_refused(word: str) -> None:
    try:
        found = addresses.network(word)
    except AddressError:
        with pytest.raises(ValueError):
            ipaddress.ip_network(word)
        return
    network = ipaddress.ip_network(word)
    assert (found.first, found.last) == (int(network[0]), int(network[-1]))
