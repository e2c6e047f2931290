"""Each detection: it finds what it is for, says it in words, and is silent where there is nothing."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from jsonschema.validators import validator_for

from appliance.events import record
from appliance.policy.detections import NAMES, Detections, Exemption, Hosts, Thresholds
from dataplane.detections import bounds, finding, makers
from dataplane.detections.devices import Devices
from dataplane.detections.finding import KINDS, Finding
from dataplane.detections.makers import Makers
from dataplane.detections.seen import Conversation, Login, Neighbour, Question, Seen
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.watch import Kept, Watch
from tests.unit.detections import scenes
from tests.unit.detections.scenes import START, address, around, conversation, no_answer, refused, reset, told

AT_ONCE = Detections(learning=0)
WORDS = Path(__file__).resolve().parents[2] / "golden" / "detections"
HOUR = 3600.0


def watch(settings: Detections = AT_ONCE, kept: Kept | None = None) -> Watch:
    register = makers.read([['MA-L,B827EB,Raspberry Pi Foundation,"Mitchell Wood House, Caldecote"']])
    return Watch(settings, around(), register, kept)


def shared() -> Iterable[Seen]:
    for number in range(40):
        for user in ("root", "admin"):
            yield Login(
                START + number, "imap", address(f"198.51.100.{number}"), address("10.30.0.7"), 993, True, user
            )


def poisoned() -> Iterable[Seen]:
    for number in range(8):
        mac = "b8:27:eb:01:02:03" if number % 2 else "b8:27:eb:0a:0b:0c"
        yield scenes.newcomer(mac, number * 5.0, "10.20.0.1")


SCENES: dict[str, Callable[[], Iterable[Seen]]] = {
    "port-scan": scenes.port_scan,
    "host-scan": scenes.host_scan,
    "guessing": scenes.guessing,
    "shared-guessing": shared,
    "beacon": scenes.beacon,
    "dns-tunnel": scenes.tunnel,
    "dga": scenes.made_up,
    "new-device": lambda: [scenes.newcomer()],
    "new-service": lambda: [conversation("192.0.2.66", "10.30.0.5", 8080, 0, app="http")],
    "upload": lambda: [scenes.upload()],
    "moved-address": poisoned,
}


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_it_finds_what_it_is_for_and_says_so(kind: str) -> None:
    found = [one for one in told(watch(), SCENES[kind]()) if one.kind == kind]
    assert len(found) == 1
    said = f"{found[0].words}.\n\n{found[0].remedy}.\n"
    golden = WORDS / f"{kind}.txt"
    if os.environ.get("REEF_GOLDEN") == "write":
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")
    assert found[0].seen >= found[0].threshold


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_its_event_is_valid_eve_and_carries_all_of_it(kind: str, peer_data: Path) -> None:
    found = next(one for one in told(watch(), SCENES[kind]()) if one.kind == kind)
    event = finding.event(found, "site")
    line = record.encode(event)
    schema = json.loads((peer_data / "eve-schema" / "schema.json").read_text(encoding="utf-8"))
    assert [error.message for error in validator_for(schema)(schema).iter_errors(json.loads(line))] == []
    assert finding.of_event(record.decode(line)) == found


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_it_is_silent_where_it_is_off(kind: str) -> None:
    off = msgspec.structs.replace(AT_ONCE, off=(kind,))
    assert not [one for one in told(watch(off), SCENES[kind]()) if one.kind == kind]
    assert told(watch(Detections(on=False)), SCENES[kind]()) == []


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.name != "shared-guessing"])
def test_a_host_is_exempted_until_its_day(kind: str) -> None:
    everyone = (Hosts(4, 0, 2**32 - 1),)
    late = msgspec.structs.replace(AT_ONCE, exemptions=(Exemption("E-1", everyone, (kind,), until=START - 1),))
    open_ended = msgspec.structs.replace(AT_ONCE, exemptions=(Exemption("E-1", everyone, (kind,)),))
    exempted = watch(open_ended)
    assert not [one for one in told(exempted, SCENES[kind]()) if one.kind == kind]
    assert exempted.kept_back > 0
    assert [one for one in told(watch(late), SCENES[kind]()) if one.kind == kind]


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.name not in ("new-device", "new-service")])
def test_what_was_told_is_not_told_again_after_a_restart(kind: str) -> None:
    seldom = msgspec.structs.replace(AT_ONCE, thresholds=Thresholds(again=10 * 86400))
    first = watch(seldom)
    assert [one for one in told(first, SCENES[kind]()) if one.kind == kind]
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(first.kept()), type=Kept)
    assert not [one for one in told(watch(seldom, kept), SCENES[kind]()) if one.kind == kind]


def test_devices_and_services_are_known_after_a_restart() -> None:
    first = watch()
    scene: list[Seen] = [scenes.newcomer(), conversation("192.0.2.66", "10.30.0.5", 8080, 0)]
    assert {one.kind for one in told(first, scene)} == {"new-device", "new-service"}
    assert told(watch(kept=first.kept()), scene) == []


def test_several_logins_in_one_connection_of_ssh_count_by_its_length() -> None:
    """hydra -t 4 against OpenSSH: four connections at a time, six passwords in each."""
    found = [one for one in told(watch(), scenes.patient_guessing()) if one.kind != "new-service"]
    assert [one.kind for one in found] == ["guessing"]
    assert found[0].seen == 15 and found[0].time - START < 40
    assert "began 5 conversations with ssh" in found[0].words and "at least 15 logins" in found[0].words


def test_an_arp_sweep_is_a_host_scan_of_the_own_network() -> None:
    found = told(watch(), scenes.arp_sweep())
    assert [one.kind for one in found] == ["host-scan"]
    said = f"{found[0].words}.\n\n{found[0].remedy}.\n"
    golden = WORDS / "host-scan-arp.txt"
    if os.environ.get("REEF_GOLDEN") == "write":
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")
    assert found[0].offender == "10.20.0.9" and found[0].device == "b8:27:eb:01:02:03"


# --- silence where there is nothing --------------------------------------------------------------------


def test_people_who_browse_are_nothing() -> None:
    seen = sorted(
        itertools.chain.from_iterable(scenes.browsing(f"10.20.1.{host}", host) for host in range(1, 9)),
        key=lambda one: one.time,
    )
    assert len(seen) > 5000
    assert told(watch(), seen) == []


def test_long_connections_of_ssh_from_inside_count_once_each() -> None:
    found = told(watch(), scenes.patient_guessing(client="10.20.0.9"))
    assert [one.kind for one in found] == ["new-service"]


def test_who_asks_by_arp_for_devices_that_are_there_sweeps_nothing() -> None:
    shown = [scenes.newcomer(f"b8:27:eb:00:00:{host:02x}", 0.0, f"10.20.7.{host}") for host in range(1, 100)]
    quiet = watch(msgspec.structs.replace(AT_ONCE, learning=86400))
    assert told(quiet, [*shown, *scenes.arp_sweep(hosts=99)]) == []
    assert told(quiet, scenes.arp_sweep(hosts=30, first=100, began=400.0)) != []
    assert told(watch(), scenes.arp_sweep(hosts=19)) == []
    again = [one for at in range(100) for one in scenes.arp_sweep(hosts=5, began=at * 3.0)]
    assert told(watch(), again) == [], "a few dead hosts, asked for all the time"


def test_a_client_with_a_dead_server_is_no_scan() -> None:
    assert told(watch(), (no_answer("10.20.0.9", "10.30.0.5", 443, at) for at in range(500))) == []


def test_a_source_that_mostly_gets_what_it_asks_for_is_no_host_scan() -> None:
    def monitoring() -> Iterable[Seen]:
        for host in range(1, 200):
            yield conversation("10.20.0.9", f"10.20.7.{host}", 161, host, phase="answered")
            if host % 4 == 0:
                yield no_answer("10.20.0.9", f"10.20.8.{host}", 161, host)

    assert told(watch(), monitoring()) == []


def test_ports_below_the_threshold_or_over_a_long_time_are_no_scan() -> None:
    assert told(watch(), (refused("192.0.2.66", "10.30.0.5", port, port) for port in range(1, 15))) == []
    assert told(watch(), (refused("192.0.2.66", "10.30.0.5", port, port * 60.0) for port in range(1, 90))) == []


def test_resets_and_silence_count_as_refusals_do() -> None:
    for fails in (reset, no_answer, refused):
        scene = (fails("10.20.0.9", "10.30.0.5", port, port * 0.1) for port in range(1, 30))
        assert [one.kind for one in told(watch(), scene)] == ["port-scan"], fails


def test_a_sweep_of_echo_requests_is_a_host_scan() -> None:
    scene = (
        msgspec.structs.replace(no_answer("10.20.0.9", f"10.20.7.{host}", 8, host * 0.1, protocol=1), port=8)
        for host in range(1, 40)
    )
    found = told(watch(), scene)
    assert [one.kind for one in found] == ["host-scan"]
    assert "sent an echo request to 20 hosts" in found[0].words


def test_a_scan_from_outside_may_be_anothers_address() -> None:
    assert told(watch(), scenes.port_scan("192.0.2.66"))[0].confidence == "medium"
    assert told(watch(), scenes.port_scan("10.20.0.9"))[0].confidence == "high"


def test_a_traceroute_is_no_scan() -> None:
    scene = (no_answer("10.20.0.9", "192.0.2.1", 33434 + hop, hop * 0.1, protocol=17) for hop in range(90))
    assert told(watch(), scene) == []


def test_long_sessions_beside_the_short_are_no_guessing() -> None:
    def automation() -> Iterable[Seen]:
        for number in range(200):
            long = number % 2 == 0
            yield conversation(
                "10.20.0.9", "10.30.0.5", 22, number * 2.0, app="ssh", sent=90_000 if long else 3000, received=3000
            )

    settings = msgspec.structs.replace(AT_ONCE, off=("new-service",))
    assert told(watch(settings), automation()) == []


def test_logins_that_succeed_are_no_guessing() -> None:
    scene = (Login(START + n, "http", address("10.20.0.9"), address("10.30.0.7"), 80, n % 3 == 0) for n in range(300))
    assert told(watch(), scene) == []


def test_an_uneven_caller_a_popular_service_and_time_keeping_are_no_beacon() -> None:
    assert told(watch(), scenes.beacon(jitter=1.6)) == []
    house = itertools.chain.from_iterable(
        zip(*(list(scenes.beacon(f"10.20.0.{n}")) for n in range(1, 7)), strict=True)
    )
    assert told(watch(), house) == []
    ntp = (scenes.udp("10.20.0.9", "203.0.113.9", 123, n * 64.0, "ntp") for n in range(200))
    assert told(watch(), ntp) == []


def test_names_of_a_network_of_content_are_no_tunnel() -> None:
    def asked() -> Iterable[Seen]:
        for number in range(3000):
            name = f"img{number % 400}.cdn{number % 7}.example.com"
            yield Question(START + number, address("10.20.0.9"), address("10.20.0.53"), name, "A")
            reverse = f"{number % 250}.{number // 250}.20.10.in-addr.arpa"
            yield Question(START + number, address("10.20.0.9"), address("10.20.0.53"), reverse, "PTR")

    assert told(watch(), asked()) == []


@pytest.mark.parametrize(
    "name",
    ["google.com", "wikipedia.org", "stackoverflow.com", "bundesregierung.de", "nytimes.com", "microsoftonline.com",
     "cloudflare.com", "gov.uk", "windowsupdate.com", "spotify.com", "raiffeisen.at", "xn--mnchen-3ya.de",
     "ministerofhealth.org", "elpais.com", "rijksoverheid.nl"],
)  # fmt: skip
def test_names_that_people_gave_do_not_look_made_up(name: str) -> None:
    from dataplane.detections.domains import made_up

    assert not made_up(name)


def test_typing_errors_are_no_made_up_names() -> None:
    names = ("gogle", "facebok", "wikpedia", "amazn", "yotube", "twiter", "linkdin", "redit", "netflx", "ebya")

    def asked() -> Iterable[Seen]:
        for number, (name, top) in enumerate(itertools.product(names, ("com", "org", "net", "info"))):
            question = Question(START + number, address("10.20.0.9"), address("10.20.0.53"), f"{name}.{top}", "A")
            yield msgspec.structs.replace(question, rcode="NXDOMAIN")

    assert told(watch(), asked()) == []


def test_a_host_that_always_sends_much_is_measured_by_itself() -> None:
    # A backup of 3 GiB each hour is the baseline; 10 GiB are not five times that, 20 are.
    off = msgspec.structs.replace(AT_ONCE, off=("beacon",))
    usual = [scenes.upload(gibibytes=3.0, at=n * HOUR, flow=n) for n in range(1, 49)]
    assert told(watch(off), usual) == []
    assert told(watch(off), [*usual, scenes.upload(gibibytes=10.0, at=50 * HOUR, flow=90)]) == []
    assert [one.kind for one in told(watch(off), [*usual, scenes.upload(gibibytes=20.0, at=50 * HOUR, flow=90)])] == [
        "upload"
    ]


def test_a_long_upload_is_told_while_it_goes_on_and_counted_once() -> None:
    def parts(size: float) -> Iterable[Conversation]:
        for number in range(1, 7):
            part = scenes.upload(gibibytes=size * number / 6, at=number * 60.0, flow=7)
            yield msgspec.structs.replace(part, phase="goes-on" if number < 6 else "ended")

    assert [one.kind for one in told(watch(), parts(6.0))] == ["upload"]
    assert told(watch(), parts(3.5)) == []


def test_in_the_time_of_learning_the_new_is_noted_only() -> None:
    learning = watch(Detections(learning=1000))
    assert told(learning, [scenes.newcomer(), conversation("192.0.2.66", "10.30.0.5", 8080, 10)]) == []
    assert [device.state for device in learning.devices.all()] == ["learned"]
    later: list[Seen] = [
        scenes.newcomer("b8:27:eb:09:09:09", 2000.0),
        conversation("192.0.2.66", "10.30.0.5", 8081, 2000),
    ]
    assert [one.kind for one in told(learning, later)] == ["new-device", "new-service"]


def test_a_device_is_in_the_zone_of_its_line_whatever_address_it_has() -> None:
    """A link-local address is of no zone, and a host of the LAN may claim one of the Internet."""
    lines = {3: "lan"}
    seeing = Devices(Surroundings(scenes.SITE, {"internet"}, lines=lines), Makers(), 0.0)
    mac = "b8:27:eb:01:02:03"
    (found,) = seeing.look(Neighbour(START, 3, "nd", mac, address("fe80::1"), ""))
    assert "in zone lan with address fe80::1" in found.words
    list(seeing.look(Neighbour(START, 3, "arp", mac, address("203.0.113.9"), "")))
    assert seeing.all()[0].zone == "lan"
    lines.clear()  # not known: by its address
    list(seeing.look(Neighbour(START, 3, "nd", mac, address("fe80::1"), "")))
    assert seeing.all()[0].zone == "lan"
    list(seeing.look(Neighbour(START, 3, "arp", mac, address("10.30.0.9"), "")))
    assert seeing.all()[0].zone == "dmz"


def test_a_device_is_accepted_and_can_be_forgotten() -> None:
    seeing = watch()
    told(seeing, [scenes.newcomer()])
    accepted = seeing.devices.accept("B8:27:EB:01:02:03", "officer")
    assert accepted is not None
    assert (accepted.state, accepted.by) == ("accepted", "officer")
    assert seeing.devices.accept("b8:27:eb:ff:ff:ff", "officer") is None
    assert seeing.devices.forget("b8:27:eb:01:02:03") is not None
    assert [one.kind for one in told(seeing, [scenes.newcomer(at=9000.0)])] == ["new-device"]


# --- bad days --------------------------------------------------------------------------------------------


def test_a_flood_of_sources_does_not_push_out_who_is_counted_already() -> None:
    def flood() -> Iterable[Seen]:
        for port in range(1, 10):
            yield refused("192.0.2.66", "10.30.0.5", port, 0.0)
        for number in range(3 * bounds.SCANNERS):
            yield refused(f"100.{number >> 16}.{number >> 8 & 255}.{number & 255}", "10.30.0.5", 80, number * 0.001)
        for port in range(10, 30):
            yield refused("192.0.2.66", "10.30.0.5", port, 60.0)

    assert "192.0.2.66" in {one.offender for one in told(watch(), flood()) if one.kind == "port-scan"}


def test_a_flood_of_devices_stays_within_its_bound_and_keeps_the_accepted() -> None:
    seeing = watch()
    told(seeing, [scenes.newcomer()])
    seeing.devices.accept("b8:27:eb:01:02:03", "officer")
    for number in range(bounds.DEVICES + 500):
        mac = f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        seeing.look(scenes.newcomer(mac, 1.0 + number * 0.01))
    assert len(seeing.devices.all()) == bounds.DEVICES
    assert seeing.devices.all()[0].state == "accepted"


def test_a_clock_that_is_set_back_or_forth_neither_silences_nor_floods() -> None:
    seeing = watch()
    assert [one.kind for one in told(seeing, scenes.port_scan("192.0.2.1"))] == ["port-scan"]
    back = [msgspec.structs.replace(one, time=one.time - 86400, start=one.start - 86400)
            for one in scenes.port_scan("192.0.2.2")]  # fmt: skip
    assert [one.kind for one in told(seeing, back)] == ["port-scan"]
    assert told(seeing, back) == []
    far = [msgspec.structs.replace(one, time=one.time + 10 * 86400, start=one.start + 10 * 86400)
           for one in scenes.port_scan("192.0.2.3")]  # fmt: skip
    assert [one.kind for one in told(seeing, far)] == ["port-scan"]


def test_what_comes_late_sets_no_clock() -> None:
    """Connections that end by a time-out are told minutes later, in the middle of what happens now, which itself is
    a little out of order when several threads tell it."""
    seeing = watch()
    for second in range(600):
        told(seeing, [conversation("10.20.0.5", "192.0.2.80", 443, second)])
        told(seeing, [conversation("10.20.0.5", "192.0.2.81", 443, second - 90 - second % 50) for _ in range(3)])
        told(seeing, [conversation("10.20.0.5", "192.0.2.80", 443, second - 0.01)])
    now = [msgspec.structs.replace(one, time=one.time + 600, start=one.start + 600) for one in scenes.port_scan()]
    (found,) = told(seeing, now)
    assert found.time - START < 700


def test_of_a_clock_that_was_set_back_only_the_gap_is_left_out() -> None:
    """An hour back, and nothing late comes after it: time goes on from where it was, second by second."""
    seeing = watch()
    for second in range(10):
        told(seeing, [conversation("10.20.0.5", "192.0.2.80", 443, second)])
    for second in range(300):
        told(seeing, [conversation("10.20.0.5", "192.0.2.80", 443, second - 3600)])
    late = [msgspec.structs.replace(one, time=one.time - 3300, start=one.start - 3300) for one in scenes.port_scan()]
    (found,) = told(seeing, late)
    assert START + 200 < found.time < START + 400


def test_what_goes_on_is_told_again_with_how_often() -> None:
    short = msgspec.structs.replace(AT_ONCE, thresholds=Thresholds(again=100))

    def on_and_on() -> Iterable[Seen]:
        for turn in range(20):
            for one in scenes.port_scan():
                yield msgspec.structs.replace(one, time=one.time + turn * 20)

    found = told(watch(short), on_and_on())
    assert len(found) == 4
    assert all(one.again >= 3 for one in found[1:])


def test_every_kind_has_its_own_number_and_scene() -> None:
    assert len({kind.number for kind in KINDS}) == len(KINDS)
    assert set(SCENES) == {kind.name for kind in KINDS} == set(NAMES)
    assert isinstance(next(iter(told(watch(), scenes.port_scan()))), Finding)
