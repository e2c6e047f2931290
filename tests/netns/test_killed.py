"""kill -9 of keyd, applyd and policyd at random points of an apply: the ruleset is always one whole generation."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from appliance.control import ipc
from appliance.control.messages import gateway as messages
from appliance.policy.compiling import bundle as bundles
from appliance.policy.compiling.delta import render
from tests.netns.stand import LINKS, Stand, policy, rule

VICTIMS = ("keyd", "applyd", "policyd")
ROUNDS = 20  # at least, of each of two stands; every round kills each process once: 120 kills
TEXTS = (
    policy(rule("R-1"), rule("R-2", "tcp/80")),
    policy(rule("R-1"), rule("R-3", "udp/53", limit="10/second"), rule("R-4", "tcp/22", log="start")),
)


class Trial:
    """One stand, its rounds, and what was found wrong."""

    def __init__(self, seed: int, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.random = random.Random(seed)
        self.seed = seed
        self.ends: Counter[str] = Counter()
        self.kills = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with Stand() as stand:
                begun = time.monotonic()
                stand.apply(TEXTS[0])  # with cold caches, as after every kill
                self.window = 1.5 * (time.monotonic() - begun)
                for number in itertools.count():
                    if number >= ROUNDS and time.monotonic() > self.end:
                        break
                    self.round(stand, number)
        except BaseException as error:
            self.error = error
            raise

    def round(self, stand: Stand, number: int) -> None:
        base = stand.status().running
        text = TEXTS[number % 2]
        confirm_within, confirms = self.random.choice(((0, False), (60, False), (60, True)))
        outcome: list[str] = []
        applying = threading.Thread(target=self.apply, args=(stand, text, base, confirm_within, confirms, outcome))
        delays = {name: self.random.uniform(0, self.window) for name in VICTIMS}
        if self.random.random() < 0.7:
            # Mostly one process dies in the middle and the others at the end, so that each is hit at every step.
            chosen = self.random.choice(VICTIMS)
            delays = {name: delay if name == chosen else 4 * self.window for name, delay in delays.items()}
        begun = time.monotonic()
        applying.start()
        for name, delay in sorted(delays.items(), key=lambda item: item[1]):
            time.sleep(max(0.0, begun + delay - time.monotonic()))
            stand.kill(name)
            self.kills += 1
        applying.join(30)
        assert not applying.is_alive(), "the client hangs"
        for name in VICTIMS:
            stand.start(name)
        for name in VICTIMS:
            stand.wait_for(name)
        self.ends[outcome[0]] += 1
        self.check(stand, base, outcome[0], confirm_within, confirms)

    @staticmethod
    def apply(stand: Stand, text: str, base: int, confirm_within: int, confirms: bool, outcome: list[str]) -> None:
        try:
            applied = stand.ask(messages.Apply(text, base, "killed", confirm_within=confirm_within), messages.Applied)
        except ipc.RefusedError as error:
            outcome.append(f"refused: {error.reply.code} {error.reply.message[:60]}")
        except (ipc.DaemonAway, ipc.ProtocolError) as error:
            outcome.append(type(error).__name__)
        else:
            outcome.append("applied" if applied.generation > base else "odd")
        if confirms and outcome == ["applied"]:
            try:
                stand.ask(messages.Confirm(), messages.Confirmed)
            except (ipc.RefusedError, ipc.DaemonAway, ipc.ProtocolError) as error:
                outcome[0] = f"confirm: {type(error).__name__}"
            else:
                outcome[0] = "confirmed"

    def check(self, stand: Stand, base: int, outcome: str, confirm_within: int, confirms: bool) -> None:
        status = stand.status()
        where = f"seed {self.seed}, {outcome}, base {base}, {status}; log:\n{stand.words()[-3000:]}"
        assert status.confirm_by == 0, where  # applyd was killed, so nothing can still wait
        assert status.running == status.confirmed, where
        if outcome == "confirmed" or (outcome == "applied" and confirm_within == 0):
            assert status.running > base, where  # what was answered for stays
        if confirm_within and not confirms:
            assert status.running == base, where  # nobody confirmed
        bundle = stand.bundle(status.confirmed)
        assert bundle.text in TEXTS, where
        assert stand.marker().startswith(f"generation_{status.running}_"), where
        held, wanted = self.listing(stand), self.reference(stand, bundle)
        assert held == wanted, where
        assert status.drift == "", where

    @staticmethod
    def listing(stand: Stand) -> list[str]:
        return parts(stand.sh("nft -s list table inet reef"))

    @staticmethod
    def reference(stand: Stand, bundle: bundles.Bundle) -> list[str]:
        """What a fresh kernel table holds after loading that generation from nothing."""
        file = stand.file.with_name("reference.nft")
        file.write_text(render(bundle.ruleset))
        # The table names interfaces that are there.
        links = "".join(f"ip link add {name} type veth peer name {name}p && " for name in LINKS)
        command = f"{links}nft -f {file} && nft -s list table inet reef"
        return parts(subprocess.check_output(["unshare", "-n", "sh", "-c", command], text=True))


def parts(listing: str) -> list[str]:
    """The table's chains, sets and counters in an order of their own, without the marker of the generation."""
    found = re.findall(r"^\t\w+ [^\n]* \{\n.*?^\t\}$", listing, re.DOTALL | re.MULTILINE)
    return sorted(part for part in found if not part.startswith("\tchain generation_"))


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_killed_process_never_leaves_half_a_generation(budget: Callable[[float], float]) -> None:
    trials = [Trial(seed, budget(0.0)) for seed in (1, 2)]
    threads = [threading.Thread(target=trial.run) for trial in trials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for trial in trials:
        if trial.error is not None:
            raise AssertionError(f"seed {trial.seed} after {trial.kills} kills: {trial.error}") from trial.error
    assert sum(trial.kills for trial in trials) >= 2 * ROUNDS * len(VICTIMS)
    ends = sum((trial.ends for trial in trials), Counter())
    # Both kinds of end were really seen: some applies got through before the kill, some did not.
    through = ends["applied"] + ends["confirmed"]
    assert through >= 1, ends
    assert ends.total() - through >= 1, ends
