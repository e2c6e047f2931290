"""The C core's parsers under libFuzzer, with ASan and UBSan: no crash, no hang, no leak within the time given."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
CORPUS = ROOT / "tests" / "fuzz" / "c" / "corpus"
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests" / "fuzz" / "c").glob("fuzz_*.c"))
SECONDS = 3.0  # each, in CI


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the targets, built with clang. Of several processes of tests one builds, the others wait."""
    options = ["-DCMAKE_C_COMPILER=clang", "-DREEF_FUZZ=ON", "-DREEF_BUILD_TESTS=OFF"]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(
            ["cmake", "-S", ROOT / "dataplane", "-B", BUILD, "-G", "Ninja", "--log-level=WARNING", *options],
            check=True,
        )
        subprocess.run(["cmake", "--build", BUILD, "--", "--quiet"], check=True)
    return BUILD / "fuzz"


@pytest.mark.soak
@pytest.mark.timeout(600)  # the first one also builds
@pytest.mark.parametrize("target", TARGETS)
def test_parser_survives(target: str, programs: Path, budget: Callable[[float], float]) -> None:
    found = BUILD / "corpus" / target  # grows from run to run; what broke a parser lies beside it
    found.mkdir(parents=True, exist_ok=True)
    seconds = max(1, int(budget(SECONDS)))
    result = subprocess.run(
        [
            # It forks: a program's peak of memory, which is what libFuzzer limits, is else that of who started it.
            "timeout",
            str(seconds + 120),
            programs / f"fuzz_{target}",
            f"-max_total_time={seconds}",
            "-max_len=8192",
            "-timeout=10",
            "-rss_limit_mb=1024",
            f"-artifact_prefix={found.parent}/{target}-",
            found,
            CORPUS / target,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds + 180,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert "Done " in result.stderr


def test_seeds_are_what_the_script_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fuzz.c import seeds

    monkeypatch.setattr(seeds, "CORPUS", tmp_path)
    seeds.main()
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert written == sorted(path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file())
