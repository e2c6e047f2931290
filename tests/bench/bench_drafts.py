"""Drafts: from a keystroke in a text of 10,000 rules to its proof, and how long others wait meanwhile."""

from __future__ import annotations

import statistics
import threading
import time

from appliance.control import ipc
from appliance.control.messages.changes import Draft, DraftChecked, Edit, EditDraft, Marks, MarksAre, OpenDraft
from tests.bench.bench_apply import text
from tests.bench.table import Row
from tests.netns.stand import Stand

RULES = 10_000


def _typed(stand: Stand, draft: Draft, at: int, times: int) -> list[float]:
    """Seconds from each keystroke to the answer with its proof: a letter comes, and the next time it goes."""
    taken = []
    version = draft.version
    for number in range(times):
        edit = Edit(at, at + number % 2, "x" if number % 2 == 0 else "")
        begun = time.perf_counter()
        checked = stand.ask(EditDraft(draft.id, version, (edit,), "typing"), DraftChecked)
        taken.append(time.perf_counter() - begun)
        assert checked.proof is not None
        version = checked.draft.version
    return taken


def _asked(stand: Stand, stop: threading.Event, taken: list[float]) -> None:
    """What somebody waits who asks policyd for something else meanwhile."""
    while not stop.wait(0.01):
        begun = time.perf_counter()
        ipc.call(stand.instance.socket("policyd"), Marks(), MarksAre)
        taken.append(time.perf_counter() - begun)


def main(*, quick: bool) -> list[Row]:
    count, times = (1_000, 20) if quick else (RULES, 100)
    with Stand() as stand:
        plain = text(count)
        begun = time.perf_counter()
        draft = stand.ask(OpenDraft("a draft", text=plain), Draft)
        opened = time.perf_counter() - begun
        stop = threading.Event()
        waited: list[float] = []
        other = threading.Thread(target=_asked, args=(stand, stop, waited))
        other.start()
        try:
            typed = _typed(stand, draft, plain.index("rule number ", len(plain) // 2), times)
        finally:
            stop.set()
            other.join()
    most = statistics.quantiles(waited, n=20)[-1]
    median, worst = statistics.median(typed), max(typed)
    return [
        Row(
            f"keystroke to proof in a draft of {count:,} rules, {len(plain) / 1e6:.1f} MB",
            f"median {median * 1000:.0f} ms, worst {worst * 1000:.0f} ms; opened in {opened:.2f} s",
            wanted="< 150 ms",
            holds=median < 0.15,
        ),
        Row(
            "what somebody else waits for policyd meanwhile",
            f"median {statistics.median(waited) * 1000:.0f} ms, 95 % within {most * 1000:.0f} ms",
            wanted="< 150 ms",
            holds=most < 0.15,
        ),
    ]
