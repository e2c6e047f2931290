"""Whatever comes, nothing grows beyond its bound, and nothing raises."""

from __future__ import annotations

from collections.abc import Sized
from ipaddress import ip_address

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy.detections import Detections, Thresholds
from dataplane.detections import bounds
from dataplane.detections.finding import KIND
from dataplane.detections.seen import Conversation, Login, Neighbour, Question, Seen
from dataplane.detections.table import Table
from dataplane.detections.watch import Kept, Watch
from tests.unit.detections.scenes import START, around

SMALL = {"SCANNERS": 8, "SCAN_TARGETS": 6, "GUESSERS": 8, "GUESSED_SERVICES": 4, "GUESSING_SOURCES": 5,
         "BEACON_PAIRS": 8, "BEACON_TIMES": 6, "POPULAR": 4, "POPULAR_HOSTS": 3, "DNS_DOMAINS": 6, "DNS_NAMES": 5,
         "DNS_CLIENTS": 4, "DNS_UNKNOWN": 5, "DEVICES": 6, "DEVICE_ADDRESSES": 3, "DEVICE_NAMES": 2, "SERVICES": 8,
         "SERVICES_OF_HOST": 3, "VOLUME_HOSTS": 5, "GOING_ON": 4, "TOLD": 6, "ADDRESSES": 16}  # fmt: skip
LOW = Thresholds(
    scan_ports=4, scan_hosts=4, guessing=3, guessing_sources=3, beacon_times=4, beacon_seconds=10, tunnel_names=4,
    tunnel_bytes=40, dga_domains=3, upload_bytes=1000, again=50,
)  # fmt: skip

ADDRESSES = st.sampled_from(
    [ip_address(text).packed for text in ("10.20.0.1", "10.20.0.2", "10.30.0.5", "192.0.2.1", "192.0.2.2",
                                          "224.0.0.251", "255.255.255.255", "0.0.0.0", "fe80::1", "2001:db8::1")]
) | st.binary(min_size=4, max_size=4)  # fmt: skip
TIMES = st.floats(START - 100_000, START + 1_000_000)
COUNTS = st.integers(0, 2**40)
CONVERSATIONS = st.builds(
    Conversation, phase=st.sampled_from(["refused", "answered", "goes-on", "ended"]), time=TIMES, start=TIMES,
    protocol=st.sampled_from([1, 6, 17, 47, 58, 132]), client=ADDRESSES, client_port=st.integers(0, 65535),
    server=ADDRESSES, port=st.integers(0, 65535), flow=st.integers(0, 50), app=st.sampled_from(["", "ssh", "tls"]),
    sent=COUNTS, received=COUNTS, packets_sent=COUNTS, packets_received=COUNTS, flags_sent=st.integers(0, 255),
    flags_received=st.integers(0, 255),
)  # fmt: skip
NAMES = st.text("abcz019.-", max_size=80)
SEEN = st.one_of(
    CONVERSATIONS,
    st.builds(Login, TIMES, st.sampled_from(["ssh", "sip"]), ADDRESSES, ADDRESSES, st.integers(0, 9999),
              st.booleans(), st.text(max_size=5)),
    st.builds(Question, TIMES, ADDRESSES, ADDRESSES, NAMES, st.sampled_from(["A", "TXT"]),
              st.sampled_from(["", "NXDOMAIN", "NOERROR"])),
    st.builds(Neighbour, TIMES, st.integers(0, 9), st.sampled_from(["arp", "nd", "dhcp", "mdns"]),
              st.just("") | st.from_regex(r"\A[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z"), ADDRESSES | st.just(b""), NAMES),
)  # fmt: skip


def sizes(value: object, seen: set[int]) -> int:
    """The largest container anywhere below a value."""
    if id(value) in seen or isinstance(value, str | bytes):
        return 0
    seen.add(id(value))
    largest = len(value) if isinstance(value, dict | list | set) else 0
    inside: list[object] = []
    if isinstance(value, dict):
        inside = [*value.keys(), *value.values()]
    elif isinstance(value, list | set | tuple):
        inside = list(value)
    elif isinstance(value, msgspec.Struct):
        inside = [getattr(value, name) for name in value.__struct_fields__]
    elif type(value).__module__.startswith("dataplane.detections"):
        inside = list(vars(value).values())
    return max([largest, *(sizes(one, seen) for one in inside)])


@given(st.lists(SEEN, max_size=150))
@settings(max_examples=150, deadline=None)
def test_nothing_grows_and_everything_told_explains_itself(scene: list[Seen]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(bounds, name, value)
        watch = Watch(Detections(learning=0, thresholds=LOW), around())
        for seen in scene:
            for found in watch.look(seen):
                assert found.kind in KIND
                assert found.words.endswith(("on", "once"))
                assert found.remedy
                assert found.seen >= found.threshold
        kept = msgspec.msgpack.decode(msgspec.msgpack.encode(watch.kept()), type=Kept)
        assert sizes(watch, set()) <= 18  # the state's largest is twice the devices, or the limit of targets
        again = Watch(Detections(learning=0, thresholds=LOW), around(), kept=kept)
        assert again.kept() == msgspec.structs.replace(kept)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(0, 5)), max_size=300))
def test_a_table_holds_what_it_says(steps: list[tuple[int, int, int]]) -> None:
    table: Table[int, int] = Table(10, 20.0)
    now = 0.0
    held: dict[int, float] = {}
    for key, value, passes in steps:
        now += passes
        found = table.get(key, now)
        if found is not None:
            assert now - held[key] <= 20.0
        table.put(key, value, now, float(value))
        held[key] = now
        assert table.get(key, now) == value
        assert len(table) <= 10
        assert len(dict(table.items())) == len(table)


def test_a_table_without_room_for_one_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Table[int, int](0, 1.0)


def test_what_is_worth_something_stays() -> None:
    table: Table[int, str] = Table(50, 1000.0)
    for key in range(10):
        table.put(key, "worth", 0.0, 5.0)
    for key in range(1000, 3000):
        table.put(key, "flood", 1.0)
    assert all(table.get(key, 2.0) == "worth" for key in range(10))
    assert isinstance(table, Sized)
