"""docs/csirt.md: the puller it shows takes everything once, and loses nothing when its command fails."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.alertapi import TOKEN, alert, new, serving

ROOT = Path(__file__).resolve().parents[2]
COUNT = 300


@pytest.fixture
def puller(tmp_path: Path) -> Path:
    """The script of the document, as a file."""
    text = (ROOT / "docs" / "csirt.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"<!-- puller -->\n```sh\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "pull.sh"
    path.write_text(script, encoding="utf-8")
    (tmp_path / "place.header").write_text(f"Authorization: Bearer {TOKEN}\n", encoding="utf-8")
    return path


def pull(puller: Path, url: str, *command: str) -> int:
    arguments = ["sh", str(puller), url, str(puller.parent / "place"), *command]
    environment = {**os.environ, "ONCE": "1", "LINES_FILE": str(puller.parent / "eve.json")}
    return subprocess.run(arguments, env=environment, timeout=60, check=False).returncode


def test_everything_comes_once_and_is_acknowledged(puller: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.append(*(new(alert(number)) for number in range(COUNT)))
        append = ("sh", "-c", 'cat >>"$LINES_FILE"')
        assert pull(puller, f"{server.url}/eve?kinds=alert&limit=70", *append) == 0
        server.append(*(new(alert(COUNT + number)) for number in range(5)))
        assert pull(puller, f"{server.url}/eve?kinds=alert&limit=70", *append) == 0
        assert server.outbox.position("csirt").seq == COUNT
    assert (tmp_path / "eve.json").read_bytes().splitlines() == [alert(number) for number in range(COUNT + 5)]


def test_what_the_command_did_not_take_comes_again(puller: Path, tmp_path: Path) -> None:
    """The command dies after some of its lines: nothing is lost, these come once more."""
    breaking = 'head -n 20 >>"$LINES_FILE"; exit 1'
    with serving(tmp_path) as server:
        server.append(*(new(alert(number)) for number in range(COUNT)))
        url = f"{server.url}/eve?limit=70"
        assert pull(puller, url, "sh", "-c", breaking) != 0
        assert server.outbox.position("csirt").seq == 0
        assert pull(puller, url, "sh", "-c", 'cat >>"$LINES_FILE"') == 0
    lines = (tmp_path / "eve.json").read_bytes().splitlines()
    assert lines == [alert(number) for number in (*range(20), *range(COUNT))]
