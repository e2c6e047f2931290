"""Puts Reef on a box: a private environment, the units, the baselines' folder. `make install` calls it.

usage: tools/install.py DESTDIR PREFIX      DESTDIR "" is this box; PREFIX is where Reef lives there

Nothing is started: a gateway that starts without a policy is closed, and that is for the person at its console to do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from appliance.control.processes import PROCESSES  # noqa: E402
from appliance.control.units import TARGET, files  # noqa: E402

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==")
_VIA = re.compile(r"^    # (?:via|  ) ?(?P<name>[A-Za-z0-9_.-]+)?")


def runtime_lock(lock: str, wanted: set[str]) -> str:
    """The part of a lock file that `wanted` packages need: they, and what the lock has because of them."""
    pins: dict[str, list[str]] = {}
    because: dict[str, set[str]] = {}
    name = ""
    for line in lock.splitlines():
        pin = _PIN.match(line)
        if pin is not None:
            name = pin["name"].lower()
            pins[name], because[name] = [], set()
        if name:
            pins[name].append(line)
            via = _VIA.match(line)
            if via is not None and via["name"]:
                because[name].add(via["name"].lower())
    chosen = {package.lower() for package in wanted}
    if unknown := chosen - set(pins):
        raise SystemExit(f"install: not in requirements.lock: {', '.join(sorted(unknown))}; run `make lock`")
    while more := {package for package, reasons in because.items() if reasons & chosen} - chosen:
        chosen |= more
    return "\n".join(line for package, lines in pins.items() if package in chosen for line in lines) + "\n"


def dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[<>=!~ \[;]", one, maxsplit=1)[0] for one in project["dependencies"]}


def environment(place: Path, prefix: Path) -> None:
    """A virtual environment at `place` that will be found at `prefix`, with the locked packages and Reef's wheel."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--clear", str(place)], check=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "requirements.lock"
        lock.write_text(runtime_lock((ROOT / "requirements.lock").read_text(), dependencies()))
        build = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation"]
        settings = [f"--config-settings=build-dir={folder}/build", "--wheel-dir", folder]
        subprocess.run([*build, *settings, str(ROOT)], check=True)
        locked = ["--no-compile", "--no-deps", "--require-hashes", "--requirement", str(lock)]
        subprocess.run([*pip, "install", *locked], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        subprocess.run([*pip, "install", "--no-compile", "--no-deps", str(wheel)], check=True)
    # The environment carries its own path in its scripts; where it will be is not where it is made.
    for path in [*(place / "bin").iterdir(), place / "pyvenv.cfg"]:
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes()
            path.write_bytes(text.replace(os.fsencode(place), os.fsencode(prefix)))
    compile_all = ["-m", "compileall", "-q", "-s", str(place), "-p", str(prefix), str(place / "lib")]
    subprocess.run([base, *compile_all], check=True)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or not Path(arguments[1]).is_absolute():
        print(__doc__, file=sys.stderr)
        return 2
    root, prefix = Path(arguments[0] or "/").resolve(), Path(arguments[1])
    if str(root) == "/" and os.geteuid() != 0:
        print("install: only root can install on this box; DESTDIR=FOLDER installs below a folder", file=sys.stderr)
        return 1

    def below(path: str | Path) -> Path:
        return root / str(path).lstrip("/")

    if not (ROOT / "appliance" / "console" / "static" / "index.html").exists():
        print("install: the console's page is not built; `make install` builds it first", file=sys.stderr)
        return 1
    os.umask(0o022)
    place, new, old = below(prefix), below(f"{prefix}.new"), below(f"{prefix}.old")
    place.parent.mkdir(parents=True, exist_ok=True)
    environment(new, prefix)
    shutil.copytree(ROOT / "examples", new / "share" / "reef" / "examples")
    shutil.copytree(ROOT / "docs", new / "share" / "reef" / "docs")
    # The old one stays whole until the new one is: what runs may still import from it.
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    for name, text in files(PROCESSES, str(prefix / "bin" / "python")).items():
        path = below(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    below("/etc/reef/baselines").mkdir(parents=True, exist_ok=True)
    command = below("/usr/local/bin/reef")
    command.parent.mkdir(parents=True, exist_ok=True)
    command.unlink(missing_ok=True)
    command.symlink_to(prefix / "bin" / "reef")
    print(f"Reef is in {place}; its units are below {below('/usr/lib/systemd/system')}. Nothing was started.")
    print(
        "At the console of the box (without a policy the gateway is closed, to you too):\n"
        "  systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload\n"
        f"  systemctl enable --now {TARGET}\n"
        f"  reef apply POLICY --reason 'first policy'     # examples: {prefix}/share/reef/examples"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
