"""The patterns of the policy text against words made to be slow: no reading takes longer than a person notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A pattern with two ways to read a piece doubles its time with each piece: a process that can be ended asks.
PROGRAM = """
from appliance.policy.written import kinds

words = ("a", "a,", "a, ", ", ", "a->", "a -> ", "-> ", "a-", "a.", "a:", "a ", "<a@")
pieces = (*words, "1", "1-", "1/", "+1", "::", " ", "\\t")
scalars = [kind for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)]
assert len(scalars) > 20
for kind in scalars:
    for piece in pieces:
        for end in ("", "!", "\\n", "->", " ->"):
            kind.wrong((piece * kind.longest)[: kind.longest - len(end)] + end)
print(len(scalars))
"""


def test_no_pattern_can_be_made_slow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert int(done.stdout) > 20
