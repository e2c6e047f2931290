"""Reading a text again after a change gives exactly what reading it whole gives."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.problem import PolicyError

HEAD = """reef: 1
site: test
zones:
  internet: {interfaces: [wan0]}
  lan: {interfaces: [lan0], networks: [10.0.0.0/8]}
  dmz: {interfaces: [dmz0], networks: [192.168.0.0/16], role: dmz}
connections:
  wan0: {provider: BTL, officer: "H. Officer <noc@health.example>"}
objects:
  records: {addresses: [192.168.0.10, 2001:db8::10]}
people: {h.officer: {name: Hazel}}
"""

# Lines of rules, whole and broken, with everything that makes cutting a text by its lines hard.
LINES = st.sampled_from(
    [
        "  - id: R-1\n    from: lan\n    to: dmz\n    action: deny\n",
        "  - id: R-2\n    from: lan\n    to: [dmz, internet]\n    service: [ssh, dns]\n    action: deny\n",
        "  - {id: R-3, from: any, to: gateway, action: deny}\n",
        "  - id: R-4\n    from: lan\n    to: dmz\n    action: allow\n    why: |\n      - x\n    owner: a@b.example\n",
        '  - id: R-5\n    from: dmz\n    to: lan\n    action: deny\n    why: "folded\n\n  - id: R-9\n  over lines"\n',
        "  - id: R-6\n    from: lan\n    to: dmz\n    action: deny\n    why: |+\n      kept\n\n\n",
        "  - id: R-7\n    from: lann\n    to: dmz\n    action: deny\n",
        "  - id: R-8\n    from: lan\n    to: dmz\n    people: [h.officer]\n    action: deny\n",
        "  - {id: R-8, from: lan, to: dmz, source: 10.0.0.1, destination: 2001:db8::1, action: deny}",
        "  - id: R-10\n    from: role:voice\n    to: dmz\n    action: deny\n",
        "  # a comment\n",
        "# a comment at the margin\n",
        "\n",
        "   \n",
        "  -\n    id: R-11\n    from: lan\n    to: records\n    action: deny\n",
        "    expires: 2020-01-01\n",
        "    log: end # why\n",
        "    source: [10.0.0.1,\n  10.0.0.2]\n",
        "  - \n",
        "  -x: y\n",
        "  more: x\n",
        "publish: []\n",
        "nat:\n  source:\n  - {id: N-1, out: internet, to: masquerade}\n",
        "- id: R-12\n  from: lan\n  to: dmz\n  action: deny\n",
        "--- \n",
        "  why: 'x\n",
        "invariants:\n  - {id: I-1, never: internet -> lan, except: [R-1]}\n",
        "\t\n",
    ]
)
BODIES = st.lists(LINES, max_size=9)
HEADERS = st.sampled_from(
    ["rules:\n", "rules:   # all of them\n\n", "rules: [\n", "description: |\n  rules:\nrules:\n"]
)


def outcome(text: str, cache: ParseCache | None) -> tuple[bytes, list[str]]:
    """The policy with the place of everything in it (b"" when it is refused), and every problem as text."""
    try:
        policy, warnings = parse(text, "t.yaml", inherited={}, cache=cache, now=1_800_000_000)
    except PolicyError as error:
        return b"", [str(problem) for problem in error.problems]
    return msgspec.json.encode(policy), [str(problem) for problem in warnings]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HEADERS, st.lists(BODIES, min_size=2, max_size=5), st.booleans())
def test_a_parse_with_a_cache_equals_a_parse_without(
    header: str, bodies: list[list[str]], changed_head: bool
) -> None:
    cache = ParseCache()
    for number, body in enumerate(bodies):
        head = HEAD.replace("192.168.0.10", f"192.168.0.{number}") if changed_head else HEAD
        text = head + header + "".join(body)
        assert outcome(text, cache) == outcome(text, None)


GOOD = [f"  - id: R-{number}\n    from: lan\n    to: dmz\n    action: deny\n" for number in range(8)]
BETWEEN = st.sampled_from(["", "", "\n", "  # about the next one\n", "# at the margin\n\n"])
BEHIND = st.sampled_from(
    [
        "",
        "# the end\n",
        "settings: {drift: report}\n",
        "schedules:\n  s: sat\nconnections: {wan0: {officer: A <a@b.c>, provider: P}}\n",
    ]
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.tuples(st.sampled_from(GOOD), BETWEEN), unique_by=lambda pair: pair[0]), BEHIND))
)
def test_rules_that_come_go_and_move(steps: list[tuple[list[tuple[str, str]], str]]) -> None:
    head = HEAD.partition("connections:")[0].replace("{interfaces: [wan0]}", "{interfaces: [wan0], external: no}")
    cache = ParseCache()
    for rules, behind in steps:
        text = head + "rules:\n" + "".join(between + rule for rule, between in rules) + behind
        assert outcome(text, cache) == outcome(text, None)
        assert outcome(text, cache)[0]


def test_what_only_looks_like_rules() -> None:
    rule = GOOD[0]
    cache = ParseCache()
    for text in (
        HEAD + "rules:\n" + rule,
        HEAD + 'description: "\nrules:\n' + rule + '"\nrules:\n',
        HEAD + 'description: "\nrules:\n' + rule + '"\n',
        HEAD + "rules:\n" + rule + "  - id: " + "[" * 13 + "]" * 13 + "\n",
        HEAD + "rules:\n" + rule + "  - id: " + "[" * 14 + "]" * 14 + "\n",
        HEAD + "rules:\n" + rule + "rules:\n" + rule,
        HEAD + "rules:\n" + rule + rule,
        HEAD + "rules:\n" + rule + GOOD[1].rstrip("\n"),
    ):
        outcome(HEAD + "rules:\n" + rule, cache)
        assert outcome(text, cache) == outcome(text, None), text


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_change_of_a_text_that_was_parsed(data: st.DataObject) -> None:
    """One edit of a good text, as in an editor: a span replaced by a few characters."""
    rules = "".join(
        f"  - id: R-{number}\n    from: lan\n    to: dmz\n    source: 10.0.0.{number}\n    action: deny\n"
        for number in range(6)
    )
    text = HEAD + "rules:\n" + rules + "settings: {drift: report}\n"
    cache = ParseCache()
    assert outcome(text, cache)[0]
    start = data.draw(st.integers(len(HEAD) - 20, len(text)))
    length = data.draw(st.integers(0, 40))
    new = data.draw(st.text(alphabet="  \n-:#[]{}'\"|>aR-1xyz,&*!", max_size=12))
    changed = text[:start] + new + text[start + length :]
    assert outcome(changed, cache) == outcome(changed, None)
    assert outcome(text, cache) == outcome(text, None)


def test_only_what_changed_is_read_again() -> None:
    rules = [f"  - id: R-{number}\n    from: lan\n    to: dmz\n    action: deny\n" for number in range(50)]
    cache = ParseCache()
    first, _ = parse(HEAD + "rules:\n" + "".join(rules), "t.yaml", inherited={}, cache=cache)
    rules[20] = rules[20].replace("deny", "reject")
    second, _ = parse(HEAD + "rules:\n" + "".join(rules), "t.yaml", inherited={}, cache=cache)
    same = [before is after for before, after in zip(first.rules, second.rules, strict=True)]
    assert same == [number != 20 for number in range(50)]
    assert second.rules[20].action == "reject"


def test_a_changed_baseline_or_list_is_seen() -> None:
    text = HEAD.replace("site: test", "site: test\ninherits: [country]").replace(
        "objects:\n", "objects:\n  blocked: {file: lists/b.txt}\n"
    )
    text += "rules:\n  - {id: R-1, from: lan, to: dmz, destination: blocked, action: deny}\n"
    cache = ParseCache()
    baseline = (
        "reef: 1\nbaseline: country\nfirst:\n  - {id: B-1, from: any, to: any, service: telnet, action: deny}\n"
    )
    for country, blocked in (
        (baseline, "192.0.2.1\n"),
        (baseline.replace("deny", "reject"), "192.0.2.1\n"),
        (baseline, "192.0.2.2\n"),
        (baseline, "192.0.2.2\n"),
    ):
        inherited, files = {"country": country}, {"lists/b.txt": blocked}
        again, _ = parse(text, "t.yaml", inherited=inherited, files=files, cache=cache)
        assert again == parse(text, "t.yaml", inherited=inherited, files=files)[0]
