"""Fuzzes the reader of rules: mutated rules give an image that is whole, or problems in words; nothing else.

    python -m tests.fuzz.fuzz_rules --seconds 600 [--seed 1]

Mutates the rules of the golden cases and of examples/. A rule that breaks something is printed, and the run ends.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from pathlib import Path

from dataplane.rules.keywords import KEYWORDS
from dataplane.ruleset import Source, compile_rules
from tests.imagedump import dump

ROOT = Path(__file__).parent.parent.parent
WORDS = (
    *(f"{name};" for name in KEYWORDS), *(f"{name}:" for name in KEYWORDS),
    "!", "|", "|00|", "|0", "\\", "\\;", "\"", ";", ":", ",", "(", ")", "[", "]", "$HOME_NET", "$", "<>", "->",
    "any", "!any", "0", "-1", "1", "65535", "65536", "4294967296", "9" * 30, "0x", "0xff", "relative",
    "string,hex", "little", "dce", "bitmask 0x1", "10.0.0.0/8", "::/0", "10.0.0.9-10.0.0.1", "1:", ":", "80:20",
    "/a/", "/(/R", "/[/i", "\u0000", "\udc80", "\u00e9", "\n", "\t", " ",
)  # fmt: skip


def seeds() -> list[str]:
    found: list[str] = []
    for path in sorted((ROOT / "tests" / "golden" / "rules").glob("*.txt")):
        found += re.findall(r"^=== rule\n(.*?)\n=== result\n", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for path in sorted((ROOT / "examples" / "rules").glob("*.rules")):
        found += [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return found


def check(text: str) -> None:
    """Raises when something is wrong with what becomes of a text."""
    result = compile_rules([Source("f.rules", text)])
    lines = text.count("\n") + 1
    dump(result.image)
    for problem in [*result.refused, *result.replaced]:
        assert 1 <= problem.line <= lines
        assert problem.reason
        str(problem).encode("utf-8", "backslashreplace")
    again = compile_rules([Source("f.rules", text)])
    assert again.image == result.image


def mutated(text: str, chance: random.Random, others: list[str]) -> str:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            text = text[:at] + chance.choice(WORDS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + chance.randint(1, 12) :]
        elif kind == 2:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            text = text[:at] + other[begin : begin + chance.randint(1, 60)] + text[at:]
        elif kind == 3:
            options = text.split("; ")
            chance.shuffle(options)
            text = "; ".join(options)
        else:
            text = text[:at] + chr(chance.randrange(1, 0x180)) + text[at + 1 :]
    return text


def run(seconds: float, seed: int) -> int:
    """How many texts were tried. Raises what a text broke, with the text in a note."""
    chance = random.Random(seed)
    texts = seeds()
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        text = mutated(chance.choice(texts), chance, texts)
        try:
            check(text)
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            error.add_note(f"seed {seed}, text {text!r}")
            raise
        tried += 1
    return tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    print(f"seed {options.seed}: {run(options.seconds, options.seed)} texts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
