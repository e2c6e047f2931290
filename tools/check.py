"""`make check`: what can be said of the code without running it. Every check runs; exit code 1 if any failed."""

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
CODE = {".py", ".c", ".h", ".sh"}


def run(*command: str) -> bool:
    """Run a command in the checkout, let it speak, and say whether it passed."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


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


def python_style() -> bool:
    return run(str(BIN / "ruff"), "check", "--quiet", ".")


def python_format() -> bool:
    return run(str(BIN / "ruff"), "format", "--check", "--quiet", ".")


def python_types() -> bool:
    folders = [name for name in (*PACKAGES, "tests", "tools") if (ROOT / name).is_dir()]
    return run(str(BIN / "mypy"), "--no-error-summary", *folders)


def quiet(*command: str) -> bool:
    """Run a command in the checkout and show what it said only when it failed."""
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        print(result.stdout, end="", flush=True)
    return result.returncode == 0


def c_analysis() -> bool:
    """clang-tidy with the flags CMake compiled each file with; cppcheck over the same files."""
    sources = [str(path) for path in tracked(".c") if "dataplane" in path.parts and not path.name.endswith(".bpf.c")]
    build = str(ROOT / "build" / "c")
    configured = run(
        *("cmake", "-S", "dataplane", "-B", build, "-G", "Ninja", "--log-level=WARNING"),
        *("-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tidy = all(list(pool.map(lambda source: quiet("clang-tidy", "--quiet", "-p", build, source), sources)))
    cppcheck = run(
        *("cppcheck", "--quiet", "--std=c11", "--error-exitcode=1", "--inline-suppr", "-I", "dataplane/include"),
        *("--enable=warning,performance,portability", "--suppress=missingIncludeSystem"),
        *sources,
    )
    return configured and tidy and cppcheck


def shell_scripts() -> bool:
    scripts = [str(path) for path in tracked(".sh")] + [str(ROOT / ".ci" / "run")]
    return run("shellcheck", *scripts)


def import_directions() -> bool:
    """The test of it, by itself: seconds."""
    return run(sys.executable, "-m", "pytest", "-q", "--no-header", "tests/unit/test_import_direction.py")


def file_lengths() -> bool:
    passed = True
    for path in tracked(*CODE):
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > LONGEST_FILE:
            print(
                f"{path.relative_to(ROOT)}: {lines} lines; a file has {LONGEST_FILE} at most: give each noun its own"
            )
            passed = False
    return passed


def lock_file() -> bool:
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
                return True
            print(result.stderr)
            return False
        if again.read_text(encoding="utf-8") == before:
            return True
    print("requirements.lock is not what pyproject.toml asks for: run tools/lock.sh and commit both")
    return False


CHECKS: dict[str, Callable[[], bool]] = {
    "ruff check": python_style,
    "ruff format": python_format,
    "mypy --strict": python_types,
    "clang-tidy, cppcheck": c_analysis,
    "shellcheck": shell_scripts,
    "import directions": import_directions,
    "file lengths": file_lengths,
    "lock file": lock_file,
}


def main() -> int:
    failed = []
    for name, check in CHECKS.items():
        started = time.monotonic()
        passed = check()
        print(f"{'ok    ' if passed else 'FAILED'}  {name} ({time.monotonic() - started:.1f} s)", flush=True)
        if not passed:
            failed.append(name)
    if failed:
        print(f"check failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
