"""A run of the tests in several parts: which stand beside which, and one count at the end of all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.run import PYTEST_TIERS, ROOT, parts_of

CONFTEST = """
from tests import parts

def pytest_addoption(parser):
    parts.add_options(parser)

def pytest_configure(config):
    parts.register(config)
"""


def test_machines_run_beside_what_waits_and_what_is_measured_comes_last_and_alone() -> None:
    parts = parts_of(PYTEST_TIERS)
    assert parts == [("unit", "golden", "model", "fuzz"), ("vm",), ("netns", "browser", "peers"), ("bench",)]
    assert sorted(tier for part in parts for tier in part) == sorted(PYTEST_TIERS)


def test_a_tier_runs_in_one_part_and_without_a_last_one_nothing_stands_beside() -> None:
    for tier in PYTEST_TIERS:
        assert parts_of((tier,)) == [(tier,)]
    assert parts_of(("netns", "vm")) == [("netns", "vm")]
    assert parts_of(("unit", "vm", "bench")) == [("unit",), ("vm", "bench")]


def test_the_last_part_counts_and_lists_what_all_found(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_one.py").write_text("def test_well(): pass\ndef test_ill(): assert 1 == 2\n")
    (tmp_path / "test_two.py").write_text("def test_well(): pass\n")
    (tmp_path / "test_three.py").write_text("def test_well(): pass\ndef test_too(): pass\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    kept = [tmp_path / name for name in ("one", "two")]
    for file in kept:
        command = [*pytest, str(tmp_path / f"test_{file.name}.py"), f"--keep-reports={file}"]
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    last = [*pytest, str(tmp_path / "test_three.py"), *(f"--count-reports={file}" for file in kept)]
    done = subprocess.run(last, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "FAILED test_one.py::test_ill" in done.stdout
    assert "1 failed, 4 passed" in done.stdout.splitlines()[-1]
    kept[1].unlink()
    done = subprocess.run(last, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "a part before ended without reports" in done.stdout


def test_what_runs_beside_is_printed_when_it_has_ended(tmp_path: Path) -> None:
    program = "print('said by it'); raise SystemExit(3)"
    code = (
        "from pathlib import Path; from tests.run import Beside\n"
        f"one = Beside([{sys.executable!r}, '-c', {program!r}], Path('said'))\n"
        "print('meanwhile', flush=True)\n"
        "print('ended with', one.end())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "meanwhile\nsaid by it\nended with 3\n"


def test_no_property_is_refused_for_the_time_that_an_example_took() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
