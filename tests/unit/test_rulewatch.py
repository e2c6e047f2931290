"""When the rules of a gateway are looked at anew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.control.messages.gateway import NameBook
from dataplane import rulewatch

DEADLINE = 60.0
RULE = 'alert icmp $HOME_NET any -> any any (msg:"an echo"; sid:1;)\n'


def test_another_generation_is_looked_at_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before rules are there for the first time, what a policy has inspected fail-closed is dropped."""
    monkeypatch.setattr(rulewatch, "_LOOK_EVERY", 100 * DEADLINE)
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.rules").write_text(RULE)
    watch = rulewatch.RuleWatch(folder, tmp_path / "cache", tmp_path / "state")
    watch.start()
    try:
        for generation, network in enumerate(("10.20.0.0/16", "10.21.0.0/16"), 1):
            watch.book = NameBook(generation, "site", (), (), networks={"lan": (network,)})
            deadline = time.monotonic() + DEADLINE
            while watch.take() is None:
                assert time.monotonic() < deadline, f"generation {generation}: {watch.words()}"
                time.sleep(0.01)
    finally:
        watch.stop()
        watch.join()
