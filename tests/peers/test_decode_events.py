"""What decoding finds malformed, as often as Suricata finds it in the same captures.

The tests of Suricata's own suite that count decode events, but those of defragmentation, which is not built yet.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from tests.peers.eve import eve

EVENT = re.compile(r"decode-event: ?([a-z0-9_.]+)")
NUMBER = re.compile(r"sid: ?(\d+)")


def expected(test: Path) -> Counter[str]:
    """Event -> in how many packets Suricata sees it, where this test's checks count exactly that."""
    events = {}
    for line in (test / "test.rules").read_text(encoding="utf-8").splitlines():
        event, number = EVENT.search(line), NUMBER.search(line)
        if event and number and not line.startswith("#") and "frag_" not in event[1]:
            events[int(number[1])] = event[1]
    counts: Counter[str] = Counter()
    for check in json.loads((test / "test.json").read_text(encoding="utf-8"))["checks"]:
        event_name = events.get(check["match"].get("alert.signature_id"))
        if event_name is not None:
            counts[event_name] += check["count"]
    return counts


def found(test: Path) -> Counter[str]:
    anomalies = (json.loads(line) for line in eve(test / "input.pcap") if b'"event_type":"anomaly"' in line)
    return Counter(event["anomaly"]["event"].removeprefix("decoder.") for event in anomalies)


def test_decode_events_are_counted_as_suricata_counts_them(peer_data: Path) -> None:
    differences = {}
    compared = 0
    for test in sorted((peer_data / "suricata-verify" / "tests").iterdir()):
        wanted = expected(test)
        if not wanted:
            continue
        got = found(test)
        compared += len(wanted)
        for name, count in wanted.items():
            if got[name] != count:
                differences[test.name, name] = (count, got[name])
    assert compared > 10
    assert differences == {}
