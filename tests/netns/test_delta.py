"""The change between two rulesets, in a real kernel: the same table as loaded afresh, counters and live sets kept."""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any

import pytest

from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.delta import delta, render, repair
from appliance.policy.compiling.ruleset import Ruleset
from tests.netns.wire import Wire
from tests.policies import NOW, random_policy

PAIRS = 12


def listed(wire: Wire) -> list[str]:
    """The whole table as nft lists it: handles and counts left out, in an order that says nothing of how it came."""
    objects = json.loads(wire.run("nft", "-j", "list", "table", "inet", "reef"))["nftables"]
    seen: dict[tuple[str, str], list[str]] = {}
    plain: list[str] = []
    for each in objects:
        (kind, value), *_ = each.items()
        if kind == "metainfo":
            continue
        value = _plain(value)
        if kind == "counter":
            value = {"name": value["name"]}
        text = json.dumps({kind: value}, sort_keys=True)
        if kind == "rule":
            # The order of rules matters inside their chain.
            seen.setdefault(("rule", value["chain"]), []).append(text)
        else:
            plain.append(text)
    return sorted(plain) + [text for key in sorted(seen) for text in seen[key]]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _plain(inner) for key, inner in value.items() if key not in ("handle", "index")}
        for key in ("elem", "set", "flags"):
            if isinstance(kept.get(key), list):
                kept[key] = sorted(kept[key], key=lambda each: json.dumps(each, sort_keys=True))
        return kept
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def rulesets(rng: random.Random) -> tuple[Ruleset, Ruleset]:
    """Two rulesets: of two policies that have nothing to do with each other, or of one and its edit."""
    size = rng.choice((0, 3, 15, 60))
    one = random_policy(rng, rules=size)
    other = random_policy(rng, rules=rng.choice((0, 3, 15, 60)))
    generation = rng.randrange(1, 5000)
    lacking = frozenset[str]()
    later = NOW + rng.choice((0, 90 * 86400))
    return (
        compile_policy(one, generation=generation, capabilities=lacking, now=NOW).ruleset,
        compile_policy(other, generation=generation + 1, capabilities=lacking, now=later).ruleset,
    )


def test_the_change_between_any_two_rulesets_gives_the_new_one() -> None:
    rng = random.Random(404)
    with Wire() as changed, Wire() as fresh:
        for _ in range(PAIRS):
            old, new = rulesets(rng)
            changed.load(delta(None, old))
            changed.load(delta(old, new))
            fresh.load(delta(None, new))
            assert listed(changed) == listed(fresh)
            assert delta(new, new) == ""


def test_counters_and_live_sets_keep_their_contents() -> None:
    rng = random.Random(405)
    policy = random_policy(rng, rules=40)
    other = random_policy(rng, rules=40)
    one = compile_policy(policy, generation=1, capabilities=frozenset(), now=NOW).ruleset
    two = compile_policy(other, generation=2, capabilities=frozenset(), now=NOW).ruleset
    kept = {name: (index + 1, index * 100) for index, name in enumerate(one.counters)}
    live = {"dns_mirror_v4": ["192.0.2.1", "192.0.2.16/28"], "group_staff_v6": ["2001:db8::7"]}
    with Wire() as wire:
        wire.load(repair(one, counters=kept, elements=live))
        both = set(one.counters) & set(two.counters)
        assert len(both) > 20
        wire.load(delta(one, two))
        counted = wire.counters()
        assert {name: counted[name] for name in both} == {name: kept[name][0] for name in both}
        assert all(counted[name] == 0 for name in set(two.counters) - both)
        for name, elements in live.items():
            shown = wire.run("nft", "list", "set", "inet", "reef", name)
            assert all(element in shown for element in elements)


def test_repair_replaces_what_somebody_did_by_hand() -> None:
    policy = random_policy(random.Random(406), rules=20)
    ruleset = compile_policy(policy, generation=1, capabilities=frozenset(), now=NOW).ruleset
    with Wire() as wire, Wire() as fresh:
        fresh.load(delta(None, ruleset))
        wire.load(delta(None, ruleset))
        wire.run("nft", "insert rule inet reef forward accept")
        wire.run("nft", "add chain inet reef mine")
        wire.run("nft", "add rule inet reef mine drop")
        assert listed(wire) != listed(fresh)
        wire.load(repair(ruleset))
        assert listed(wire) == listed(fresh)


def test_a_refused_batch_changes_nothing() -> None:
    rng = random.Random(407)
    old, new = rulesets(rng)
    with Wire() as wire:
        wire.load(delta(None, old))
        before = listed(wire)
        with pytest.raises(RuntimeError):
            wire.load(delta(old, new) + "add rule inet reef forward jump nowhere\n")
        assert listed(wire) == before


def test_every_rendered_table_is_what_nft_itself_accepts() -> None:
    """`nft -c` in a namespace of its own, for policies of every kind."""
    rng = random.Random(408)
    with Wire() as wire:
        for _ in range(10):
            ruleset = compile_policy(
                random_policy(rng, rules=30), generation=3, capabilities=frozenset(), now=NOW
            ).ruleset
            done = subprocess.run(
                ["ip", "netns", "exec", wire.name, "nft", "-c", "-f", "-"],
                input=render(ruleset), text=True, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr


def test_nft_reads_what_this_kernel_may_lack() -> None:
    """Queues and flowtables are for other kernels; their words, and every name, are for nft wherever it runs."""
    policy = random_policy(random.Random(6), rules=30)
    ruleset = compile_policy(policy, generation=1, capabilities=frozenset({"queue", "flowtable"}), now=NOW).ruleset
    assert ruleset.flowtables
    with Wire(raw=False) as wire:
        done = subprocess.run(
            ["ip", "netns", "exec", wire.name, "nft", "-c", "-f", "-"],
            input=delta(None, ruleset), capture_output=True, text=True, check=False,
        )  # fmt: skip
    refused = [line for line in done.stderr.splitlines() if "Error:" in line]
    assert all("Could not process rule" in line for line in refused), refused
