"""What applyd takes from policyd, even signed: every compiled ruleset, and no string that ends its statement."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from appliance.control.applying import shape
from appliance.control.applying.shape import ShapeError
from appliance.control.deciding.sources import read_sources
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.ruleset import Chain, Flowtable, Ruleset, Set
from appliance.policy.meant.parse import parse
from tests.policies import NOW, random_policy

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
BOTH = frozenset({"queue", "flowtable"})


def bundle(ruleset: Ruleset, sysctls: dict[str, str] | None = None) -> Bundle:
    return Bundle(
        site="s",
        generation=1,
        parent=0,
        author="a",
        reason="",
        created=0.0,
        text="",
        inherited={},
        ruleset=ruleset,
        sysctls=sysctls or {},
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_the_compiler_writes_of_an_example_is_taken(path: Path) -> None:
    sources = read_sources(path)
    policy, _ = parse(sources.text, sources.file, inherited=sources.inherited, files=sources.files)
    compiled = compile_policy(policy, generation=7, capabilities=BOTH, now=NOW)
    shape.check(bundle(compiled.ruleset, compiled.sysctls))


@pytest.mark.parametrize("seed", range(20))
def test_what_the_compiler_writes_of_a_random_policy_is_taken(seed: int) -> None:
    compiled = compile_policy(random_policy(random.Random(seed)), generation=7, capabilities=BOTH, now=NOW)
    shape.check(bundle(compiled.ruleset, compiled.sysctls))


HOSTILE_RULES = (
    'include "/etc/shadow"',
    '  include "/etc/shadow"',
    "define x = 1",
    "accept; flush ruleset",
    "accept\nflush ruleset",
    "accept\r",
    "}",
    "accept }",
    "ip saddr { 10.0.0.1 } }",
    'log prefix "a',
    'log prefix "a" } "',
    "accept # and the rest",
    "ip saddr $x accept",
    "policy accept",
    "type filter hook input priority 0",
    "accept\0drop",
    "accept \\",
    "log prefix \u202ex accept",
)


@pytest.mark.parametrize("rule", HOSTILE_RULES)
def test_no_rule_ends_its_statement(rule: str) -> None:
    for rules in ((rule,), ("accept", rule), (rule, "accept")):
        with pytest.raises(ShapeError):
            shape.check(bundle(Ruleset(chains={"forward": Chain(rules)})))


@pytest.mark.parametrize("word", ["a b", "a;", "a\n", "", "a{", "-\0-", '"a"', "a}", "a,b"])
def test_no_name_is_more_than_a_name(word: str) -> None:
    for ruleset in (
        Ruleset(counters=(word,)),
        Ruleset(chains={word: Chain(())}),
        Ruleset(sets={word: Set("type mark")}),
        Ruleset(flowtables={word: Flowtable(())}),
    ):
        with pytest.raises(ShapeError):
            shape.check(bundle(ruleset))


@pytest.mark.parametrize("key", ["1 }", "1, 2", "1;", "1\n2", '"lan0', '"lan0" . "', '"a;b" "', "1\0", "@x", "#"])
def test_no_element_is_more_than_an_element(key: str) -> None:
    for elements in ({key: ""}, {"1": key}):
        with pytest.raises(ShapeError):
            shape.check(bundle(Ruleset(sets={"s": Set("type mark", "verdict", elements=elements)})))


@pytest.mark.parametrize(
    "declared",
    [
        Set("type mark; }"),
        Set("type mark", 'verdict; include "/x"'),
        Set("type mark", flags=("interval; }",)),
        Set("type mark", options=("size 1; }",)),
    ],
)
def test_no_declaration_ends_early(declared: Set) -> None:
    with pytest.raises(ShapeError):
        shape.check(bundle(Ruleset(sets={"s": declared})))


@pytest.mark.parametrize(
    "ruleset",
    [
        Ruleset(table="reef_ban"),
        Ruleset(table='x\ninclude "/etc/shadow"'),
        Ruleset(chains={"forward": Chain((), base="type filter hook forward priority filter; policy drop; } ")}),
        Ruleset(flowtables={"f": Flowtable(("lan0 }",))}),
        Ruleset(flowtables={"f": Flowtable(("lan0",), "filter; }")}),
    ],
)
def test_no_other_table_and_no_other_hook(ruleset: Ruleset) -> None:
    with pytest.raises(ShapeError):
        shape.check(bundle(ruleset))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.core_pattern", "1"),
        ("net.ipv4..ip_forward", "1"),
        ("net/../kernel/core_pattern", "1"),
        ("/etc/passwd", "1"),
        ("net.ipv4.ip_forward", "|/bin/sh"),
        ("net.ipv4.ip_forward", "1\n2"),
    ],
)
def test_no_setting_but_those_of_the_network(name: str, value: str) -> None:
    shape.check(bundle(Ruleset(), {"net.ipv4.ip_forward": "1", "net/ipv4/conf/wan0.10/rp_filter": "2"}))
    with pytest.raises(ShapeError):
        shape.check(bundle(Ruleset(), {name: value}))


def test_the_names_in_a_refusal_are_short_and_harmless() -> None:
    with pytest.raises(ShapeError) as refused:
        shape.check(bundle(Ruleset(counters=("\x1b[31m" + "x" * 10_000,))))
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()
    assert msgspec.json.encode(str(refused.value))
