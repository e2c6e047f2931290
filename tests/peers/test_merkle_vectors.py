"""The proof vectors of transparency-dev/merkle, the good ones and those that must be refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from appliance.records.merkle import ProofError, check_consistency, check_inclusion


def vectors(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def decoded(words: str | None) -> bytes:
    return base64.b64decode(words or "")


def test_every_inclusion_proof_is_judged_as_the_peer_judges_it(peer_data: Path) -> None:
    wrong = []
    judged = {True: 0, False: 0}
    for one in vectors(peer_data / "merkle", "inclusion"):
        proof = [decoded(part) for part in one["proof"] or []]
        try:
            check_inclusion(one["leafIdx"], one["treeSize"], decoded(one["leafHash"]), proof, decoded(one["root"]))
            refused = False
        except ProofError:
            refused = True
        judged[refused] += 1
        if refused != one["wantErr"]:
            wrong.append(one["case"])
    assert not wrong
    assert min(judged.values()) > 5, judged


def test_every_consistency_proof_is_judged_as_the_peer_judges_it(peer_data: Path) -> None:
    wrong = []
    judged = {True: 0, False: 0}
    for one in vectors(peer_data / "merkle", "consistency"):
        proof = [decoded(part) for part in one["proof"] or []]
        try:
            check_consistency(one["size1"], one["size2"], decoded(one["root1"]), decoded(one["root2"]), proof)
            refused = False
        except ProofError:
            refused = True
        judged[refused] += 1
        if refused != one["wantErr"]:
            wrong.append(one["case"])
    assert not wrong
    assert min(judged.values()) > 5, judged
