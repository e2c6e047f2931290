"""`reef report` on a gateway that runs: what it says of the kernel is so, and it notices what is made wrong."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pypdf
import pytest

from appliance.control.processes import PROCESSES, load_instance
from appliance.lab.registry import instance_file
from appliance.lab.site import Lab
from appliance.report.report import Judgement, Report
from tests.netns.conftest import until
from tests.netns.readable import readable

ROOT = Path(__file__).parents[2]


def reef(lab: Lab, *arguments: str, code: int = 0, prefix: tuple[str, ...] = ()) -> bytes:
    """The output of `reef` for the lab's gateway; with `prefix` run by that command, as another user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REEF_", "SSH_"))}
    environment = kept | {"PYTHONPATH": str(ROOT), "REEF_LAB": lab.lab}
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "appliance.cli", *arguments],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=readable if prefix else None,
    )
    while True:
        try:
            out, err = process.communicate(timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            lab.poll(0.02)
    assert process.returncode == code, err.decode()
    return out


def report(lab: Lab, *arguments: str) -> dict[str, Judgement]:
    """The judgements of a report on what runs, by check."""
    made = msgspec.json.decode(reef(lab, "report", "--json", *arguments), type=Report)
    assert made.subject.kind == "running"
    assert all(shown.genuine for one in made.judgements for shown in one.evidence)
    return {one.check: one for one in made.judgements}


@pytest.fixture(scope="module")
def judged(lab: Lab) -> dict[str, Judgement]:
    def compared() -> bool:
        return msgspec.json.decode(reef(lab, "show", "status", "--json"))["runs"] is not None

    until(compared, "what runs was read back", lab=lab, patience=60)
    return report(lab)


RUNNING = (
    "hooks_drop", "spoofing_loaded", "confirmed", "no_drift", "runs_as_meant", "alive", "well", "sealed",
    "accountable", "counted", "sandboxed", "keys_alone", "nobody_writes", "redirects", "silent_on_routes",
    "no_advertised_routes", "disk_room", "baseline_current",
)  # fmt: skip


@pytest.mark.parametrize("check", RUNNING)
def test_a_sound_gateway_passes(judged: dict[str, Judgement], check: str) -> None:
    one = judged[check]
    assert one.outcome == "pass", (one.words, one.findings)
    assert one.evidence


def test_the_evidence_is_of_the_gateway_and_not_of_the_host(lab: Lab, judged: dict[str, Judgement]) -> None:
    shown = judged["hooks_drop"].evidence[0]
    assert "nft -j list chains inet" in shown.query
    assert shown.value == '{"forward":"drop","input":"drop","output":"drop"}'
    names = {row.name for row in PROCESSES}
    value = msgspec.json.decode(judged["sandboxed"].evidence[0].value)
    assert set(value) == names
    assert value["applyd"][0] == ["CAP_NET_ADMIN"]


def test_the_same_question_asked_by_hand_has_the_same_answer(judged: dict[str, Judgement]) -> None:
    """Every query is a command that a person can repeat."""
    shown = judged["redirects"].evidence[0]
    answer = subprocess.run(shown.query.split(), capture_output=True, text=True, check=False).stdout
    said = msgspec.json.decode(shown.value, type=dict[str, str])
    assert {f"{name} = {value}" for name, value in said.items()} <= set(answer.splitlines())


def test_what_does_not_exist_yet_never_passes(lab: Lab) -> None:
    made = msgspec.json.decode(reef(lab, "report", "--json"), type=Report)
    answers = {(section.id, answer.clause): answer for section in made.sections for answer in section.answers}
    for clause in (("nist-800-41", "2.1.6"), ("cis-8.1", "9.6"), ("iso-27033-4", "9.4"), ("x805", "8.1")):
        assert answers[clause].outcome == "unknown", answers[clause]
        assert "not there yet" in answers[clause].words


def test_an_operator_is_told_what_only_root_can_look_at(lab: Lab) -> None:
    instance = load_instance(instance_file(lab.lab))
    operator = ("setpriv", "--reuid=65534", "--regid=65534", f"--groups={instance.operators}")
    made = msgspec.json.decode(reef(lab, "report", "--json", prefix=operator), type=Report)
    judgements = {one.check: one for one in made.judgements}
    for check in ("hooks_drop", "redirects", "sealed"):
        assert judgements[check].outcome == "unknown"
        assert "root" in judgements[check].words
    for check in ("confirmed", "no_drift", "sandboxed", "no_way_in"):
        assert judgements[check].outcome == "pass", judgements[check]


def test_a_setting_that_somebody_changed_is_a_failure(lab: Lab, judged: dict[str, Judgement]) -> None:
    query = judged["silent_on_routes"].evidence[0].query
    inside = query.split("sysctl", 1)[0].split()
    wrong = "net.ipv4.conf.all.send_redirects"
    try:
        subprocess.run([*inside, "sysctl", "-q", "-w", f"{wrong}=1"], check=True)
        one = report(lab, "--standard", "iso-27033-4")["silent_on_routes"]
        assert one.outcome == "fail"
        assert one.findings == (f"{wrong} is 1",)
    finally:
        subprocess.run([*inside, "sysctl", "-q", "-w", f"{wrong}=0"], check=True)


def test_a_chain_of_somebody_else_is_not_the_gateways(lab: Lab, judged: dict[str, Judgement]) -> None:
    inside = judged["hooks_drop"].evidence[0].query.split("nft", 1)[0].split()
    rogue = "add table inet rogue; add chain inet rogue open { type filter hook forward priority 10; policy accept; }"
    try:
        subprocess.run([*inside, "nft", rogue], check=True)
        assert report(lab, "--standard", "iso-27033-4")["hooks_drop"].outcome == "pass"
    finally:
        subprocess.run([*inside, "nft", "delete table inet rogue"], check=True)


def test_a_damaged_generation_fails_its_seal(lab: Lab, judged: dict[str, Judgement]) -> None:
    path = Path(judged["sealed"].evidence[0].query.split(" in ", 1)[1].split(",", 1)[0])
    data = path.read_bytes()
    try:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        one = report(lab, "--standard", "iso-27033-4")["sealed"]
        assert one.outcome == "fail"
        # Its text cannot be had either: what needs it is left open, and nothing of it passes.
        assert report(lab, "--standard", "iso-27033-4")["no_way_in"].outcome == "unknown"
    finally:
        path.write_bytes(data)
    assert report(lab, "--standard", "iso-27033-4")["sealed"].outcome == "pass"


def test_a_key_that_others_can_read_is_a_failure(lab: Lab, judged: dict[str, Judgement]) -> None:
    paths = msgspec.json.decode(judged["keys_alone"].evidence[0].value, type=dict[str, str])
    key = Path(next(path for path in paths if path.endswith("signing.key")))
    try:
        key.chmod(0o644)
        one = report(lab, "--standard", "iso-27033-4")["keys_alone"]
        assert one.outcome == "fail"
        assert one.findings == (f"{key} has mode 0644",)
    finally:
        key.chmod(0o600)


def test_a_baseline_that_changed_since_is_a_failure(lab: Lab, judged: dict[str, Judgement]) -> None:
    folder = Path(judged["baseline_current"].evidence[1].query.split()[1]).parent
    baseline = folder / "national-baseline.yaml"
    text = baseline.read_text()
    try:
        baseline.write_text(text + "# stricter\n")
        one = report(lab, "--standard", "cis-8.1")["baseline_current"]
        assert one.outcome == "fail"
        assert "national-baseline changed" in one.findings[0]
    finally:
        baseline.write_text(text)


@pytest.mark.timeout(180)  # a PDF takes seconds of a free core
def test_the_pdf_of_a_gateway_says_its_site(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    reef(lab, "report", "--format", "pdf", "--output", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    pages = pypdf.PdfReader(io.BytesIO(file.read_bytes())).pages
    assert "lab-ministry" in pages[0].extract_text()


def test_a_failure_can_fail_a_pipeline(lab: Lab) -> None:
    assert reef(lab, "report", "--fail-on", "fail", code=1)
    assert reef(lab, "report", code=0)
