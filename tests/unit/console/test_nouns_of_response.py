"""Whom a ban would hold, whom a word finds on the allow-list, which devices are held."""

from __future__ import annotations

import pytest

from appliance.console.api import bans, devices
from appliance.control.messages.bans import AllowEntry
from appliance.control.messages.devices import QuarantinedZone, QuarantineReport
from appliance.control.messages.watch import DeviceInfo


@pytest.mark.parametrize(
    ("addresses", "host", "held"),
    [
        (("203.0.113.9",), "203.0.113.9", True),
        (("192.0.2.1", "203.0.113.0/24"), "203.0.113.9", True),
        (("203.0.113.1-203.0.113.9",), "203.0.113.9", True),
        (("203.0.113.1-203.0.113.8",), "203.0.113.9", False),
        (("2001:db8::/32",), "2001:db8::7", True),
        (("2001:db8::1-2001:db8::9",), "203.0.113.9", False),
        (("nothing", "203.0.113.300", "a-b"), "203.0.113.9", False),
        (("203.0.113.0/24",), "", False),
    ],
)
def test_whether_a_ban_would_hold_who_asks_for_it(addresses: tuple[str, ...], host: str, held: bool) -> None:
    assert bans.holds(addresses, host) is held


def test_the_allow_list_is_found_by_address_and_by_words() -> None:
    entry = AllowEntry("192.0.2.0/24", "amara", "noc", "Our monitoring")
    assert all(bans.says(entry, word) for word in ("", "192.0.2.77", "192.0.", "MONITOR", "amara", "noc"))
    assert not any(bans.says(entry, word) for word in ("192.0.3.1", "ben"))


def test_who_is_held_is_whom_nobody_accepted_in_a_zone_that_holds() -> None:
    seen = [DeviceInfo(f"b8:27:eb:00:00:0{n}", "unknown", 1, 2, zone) for n, zone in enumerate(("lan", "lan", "dmz"))]
    report = QuarantineReport((seen[0].mac,), (QuarantinedZone("lan", 3),))
    assert [one.quarantined for one in devices.with_quarantine(seen, report)] == [False, True, False]


def test_a_word_finds_a_device_by_all_that_is_known_of_it() -> None:
    one = DeviceInfo("b8:27:eb:01:02:03", "unknown", 1, 2, "lan", "Raspberry Pi", ("kiosk",), ("10.20.0.9",))
    assert all(devices.says(one, word) for word in ("", "EB:01", "lan", "raspberry", "kiosk", "10.20.0.9"))
    assert not devices.says(one, "printer")
