"""The distribution: a wheel holds every package, the native modules built for this Python, and the `reef` command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("appliance", "crypto", "ctypes_ext", "dataplane")


def build(source: Path, folder: Path) -> Path:
    """The wheel of a source tree, built in `folder` as a release is."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    result = subprocess.run(
        [*command, str(folder), f"--config-settings=build-dir={folder / 'build'}", "."],
        cwd=source,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"no wheel could be built:\n{result.stdout}\n{result.stderr}"
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What goes into the distribution, in a place of its own."""
    folder = tmp_path_factory.mktemp("one") / "tree"
    folder.mkdir()
    for name in ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "node_modules")
        )
    return folder


@pytest.fixture(scope="module")
def archive(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel(archive: Path) -> Path:
    """The wheel, unpacked."""
    content = archive.parent / "content"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(content)
    return content


@pytest.mark.timeout(900)
def test_built_elsewhere_it_is_the_same_bit_for_bit(source: Path, archive: Path, tmp_path: Path) -> None:
    """R36: with the release's time (SOURCE_DATE_EPOCH), compiler and Python anybody can build it again."""
    elsewhere = tmp_path / "quite" / "another" / "place"
    shutil.copytree(source, elsewhere)
    again = build(elsewhere, tmp_path)
    with zipfile.ZipFile(archive) as one, zipfile.ZipFile(again) as other:
        differ = [name for name in one.namelist() if one.read(name) != other.read(name)]
    assert differ == []
    assert archive.read_bytes() == again.read_bytes()


@pytest.mark.timeout(900)
def test_the_wheel_holds_every_python_file(wheel: Path) -> None:
    files = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert sorted(name for name in files if not (wheel / name).is_file()) == []


@pytest.mark.timeout(900)
def test_the_wheel_holds_the_data_that_python_reads(wheel: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for suffix in ("toml", "css", "html", "js")
        for path in (ROOT / "appliance").rglob(f"*.{suffix}")
        if not path.is_relative_to(ROOT / "appliance" / "console" / "web")  # what the page is built from
    }
    assert {"appliance/console/static/index.html", "appliance/report/page.css"} <= files
    assert sorted(name for name in files if not (wheel / name).is_file()) == []


@pytest.mark.timeout(900)
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


@pytest.mark.timeout(900)
def test_the_wheel_leaves_c_sources_and_tests_at_home(wheel: Path) -> None:
    assert sorted(path.name for path in wheel.rglob("*") if path.suffix in {".c", ".h", ".def"}) == []
    assert sorted(path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")) == sorted(PACKAGES)


@pytest.mark.timeout(900)
def test_the_wheel_gives_the_reef_command(wheel: Path) -> None:
    entry_points = next(wheel.glob("*.dist-info")) / "entry_points.txt"
    assert "reef=appliance.cli:main" in entry_points.read_text(encoding="utf-8").replace(" ", "")
