"""ET Open's rules: what share of them is enforced, in what time, and that nothing of them is lost without a word."""

from __future__ import annotations

import time
from pathlib import Path

from dataplane.rulefiles import compiled
from dataplane.rules import reader
from tests.imagedump import read

SHARE = 0.995
SECONDS = 8.0  # of one core, cold


def test_nearly_all_of_et_open_loads_and_the_rest_is_named(peer_data: Path) -> None:
    path = peer_data / "et-open" / "et-open.rules"
    started = time.process_time()
    result = compiled([path])
    spent = time.process_time() - started
    rules = sum(1 for _ in reader.lines(path.read_text("utf-8", "surrogateescape")))
    assert result.loaded + len(result.refused) + len(result.replaced) + result.skipped == rules
    assert result.loaded / rules >= SHARE, [str(problem) for problem in result.refused[:20]]
    assert len(read(result.image).rows[0]) == result.loaded
    assert spent < SECONDS
