"""The distribution: a wheel holds every package, the native modules built for this Python, and the `reef` command."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("appliance", "crypto", "ctypes_ext", "dataplane")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    result = subprocess.run(
        [*command, str(folder), f"--config-settings=build-dir={folder / 'build'}", "."],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"no wheel could be built:\n{result.stdout}\n{result.stderr}"
    content = folder / "content"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(content)
    return content


@pytest.mark.timeout(300)
def test_the_wheel_holds_every_python_file(wheel: Path) -> None:
    files = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert sorted(name for name in files if not (wheel / name).is_file()) == []


@pytest.mark.timeout(300)
def test_the_wheel_holds_every_native_module_built_for_this_python(wheel: Path) -> None:
    recipes = sorted(path.stem.removesuffix("_build") for path in (ROOT / "ctypes_ext").glob("*_build.py"))
    assert recipes
    program = (
        "import importlib, sys; sys.path[:0] = sys.argv[1:3]\n"
        "for name in sys.argv[3:]: print(importlib.import_module('ctypes_ext._' + name).__file__)\n"
    )
    # -S: the editable install of the checkout, which site would bring in, must not answer for the wheel
    command = [sys.executable, "-S", "-P", "-c", program, str(wheel), sysconfig.get_path("purelib"), *recipes]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert all(Path(line).is_relative_to(wheel) for line in result.stdout.splitlines()), result.stdout


@pytest.mark.timeout(300)
def test_the_wheel_leaves_c_sources_and_tests_at_home(wheel: Path) -> None:
    assert sorted(path.name for path in wheel.rglob("*.c")) == []
    assert sorted(path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")) == sorted(PACKAGES)


@pytest.mark.timeout(300)
def test_the_wheel_gives_the_reef_command(wheel: Path) -> None:
    entry_points = next(wheel.glob("*.dist-info")) / "entry_points.txt"
    assert "reef=appliance.cli:main" in entry_points.read_text(encoding="utf-8").replace(" ", "")
