"""The README's tour, followed word by word in a real lab.

Every `sh` block of the tour runs in one shell, in order. The `text` block after it is what must come, line by
line in that order, spaces aside; `…` stands for anything. `<!-- exit N -->` before a block says that it ends with
N; otherwise it must end with 0.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from appliance.lab.site import Lab

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_BLOCK = re.compile(
    r"(?:^<!-- exit (?P<exit>\d+) -->\n+)?^```sh\n(?P<commands>.*?)^```\n(?:\n*^```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
MARK = "@@ block"


class Block(msgspec.Struct, frozen=True):
    commands: str
    output: tuple[str, ...]
    exit: int


def tour() -> list[Block]:
    text = re.split(r"^## ", README.read_text(), flags=re.MULTILINE)
    (chapter,) = (part for part in text if part.startswith("A ten-minute tour"))
    return [
        Block(found["commands"], tuple((found["output"] or "").splitlines()), int(found["exit"] or 0))
        for found in _BLOCK.finditer(chapter)
    ]


def pattern(line: str) -> re.Pattern[str]:
    words = [r"\s+".join(re.escape(word) for word in piece.split()) for piece in line.split("…")]
    return re.compile(r"\s*" + r".*".join(words) + r"\s*")


def missing(wanted: tuple[str, ...], got: list[str]) -> str:
    """The first wanted line that does not come, in order; "" when all do."""
    lines = iter(got)
    for line in wanted:
        if line.strip() in {"", "…"}:
            continue
        if not any(pattern(line).fullmatch(one) for one in lines):
            return line
    return ""


def test_a_missing_line_is_noticed() -> None:
    got = ["one 1 x", "two", "three"]
    assert missing(("one … x", "…", "three"), got) == ""
    assert missing(("three", "two"), got) == "two"
    assert missing(("on…", "four"), got) == "four"


@pytest.mark.timeout(240)
def test_every_command_of_the_tour_does_what_the_readme_says(tmp_path: Path) -> None:
    blocks = tour()
    assert len(blocks) >= 8
    # The tour writes files: it gets a directory of its own that looks like the checkout.
    for name in (".venv", "examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    with Lab() as lab:
        script = "".join(
            f"{block.commands}\ncode=$?; echo; echo '{MARK}' {index} $code\n" for index, block in enumerate(blocks)
        )
        script = script.replace("REEF_LAB=1", f"REEF_LAB={lab.lab}")
        script = script.replace("reef1-", f"reef{lab.lab}-").replace("/run/reef-lab/1/", f"/run/reef-lab/{lab.lab}/")
        (tmp_path / "tour.sh").write_text(script)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with (tmp_path / "said").open("wb") as output:
            shell = subprocess.Popen(
                ["bash", "tour.sh"], cwd=tmp_path, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            while shell.poll() is None:
                lab.poll(0.2)
        said = (tmp_path / "said").read_text(errors="replace")
    parts = re.split(rf"^{MARK} (\d+) (\d+)\n", said, flags=re.MULTILINE)
    ends = dict(zip(map(int, parts[1::3]), map(int, parts[2::3]), strict=True))
    outputs = dict(zip(map(int, parts[1::3]), parts[0::3], strict=False))
    for index, block in enumerate(blocks):
        shown = f"{block.commands}\n--- gave (exit {ends.get(index)}):\n{outputs.get(index, said)}"
        assert ends.get(index) == block.exit, shown
        line = missing(block.output, outputs[index].splitlines())
        assert not line, f"{shown}\n--- lacks: {line}"
