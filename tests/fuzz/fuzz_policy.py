"""Fuzzes the policy parser, the parser with a cache, and the formatter.

    python -m tests.fuzz.fuzz_policy --seconds 600 [--seed 1]

Mutates texts: the examples, the golden cases, and `policy_corpus/`, which keeps every text that once broke
something. A text that breaks something now is written there, shortened, and the run ends.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.problem import PolicyError
from appliance.policy.written.fmt import fmt

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path(__file__).parent / "policy_corpus"
INHERITED = {"national-baseline": (ROOT / "examples" / "baselines" / "national-baseline.yaml").read_text()}

WORDS = (
    "- id: R-1\n", "from: ", "to: any\n", "rules:\n", "role:internal", "not ", "any", "gateway", "[", "]", "{",
    "}", ", ", ": ", "\n", "\n  ", "  - ", "#", " # x\n", "'", "\"", "|\n", ">-\n", "&a ", "*a", "!!int ",
    "---\n", "? ", "%YAML 1.1\n", "10.0.0.0/8", "::/0", "2001:db8::1", "10.0.0.9-10.0.0.1", "tcp/443",
    "tcp/99999", "icmp/3/4", "udp/68 from 67", "proto/256", "mon-fri 07:30-17:00", "24:00", "2027-02-30",
    "9999-12-31", "1/second burst 0", "\t", "\r", "\x00", "\u2028", "\ud7ff", "\U0001f600", "\\x00", "-> ",
    "group:", "masquerade", "yes", "no", "0", "-1", "1" * 30, "a" * 60, "[" * 20, "<<: ", "~",
)  # fmt: skip

# What a defect can look like: a check that fails, or an exception that is not the parser's own.
FINDINGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    PolicyError,
)


def seeds() -> list[str]:
    files = [*ROOT.glob("examples/**/*.yaml"), *CORPUS.glob("*.yaml")]
    texts = [path.read_text() for path in sorted(files)]
    for path in sorted((ROOT / "tests" / "golden" / "policy").glob("*.txt")):
        texts.append(path.read_text().split("=== ")[1].partition("\n")[2])
    return texts


def check(text: str, cache: ParseCache) -> None:
    """Raises when something is wrong with what the policy code makes of a text."""
    outcome: tuple[bytes, list[str]]
    try:
        policy, warnings = parse(text, "f.yaml", inherited=INHERITED, now=1_800_000_000)
        outcome = msgspec.json.encode(policy), [str(problem) for problem in warnings]
    except PolicyError as error:
        policy = None
        outcome = b"", [str(problem) for problem in error.problems]
        assert any(problem.severity == "error" for problem in error.problems), "refused without an error"
        lines = text.replace("\r\n", "\n").split("\n")
        for problem in error.problems:
            span = problem.span
            assert problem.message, "a problem without words"
            if span.file == "f.yaml":
                assert 1 <= span.line <= len(lines) + 1, f"no such line: {problem}"
                assert 1 <= span.column <= len(lines[min(span.line, len(lines)) - 1]) + 2, (
                    f"no such column: {problem}"
                )
    try:
        again, warnings = parse(text, "f.yaml", inherited=INHERITED, now=1_800_000_000, cache=cache)
        cached = msgspec.json.encode(again), [str(problem) for problem in warnings]
    except PolicyError as error:
        cached = b"", [str(problem) for problem in error.problems]
    assert outcome == cached, "the cache changes the outcome"
    try:
        formatted = fmt(text)
    except PolicyError as error:
        assert "canonical form" not in str(error), "the formatter would change the meaning"
        return
    assert fmt(formatted) == formatted, "formatting is not finished after once"
    if policy is not None:
        assert parse(formatted, "f.yaml", inherited=INHERITED)[0] == policy, "formatting changes the policy"


def mutate(text: str, others: list[str], dice: random.Random) -> str:
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at = dice.randrange(len(text) + 1)
        end = min(len(text), at + dice.choice((0, 1, 1, 2, 5, 20, 100)))
        kind = dice.randrange(5)
        if kind == 0:
            text = text[:at] + dice.choice(WORDS) + text[end:]
        elif kind == 1:
            text = text[:at] + text[end:]
        elif kind == 2:
            text = text[:at] + text[at:end] * dice.choice((2, 3)) + text[end:]
        elif kind == 3:
            lines = text.split("\n")
            one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
            lines[one], lines[two] = lines[two], lines[one]
            text = "\n".join(lines)
        else:
            other = dice.choice(others)
            start = dice.randrange(len(other) + 1)
            text = text[:at] + other[start : start + dice.choice((10, 60, 300))] + text[end:]
    return text


def run(seconds: float, seed: int, tell: Callable[[str], None] = print) -> int:
    """Fuzzes for so long; the number of texts. Raises, after keeping the text, when one breaks something."""
    dice = random.Random(seed)
    texts = seeds()
    cache = ParseCache()
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        text = mutate(dice.choice(texts), texts, dice)
        count += 1
        try:
            check(text, cache)
        except FINDINGS:
            short = shorten(text)
            CORPUS.mkdir(exist_ok=True)
            kept = CORPUS / f"{abs(hash(short)):016x}.yaml"
            kept.write_text(short)
            tell(f"broken by the text in {kept}")
            raise
    return count


def shorten(text: str) -> str:
    """A shorter text that still breaks something, by leaving out lines."""

    def breaks(candidate: str) -> bool:
        cache = ParseCache()
        try:
            check(candidate, cache)
        except FINDINGS:
            return True
        return False

    lines = text.split("\n")
    size = len(lines) // 2
    while size:
        start = 0
        while start < len(lines):
            candidate = lines[:start] + lines[start + size :]
            if breaks("\n".join(candidate)):
                lines = candidate
            else:
                start += size
        size //= 2
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the policy parser and formatter.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns()
    print(f"seed {seed}: {run(options.seconds, seed)} texts, nothing broke")
    return 0


if __name__ == "__main__":
    sys.exit(main())
