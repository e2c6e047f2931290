"""The gate before the seal: what it refuses, what it only warns of, and what it does not ask twice."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from appliance.control.deciding.candidate import Candidate, Workshop
from appliance.control.deciding.gate import LISTED, Gate, Judged
from appliance.control.deciding.numbering import Numbers
from appliance.control.deciding.sources import SourceError, required
from appliance.policy.problem import PolicyError

HEAD = """reef: 1
site: t
zones:
  internet: {interfaces: [wan0], external: no}
  lan: {interfaces: [lan0], networks: [10.0.0.0/16]}
"""
RULE = "  - {id: R-%s, from: %s, to: %s, service: %s, action: allow, owner: o, why: w}\n"
OUT = RULE % (1, "lan", "internet", "https")
NEVER = "invariants: [{id: I-1, never: internet -> lan}]\n"
BASELINE = """reef: 1
baseline: country
first:
  - {id: B-1, from: role:internet, to: role:internal, service: telnet, action: deny, why: never}
locked: {settings.log_default: yes}
"""
OTHER = "reef: 1\nbaseline: other\nlocked: {settings.drift: repair}\n"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(Numbers(tmp_path / "numbers.json", lambda words: None))


def read(workshop: Workshop, text: str) -> Candidate:
    return workshop.read(text, "my.yaml", {}, {"country": BASELINE, "other": OTHER})


def refusal(gate: Gate, candidate: Candidate, *names: str) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        gate.judge(candidate, names)
    return [str(problem) for problem in refused.value.problems]


def test_a_broken_invariant_is_refused_under_the_name_of_the_text(workshop: Workshop) -> None:
    (told,) = refusal(Gate(), read(workshop, f"{HEAD}rules:\n{RULE % (2, 'internet', 'lan', 'ssh')}{NEVER}"))
    assert told.startswith("my.yaml:7:5: `R-2` allows internet -> lan, ssh, which `I-1` (my.yaml:8:14)")


def test_what_could_not_be_decided_is_refused_where_it_is_an_invariant(workshop: Workshop) -> None:
    told = refusal(Gate(budget=1), read(workshop, f"{HEAD}rules:\n{OUT}{NEVER}"))
    assert any("not decided: whether `I-1` holds" in line and "is not applied" in line for line in told)
    judged = Gate(budget=1).judge(read(workshop, f"{HEAD}rules:\n{OUT}{RULE % (2, 'lan', 'internet', 'https')}"), ())
    assert {finding.severity for finding in judged.findings} == {"warning"}


def test_a_required_baseline_is_missed_with_all_that_follows(workshop: Workshop) -> None:
    text = f"{HEAD}settings: {{log_default: no}}\nrules:\n{OUT}"
    told = refusal(Gate(), read(workshop, text), "country")
    assert told[0].startswith("my.yaml:2:1: the baseline `country` is required here")
    assert "locked at `yes` by the baseline `country`" in told[1]
    inheriting = read(workshop, f"{HEAD}inherits: [country]\nrules:\n{OUT}")
    assert Gate().judge(inheriting, ("country",)).findings == ()
    other = read(workshop, f"{HEAD}inherits: [other]\nrules:\n{OUT}")
    (line,) = refusal(Gate(), other, "country")
    assert line == (
        "my.yaml:6:1: the baseline `country` is required here, and this text does not inherit it; "
        "add `country` to `inherits`"
    )
    assert any("there is no baseline `nowhere`" in line for line in refusal(Gate(), other, "nowhere"))


def test_a_judgement_holds_for_the_same_text_and_the_same_list(workshop: Workshop) -> None:
    gate, candidate = Gate(), read(workshop, f"{HEAD}rules:\n{OUT}{RULE % (2, 'lan', 'internet', 'https')}")
    first, again = gate.judge(candidate, ()), gate.judge(candidate, ())
    assert first.findings == again.findings != ()
    refusal(gate, candidate, "country")


def test_the_loop_goes_on_while_a_text_is_judged(workshop: Workshop) -> None:
    entered, told = threading.Event(), threading.Event()

    class Slow(Gate):
        def judge(self, candidate: Candidate, required: tuple[str, ...]) -> Judged:
            entered.set()
            assert told.wait(30)
            return super().judge(candidate, required)

    async def run() -> Judged:
        judging = asyncio.create_task(Slow().judged(read(workshop, f"{HEAD}rules:\n{OUT}"), ()))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        told.set()  # only a loop that goes on comes here
        return await judging

    assert asyncio.run(run()).findings == ()


def test_a_difference_beyond_what_anybody_reads_is_counted(workshop: Workshop) -> None:
    empty = read(workshop, f"{HEAD}rules: []\n").policy
    rules = "".join(RULE % (n, "lan", "internet", f"tcp/{2 * n + 1}") for n in range(LISTED + 50))
    found = Gate().difference(empty, read(workshop, f"{HEAD}rules:\n{rules}").policy)
    assert found is not None
    assert (len(found.opened), found.unlisted, found.closed) == (LISTED, 50, ())
    assert Gate().difference(None, empty) is None


def test_the_list_of_required_baselines(tmp_path: Path) -> None:
    path = tmp_path / "required-baselines"
    assert required(path) == ()
    path.write_text("# the country's\nnational-baseline  # and why\n\nministry\nministry\n")
    assert required(path) == ("national-baseline", "ministry")
    path.write_text("national-baseline\n../etc/passwd\n")
    with pytest.raises(SourceError, match=r"line 2: `../etc/passwd` is not the name of a baseline"):
        required(path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")  # a list that is lost is no empty list
    with pytest.raises(SourceError):
        required(path)
