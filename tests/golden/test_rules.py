"""Rules and what becomes of them: each file in `rules/` holds pairs of a rule and its image, or why it is refused.

After a wanted change, `REEF_GOLDEN=write` writes the second halves again; read the diff before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dataplane.rules import about
from dataplane.rules.classes import CLASSES
from dataplane.ruleset import Source, compile_rules
from tests.imagedump import dump

HERE = Path(__file__).parent / "rules"
CLASSES_AND_REFERENCES = about.Classes(CLASSES, {"url": "https://", "cve": "https://cve.example/"})
LISTS = {
    "bad.md5": b"# digests\nd41d8cd98f00b204e9800998ecf8427e\n00000000000000000000000000000001  x.exe\n",
    "names.txt": b"bWFsd2FyZS50ZXN0\nYmFkLnRlc3Q=\n",
    "scores.txt": b"YmFkLnRlc3Q=,80\n",
}


def said(rule: str) -> str:
    """What becomes of one rule (or several lines)."""
    result = compile_rules(
        [Source("test.rules", rule)], classes=CLASSES_AND_REFERENCES, read=lambda _, name: LISTS.get(name)
    )
    out = [f"refused: {problem}\n" for problem in result.refused]
    out += [f"replaced: {problem}\n" for problem in result.replaced]
    if result.skipped:
        out.append(f"skipped: {result.skipped}\n")
    return "".join(out) + dump(result.image)


@pytest.mark.parametrize("case", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_rules(case: Path) -> None:
    parts = re.split(r"^=== (rule|result)\n", case.read_text(), flags=re.MULTILINE)
    pairs = list(zip(parts[1::2], parts[2::2], strict=True))
    rules = [body for head, body in pairs if head == "rule"]
    got = [pair for rule in rules for pair in (("rule", rule), ("result", said(rule) + "\n"))]
    if os.environ.get("REEF_GOLDEN") == "write":
        case.write_text("".join(f"=== {head}\n{body}" for head, body in got))
        return
    assert [body.rstrip() for _, body in got] == [body.rstrip() for _, body in pairs]
