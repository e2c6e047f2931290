"""`reef report` of a text: formats, files, exit codes, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pypdf
import pytest

from appliance.cli import main
from appliance.report.report import Report

ROOT = Path(__file__).parents[2]
MINISTRY = str(ROOT / "examples" / "lab" / "ministry.yaml")
WRONG = "reef: 1\nsite: x\nzones: {lan: {interfaces: [lan0], role: dmzz}}\n"


def run(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, bytes, str]:
    code = main(["report", *arguments])
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


def test_a_text_is_judged_and_says_that_it_runs_nowhere(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, out, err = run(capfdbinary, MINISTRY)
    assert (code, err) == (0, "")
    assert f"lab-ministry, the text {MINISTRY} (it runs nowhere)" in out.decode()
    assert "CANNOT BE EVALUATED" in out.decode()


def test_brief_is_its_first_page(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _, whole, _ = run(capfdbinary, MINISTRY, "--fail-on", "never")
    code, out, _ = run(capfdbinary, MINISTRY, "--brief")
    assert code == 0
    text = out.decode()
    assert "What to mend first" in text and "What is not covered" in text
    assert len(text.splitlines()) < len(whole.splitlines()) / 5
    assert "SHA-256 " not in text.split("Of 160 clauses")[1]


def test_json_is_the_whole_report(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, out, _ = run(capfdbinary, MINISTRY, "--json")
    made = msgspec.json.decode(out, type=Report)
    assert code == 0
    assert [section.id for section in made.sections] == ["iso-27033-4", "x805", "nist-800-41", "cis-8.1"]
    assert made.subject.kind == "text"


def test_html_goes_to_a_file_that_nobody_else_can_read(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    code, out, err = run(capfdbinary, MINISTRY, "--format", "html", "--output", str(file))
    assert (code, out) == (0, b"")
    assert err.startswith(f"{file}: Of 160 clauses")
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(180)  # a PDF takes seconds of a free core
def test_a_kept_report_is_written_again_in_another_form(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    kept = tmp_path / "report.json"
    run(capfdbinary, MINISTRY, "--json", "--output", str(kept))
    _, text, _ = run(capfdbinary, "--read", str(kept))
    assert "lab-ministry" in text.decode()
    _, pdf, _ = run(capfdbinary, "--read", str(kept), "--format", "pdf")
    assert "lab-ministry" in pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


def test_a_report_that_somebody_changed_is_refused(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    run(capfdbinary, MINISTRY, "--json", "--output", str(kept))
    made = json.loads(kept.read_text())
    one = next(one for one in made["judgements"] if one["check"] == "antispoofing")
    one["evidence"][0]["value"] = one["evidence"][0]["value"].replace("true", "false")
    kept.write_text(json.dumps(made))
    code, _, err = run(capfdbinary, "--read", str(kept))
    assert code == 1
    assert "the evidence of antispoofing is not what its digest says" in err


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"format": 9}'])
def test_what_is_no_report_is_refused(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, content: bytes
) -> None:
    kept = tmp_path / "report.json"
    kept.write_bytes(content)
    code, _, err = run(capfdbinary, "--read", str(kept))
    assert code == 1
    assert "no report" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((MINISTRY, "--brief", "--format", "html"), 2, "--brief shortens the text"),
        (("--read", "/nowhere/report.json"), 1, "No such file"),
        (("--read", "x.json", MINISTRY), 2, "leave POLICY and --standard out"),
        (("--instance", "/nowhere/instance.json"), 3, "is a gateway running here?"),
        ((MINISTRY, "--output", "/nowhere/report.html"), 1, "cannot be written"),
        (("/nowhere/policy.yaml",), 1, "No such file"),
    ],
)
def test_what_cannot_be_is_said(
    capfdbinary: pytest.CaptureFixture[bytes], arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = run(capfdbinary, *arguments)
    assert (found, out) == (code, b"")
    assert said in err


def test_a_text_with_errors_shows_them(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(WRONG)
    code, _, err = run(capfdbinary, str(file))
    assert code == 1
    assert "did you mean `dmz`?" in err


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("fail", 1), ("open", 1)])
def test_a_pipeline_can_fail_on_it(capfdbinary: pytest.CaptureFixture[bytes], fail_on: str, code: int) -> None:
    assert run(capfdbinary, MINISTRY, "--fail-on", fail_on)[0] == code


def test_a_single_standard(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _, out, _ = run(capfdbinary, MINISTRY, "--standard", "x805")
    assert "X.805" in out.decode()
    assert "NIST" not in out.decode()


def test_the_other_verbs_do_not_load_the_typesetter() -> None:
    program = (
        "import sys\nfrom appliance.cli import main\n"
        f"main(['report', {MINISTRY!r}, '--standard', 'cis-8.1', '--output', '/dev/null/x'])\n"
        "assert not {'weasyprint', 'PIL', 'fontTools'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
