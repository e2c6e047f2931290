"""What becomes of an indicator: trust, confidence, ends, what is never blocked; and what is in force of many."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.indicators import csvin, never
from appliance.indicators.deciding import Mode, ruling
from appliance.indicators.indicator import Indicator
from appliance.indicators.inforce import InForce
from appliance.indicators.never import Never, WarningList
from appliance.indicators.values import Value
from appliance.policy.indicators import Trust

NOW = 1_800_000_000.0
TRUST = Trust(alert=30, block=80, lasting=0)
NOBODY = Never((), {}, {})


def one(*texts: str, **changes: object) -> Indicator:
    values = tuple(csvin.guessed(text) for text in texts)
    return Indicator("i", values=values, since=NOW - 10, **({"confidence": 90} | changes))  # type: ignore[arg-type]


def modes(
    indicator: Indicator, trust: Trust = TRUST, spared: Never = NOBODY, overridden: frozenset[Value] = frozenset()
) -> list[Mode]:
    made = ruling(indicator, trust, spared, overridden, NOW, NOW)
    return [mode for _, mode in made.modes]


@pytest.mark.parametrize(
    ("confidence", "trust", "mode"),
    [
        (80, TRUST, Mode.BLOCK), (79, TRUST, Mode.ALERT), (30, TRUST, Mode.ALERT), (29, TRUST, Mode.WATCH),
        (None, TRUST, Mode.ALERT), (None, Trust(block=50), Mode.BLOCK), (100, Trust(), Mode.WATCH),
        (100, Trust(alert=0), Mode.ALERT), (0, Trust(block=0), Mode.BLOCK),
    ],
)  # fmt: skip
def test_a_source_earns_its_mode(confidence: int | None, trust: Trust, mode: Mode) -> None:
    assert modes(one("192.0.2.1", confidence=confidence), trust) == [mode]


def test_what_does_not_hold_is_not_in_force_and_says_why() -> None:
    for changes, why in (
        ({"revoked": True}, "took it back"), ({"until": NOW}, "ended"), ({"since": NOW + 1}, "yet"),
        ({"values": (), "unenforced": "MATCHES"}, "MATCHES"),
    ):  # fmt: skip
        made = ruling(Indicator("i", **({"values": (Value("address", "192.0.2.1"),)} | changes)), TRUST, NOBODY,
                      frozenset(), NOW, NOW)  # fmt: skip
        assert made.modes == ()
        assert why in made.why[0][1]


def test_an_indicator_without_an_end_ends_when_the_text_says() -> None:
    made = ruling(one("192.0.2.1"), Trust(block=0, lasting=100), NOBODY, frozenset(), NOW, NOW - 50)
    assert made.until == NOW + 50
    made = ruling(one("192.0.2.1", until=NOW + 20), Trust(block=0, lasting=100), NOBODY, frozenset(), NOW, NOW - 50)
    assert made.until == NOW + 20
    assert ruling(one("192.0.2.1"), Trust(block=0, lasting=100), NOBODY, frozenset(), NOW, NOW - 100).modes == ()


LISTS = (
    WarningList("Public resolvers", "string", ("8.8.8.8", "dns.google", "2001:4860:4860::8888")),
    WarningList("Cloud", "cidr", ("203.0.113.128/25", "nonsense")),
    WarningList("Top sites", "hostname", (".www.example.org", "example.net")),
    WarningList("By pattern", "regex", ("(a+)+",)),
)
POISON = (
    "8.8.8.8", "0.0.0.0/0", "::/0", "8.8.0.0/16", "203.0.113.200", "203.0.113.0/24", "10.20.0.0/16", "10.20.3.4",
    "10.0.0.0/8", "dns.google", "www.example.org", "example.org", "https://example.net/", "127.0.0.1", "224.0.0.5",
    "255.255.255.255", "128.0.0.0/7", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)  # fmt: skip
HONEST = (
    "8.8.4.0",
    "203.0.113.1",
    "evil.example.org",
    "https://example.net/evil",
    "2001:db8::1",
    "10.21.0.1",
    "a" * 64,
)


def spared() -> Never:
    made, problems = never.never(LISTS, [(ip_network("10.20.0.0/16"), "a network of zone lan")])
    assert len(problems) == 2
    assert any("regex" in words for words in problems)
    assert any("1 of 2" in words for words in problems)
    return made


@pytest.mark.parametrize("text", POISON)
def test_poison_is_never_blocked(text: str) -> None:
    made = ruling(one(text), TRUST, spared(), frozenset(), NOW, NOW)
    assert [mode for _, mode in made.modes] == [Mode.ALERT]
    assert any("never blocked" in why for _, why in made.why)


@pytest.mark.parametrize("text", HONEST)
def test_what_no_list_names_is_blocked(text: str) -> None:
    assert modes(one(text), spared=spared()) == [Mode.BLOCK]


def test_two_persons_override_one_value_and_nothing_else() -> None:
    chosen = csvin.guessed("8.8.8.8")
    assert modes(one("8.8.8.8", "203.0.113.200"), spared=spared(), overridden=frozenset({chosen})) == [
        Mode.BLOCK, Mode.ALERT,
    ]  # fmt: skip


def test_never_is_what_a_look_at_every_list_says() -> None:
    random_ = random.Random(3)
    networks = [ip_network((random_.randrange(1 << 32), random_.randrange(12, 33)), strict=False) for _ in range(300)]
    quick = Never([(network, "listed") for network in networks], {}, {})
    for _ in range(3_000):
        asked = ip_network((random_.randrange(1 << 32), random_.randrange(8, 33)), strict=False)
        kind = "address" if asked.prefixlen == 32 else "network"
        text = str(asked.network_address) if kind == "address" else str(asked)
        assert bool(quick.why(Value(kind, text))) == any(asked.overlaps(network) for network in networks)  # type: ignore[arg-type]


def test_senders_are_not_looked_for_here() -> None:
    made = ruling(one("a@evil.example"), TRUST, NOBODY, frozenset(), NOW, NOW)
    assert made.modes == ()
    assert "sender" in made.why[0][1]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Mode))), max_size=3)),
        max_size=30,
    )
)
def test_what_is_in_force_is_the_strongest_of_all_that_hold(
    steps: list[tuple[int, list[tuple[int, Mode]]]],
) -> None:
    force, twin, followed = InForce(), {}, {}  # type: ignore[var-annotated]
    for who, wanted in steps:
        key = ("source", str(who))
        held = dict(wanted)
        twin[key] = held
        for changed in force.put(key, [(Value("domain", str(number)), mode) for number, mode in held.items()]):
            assert followed.get(changed.value, Mode.NONE) is changed.before
            assert changed.now is not changed.before
            followed[changed.value] = changed.now
        for number in range(5):
            value = Value("domain", str(number))
            strongest = max((modes.get(number, Mode.NONE) for modes in twin.values()), default=Mode.NONE)
            assert force.mode(value) is strongest
            assert followed.get(value, Mode.NONE) is strongest
    assert dict(force.all()) == {value: mode for value, mode in followed.items() if mode is not Mode.NONE}
