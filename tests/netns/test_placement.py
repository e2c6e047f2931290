"""A daemon can read its code wherever the checkout lies, and sees nothing else of a closed directory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import msgspec
import pytest

from appliance.control.placement import closed_ancestor
from tests.netns.conftest import lab_id

ROOT = Path(__file__).resolve().parents[2]
# What the gateway's processes import; the rest of the environment is for tests and checks.
NEEDED = (
    "msgspec", "yaml", "_yaml", "cffi", "_cffi_backend*", "pyroute2", "cryptography", "dns", "rich", "pygments",
    "uvloop", "aiohttp", "aiohappyeyeballs", "aiosignal", "attr", "attrs", "frozenlist", "multidict", "propcache",
    "yarl", "idna", "typing_extensions.py", "zstandard",
    "webauthn", "cbor2", "segno", "pyasn1", "pyasn1_modules", "OpenSSL", "joserfc", "jinja2", "markupsafe",
    "reef_gateway*.dist-info",
)  # fmt: skip
CODE = ("appliance", "crypto", "ctypes_ext", "dataplane", "examples")
IGNORED = shutil.ignore_patterns("__pycache__", "node_modules")

PROBE = """
import json, os, sys
from pathlib import Path
from appliance.control.placement import Placement, enter_placement
closed, checkout = Path(sys.argv[1]), Path(sys.argv[2])
enter_placement(Placement(roots=(str(checkout),)))
os.setresuid(65534, 65534, 65534)
def tries(path):
    try:
        return path.read_text()
    except OSError as error:
        return type(error).__name__
print(json.dumps([tries(checkout / "code.py"), tries(closed / "secret"), sorted(os.listdir(closed))]))
"""


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A directory that only root may pass, with a checkout and a secret in it; what is above is open."""
    for directory in tmp_path.parents:
        mode = directory.stat().st_mode
        if not mode & 0o001:
            directory.chmod(mode | 0o011)
    tmp_path.chmod(0o755)
    folder = tmp_path / "root"
    (folder / "src" / "checkout").mkdir(parents=True)
    (folder / "src" / "checkout" / "code.py").write_text("the code")
    (folder / "secret").write_text("a secret")
    (folder / "secret").chmod(0o644)
    folder.chmod(0o700)
    return folder


def test_the_first_closed_directory_on_the_way_is_found(closed: Path) -> None:
    assert closed_ancestor(closed / "src" / "checkout") == closed
    assert closed_ancestor(Path("/usr/bin")) is None


def test_code_in_a_closed_directory_is_readable_and_nothing_beside_it(closed: Path) -> None:
    arguments = [str(closed), str(closed / "src" / "checkout")]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["the code", "FileNotFoundError", ["src"]]
    assert sorted(path.name for path in closed.iterdir()) == ["secret", "src"]  # the machine's view is as before


def test_the_lab_runs_from_a_checkout_that_only_root_can_read(closed: Path) -> None:
    """A clone in /root: the daemons drop to their users and still find what they import later."""
    checkout = closed / "src" / "checkout"
    for folder in CODE:
        shutil.copytree(ROOT / folder, checkout / folder, ignore=IGNORED)
    # An environment of its own: the one of the tests is tied to this checkout.
    venv.create(checkout / ".venv", symlinks=True)
    packages = next((checkout / ".venv" / "lib").glob("python*")) / "site-packages"
    for name in NEEDED:
        for found in Path(msgspec.__file__).parents[1].glob(name):
            (shutil.copytree if found.is_dir() else shutil.copy)(found, packages / found.name)
    python = str(checkout / ".venv" / "bin" / "python")
    where = [python, "-c", "import appliance; print(appliance.__file__)"]
    assert subprocess.check_output(where, cwd=checkout, text=True).startswith(str(checkout))
    done = subprocess.run(
        [python, "-m", "appliance.lab", "--id", lab_id("c"), "--for", "1s"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "is up after" in done.stdout
