"""What `reef` prints, whole: each file in `cli/` is the texts, the command, and the output it must give.

After a wanted change of the words, `REEF_GOLDEN=write` writes the outputs again; read the diff before committing it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "cli"
ROOT = Path(__file__).parents[2]
# What took how long, how many steps, and a moment that counts from now.
_TIME = re.compile(
    r"(?<=\()\d+(?: ms|\.\d\d s)(?=\))|(?<=\"seconds\": )[\d.e-]+|(?<=\"steps\": )\d+"
    r"|(?<=, at )[A-Z][a-z][a-z] \d{4}-\d\d-\d\d \d\d:\d\d"
)


def sections(text: str) -> list[tuple[str, str]]:
    """(head, body) of each part; a part begins with a line `=== head`."""
    parts = re.split(r"^=== (.+)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("case", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_output(case: Path, tmp_path: Path) -> None:
    parts = sections(case.read_text())
    given = [(head, body) for head, body in parts if head.startswith(("file ", "reef "))]
    commands = [head for head, _ in given if head.startswith("reef ")]
    for head, body in given:
        if head.startswith("file "):
            path = tmp_path / head.removeprefix("file ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(body)
    result = subprocess.run(
        [sys.executable, "-m", "appliance.cli", *commands[0].split()[1:]],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PATH": os.environ["PATH"]},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    got = [("exit", f"{result.returncode}\n"), ("stdout", result.stdout), ("stderr", result.stderr)]
    for head, _ in given:
        if head.startswith("file ") and " fmt " in f"{commands[0]} ":
            name = head.removeprefix("file ")
            got.append((f"after {name}", (tmp_path / name).read_text()))
    got = [(head, _TIME.sub("TIME", body)) for head, body in got]
    if os.environ.get("REEF_GOLDEN") == "write":
        case.write_text("".join(f"=== {head}\n{body}" for head, body in [*given, *got]))
    assert got == [(head, body) for head, body in parts if (head, body) not in given]
