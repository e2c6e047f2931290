"""`make check`: what can be said of the code without running it. Every check runs; exit code 1 if any failed.

A check is a list of jobs; the jobs of all of them share the cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PACKAGES = ("appliance", "crypto", "ctypes_ext", "dataplane", "mail_relay", "voip_policy", "firmware")
LONGEST_FILE = 600
MADE = "Made by tools/"  # near the beginning of what nobody writes or reads line by line
CODE = {".py", ".c", ".h", ".sh", ".ts", ".svelte", ".css"}

Job = Callable[[], str]  # what is wrong, in words; "" for nothing


def command(*words: str | Path) -> Job:
    """A command in the checkout that ends with 0 when nothing is wrong."""

    def run() -> str:
        result = subprocess.run(
            words, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return "" if result.returncode == 0 else result.stdout or f"{words[0]}: status {result.returncode}\n"

    return run


def tracked(*suffixes: str) -> list[Path]:
    """The files under version control (and new ones not ignored) with one of the suffixes."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / line for line in listing.splitlines())
    return sorted(path for path in paths if path.suffix in suffixes and path.is_file())


def python_types() -> list[Job]:
    folders = [name for name in (*PACKAGES, "tests", "tools") if (ROOT / name).is_dir()]
    return [command(BIN / "mypy", "--no-error-summary", *folders)]


def c_sources() -> list[Path]:
    return [path for path in tracked(".c") if "dataplane" in path.parts and not path.name.endswith(".bpf.c")]


def clang_tidy() -> list[Job]:
    """With the flags CMake compiles each file with."""
    build = ROOT / "build" / "c"
    configured = command(
        *("cmake", "-S", "dataplane", "-B", build, "-G", "Ninja", "--log-level=WARNING"),
        *("-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
    )()
    return [lambda: configured, *(command("clang-tidy", "--quiet", "-p", build, source) for source in c_sources())]


def cppcheck() -> list[Job]:
    words = (
        *("cppcheck", "--quiet", "--std=c11", "--error-exitcode=1", "--inline-suppr", "-I", "dataplane/include"),
        *("--enable=warning,performance,portability", "--suppress=missingIncludeSystem"),
    )
    return [command(*words, *c_sources())]


def file_lengths() -> str:
    texts = {path: path.read_text(encoding="utf-8") for path in tracked(*CODE)}
    lines = {path: text.count("\n") for path, text in texts.items() if MADE not in text[:400]}
    return "".join(
        f"{path.relative_to(ROOT)}: {count} lines; a file has {LONGEST_FILE} at most: give each noun its own\n"
        for path, count in lines.items()
        if count > LONGEST_FILE
    )


def lock_file() -> str:
    """The lock holds what pyproject.toml asks for: compiled again, its own pins preferred, nothing changes."""
    lock = ROOT / "requirements.lock"
    before = lock.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "requirements.lock"
        again.write_text(before, encoding="utf-8")
        result = subprocess.run([ROOT / "tools" / "lock.sh", again], check=False, capture_output=True, text=True)
        if result.returncode != 0:
            # Without the package index nothing can be compared; that is the network's failure, not the lock's.
            if "error sending request" in result.stderr or "Failed to fetch" in result.stderr:
                print("the package index cannot be reached: the lock file was not compared")
                return ""
            return result.stderr or "tools/lock.sh failed\n"
        if again.read_text(encoding="utf-8") == before:
            return ""
    return "requirements.lock is not what pyproject.toml asks for: run tools/lock.sh and commit both\n"


def checks() -> dict[str, list[Job]]:
    """The long ones first."""
    pytest = (sys.executable, "-m", "pytest", "-q", "--no-header")
    return {
        "mypy --strict": python_types(),
        "cppcheck": cppcheck(),
        "clang-tidy": clang_tidy(),
        "the console's page": [command(sys.executable, "tools/web.py", "check")],
        "lock file": [lock_file],
        "import directions": [command(*pytest, "tests/unit/test_import_direction.py")],
        "ruff check": [command(BIN / "ruff", "check", "--quiet", ".")],
        "ruff format": [command(BIN / "ruff", "format", "--check", "--quiet", ".")],
        "shellcheck": [command("shellcheck", *tracked(".sh"), ROOT / ".ci" / "run")],
        "file lengths": [file_lengths],
    }


def timed(job: Job) -> tuple[str, float]:
    started = time.monotonic()
    return job(), time.monotonic() - started


def main() -> int:
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = {name: [pool.submit(timed, job) for job in jobs] for name, jobs in checks().items()}
        for name, futures in begun.items():
            wrong = "".join(future.result()[0] for future in futures)
            seconds = sum(future.result()[1] for future in futures)
            print(f"{wrong}{'FAILED' if wrong else 'ok    '}  {name} ({seconds:.1f} s)", flush=True)
            if wrong:
                failed.append(name)
    if failed:
        print(f"check failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
