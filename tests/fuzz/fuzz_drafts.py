"""Fuzzes what the workshop makes of texts: cutting, merging, forms, tables, completion.

    python -m tests.fuzz.fuzz_drafts --seconds 600 [--seed 1]

Mutates the texts that the policy's fuzzer mutates. What breaks is told with its seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from appliance.drafts.completion import Vocabulary, complete
from appliance.drafts.csvrules import CsvError, changes, table
from appliance.drafts.edits import applied, minimal
from appliance.drafts.grid import RowCache, change, grid
from appliance.drafts.merge import merge
from appliance.drafts.operations import SetKeys, operate
from appliance.drafts.search import Beside, Contents, search
from appliance.drafts.sheet import sheet
from appliance.policy.meant.parse import parse
from appliance.policy.problem import PolicyError
from appliance.policy.written.edit import EditError
from appliance.policy.written.text import Items, Node, Report, Table, Word, check_characters, compose, unix_lines
from tests.fuzz.fuzz_policy import INHERITED, mutate, seeds

KEYS: tuple[dict[str, str | list[str] | None], ...] = (
    {"service": ["tcp/443", "udp/53"]},
    {"why": "a: b # c"},
    {"log": None, "owner": "x"},
    {"from": ["lan", "dmz"], "people": []},
)


def values(node: Node) -> object:
    if isinstance(node, Word):
        return node.value
    if isinstance(node, Items):
        return [values(one) for one in node.items]
    return {key: values(one) for key, one in node.entries.items()}


def read(text: str) -> dict[str, object] | None:
    """What a text says; None where it is no mapping in YAML."""
    report = Report("f.yaml")
    text = unix_lines(text)
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    if report.failed or not isinstance(node, Table):
        return None
    return {key: values(one) for key, one in node.entries.items()}


def empty(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("#") for line in unix_lines(text).split("\n"))


def ids(items: object) -> list[str]:
    found = [one.get("id") for one in items if isinstance(one, dict)] if isinstance(items, list) else []
    return [one for one in found if isinstance(one, str)]


def check(base: str, mine: str, theirs: str, cache: RowCache, dice: random.Random) -> None:
    """Raises when something is wrong with what is made of three texts."""
    cut_whole(mine, cache)
    merged(base, mine, theirs, cache)
    formed(mine, cache, dice)
    shown(mine, theirs, cache, dice)


def cut_whole(text: str, cache: RowCache) -> None:
    try:
        cut = sheet(text, cache.pieces)
    except EditError:
        assert read(text) is None or "reef fmt" in refusal(text), "a text that can be read is refused"
        return
    whole = cut.preamble + "".join(section.text for section in cut.sections)
    assert whole == cut.text, "a line is lost"
    assert cut == sheet(text), "what is known changes the parts"


def refusal(text: str) -> str:
    try:
        sheet(text)
    except EditError as error:
        return error.remedy
    return ""


def merged(base: str, mine: str, theirs: str, cache: RowCache) -> None:
    try:
        result = merge(base, mine, theirs, cache.pieces)
    except EditError:
        return
    assert applied(mine, minimal(mine, result.text)) == result.text
    assert merge(mine, mine, result.text).text == result.text
    if result.conflicts or None in (read(mine), read(theirs), read(base)):
        return
    # One took out the one half, the other the other: then nothing is left, and that is what both want.
    assert read(result.text) is not None or empty(result.text), "two texts without a conflict become none"


def formed(text: str, cache: RowCache, dice: random.Random) -> None:
    before = read(text)
    if before is None:
        return
    known = ids(before.get("rules"))
    if not known:
        return
    rule, keys = dice.choice(known), dice.choice(KEYS)
    try:
        made = operate(text, [SetKeys(rule, keys)], cache.pieces)
    except EditError:
        return
    assert applied(text, made.edits) == made.text
    after = read(made.text)
    assert after is not None, "a form makes a text that is none"
    old, new = before.pop("rules"), after.pop("rules")
    assert before == after, "another section changes"
    assert isinstance(old, list) and isinstance(new, list)
    for one, two in zip(old, new, strict=True):
        if isinstance(one, dict) and isinstance(two, dict) and one.get("id") == rule:
            for key, value in keys.items():
                wanted = [value] if isinstance(value, str) else value or None
                said = two.get(key)
                assert ([said] if isinstance(said, str) else said) == wanted, f"`{key}` is not what was set"
            assert {k: v for k, v in one.items() if k not in keys} == {k: v for k, v in two.items() if k not in keys}
        else:
            assert one == two, "another rule changes"


def shown(text: str, other: str, cache: RowCache, dice: random.Random) -> None:
    known = grid(text, INHERITED, cache)
    change(grid(other, INHERITED, cache), known)
    for number in range(len(known.rules)):
        known.row(number)
    if known.site is not None:
        contents = Contents([known.site])
        search(known, contents, "10.20.0.9 -tcp/443 R", Beside({}, {}, "2026-11-22", "2026-12-22"))
        complete(text, dice.randrange(len(text) + 1), Vocabulary([known.site], ()))
    try:
        parse(text, "f.yaml", inherited=INHERITED)
    except PolicyError:
        return
    assert not known.broken
    try:
        assert changes(table(known, {}).encode(), known, whole=True) == [], (
            "a table that comes back changes something"
        )
    except CsvError as error:
        raise AssertionError(f"a table that was written cannot be read: {error}") from error


def lined(text: str, others: list[str], dice: random.Random) -> str:
    """Lines less, more, moved or from another text: what is left is YAML more often than after `mutate`."""
    lines = text.split("\n")
    for _ in range(dice.choice((1, 2, 3, 6))):
        at = dice.randrange(len(lines))
        kind = dice.randrange(4)
        if kind == 0:
            del lines[at : at + dice.choice((1, 1, 3, 12))]
        elif kind == 1:
            lines.insert(dice.randrange(len(lines)), lines[at])
        elif kind == 2:
            lines.insert(at, dice.choice(dice.choice(others).split("\n")))
        else:
            part = lines[at : at + dice.choice((3, 8, 12))]
            del lines[at : at + len(part)]
            where = dice.randrange(len(lines) + 1)
            lines[where:where] = part
        lines = lines or [""]
    return "\n".join(lines)


def run(seconds: float, seed: int) -> int:
    """Fuzzes for so long; how many texts."""
    dice = random.Random(seed)
    texts = seeds()
    cache = RowCache()
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        base = dice.choice(texts)
        mine, theirs = [dice.choice((mutate, lined))(base, texts, dice) for _ in range(2)]
        check(base, mine, theirs, cache, dice)
        count += 1
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz what the workshop makes of texts.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns()
    print(f"seed {seed}", flush=True)
    print(f"{run(options.seconds, seed)} texts, nothing broke")
    return 0


if __name__ == "__main__":
    sys.exit(main())
