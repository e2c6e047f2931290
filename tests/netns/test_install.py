"""`make install` below a folder, and the gateway that comes of it: users, directories and processes as its files say.

systemd itself cannot run here; its own tools judge the files, and a script starts each process as its unit would:
the unit's user, its capabilities and no others, its directories.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.control.processes import PROCESSES, start_order

ROOT = Path(__file__).resolve().parents[2]

# A root of its own around what was installed, with the host's /usr: what a Debian with Reef on it looks like.
AROUND = r"""
set -eu
root=$1
cp /etc/protocols "$root/etc/"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp"
mount --rbind /usr "$root/usr"
for link in bin lib lib64 sbin; do [ -e "$root/$link" ] || ln -s "usr/$link" "$root/$link"; done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
ip link set lo up
ip tuntap add wan0 mode tap
ip tuntap add lan0 mode tap
for link in wan0 lan0; do ip link set "$link" up; done
exec chroot "$root" /bin/sh -eu /start
"""

POLICY = """\
reef: 1
site: installed
zones:
  internet: {role: internet, interfaces: [wan0]}
  lan: {role: internal, interfaces: [lan0], networks: [10.20.0.0/16]}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}
rules:
  - {id: R-1, from: lan, to: internet, service: https, action: allow, why: a test, owner: it@stand.example}
"""


def value(unit: str, key: str) -> str:
    """The last value of a key of a unit file."""
    found = [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]
    return found[-1] if found else ""


def start_line(unit: str) -> str:
    """A shell line that starts a process as its unit says: directories, user, capabilities."""
    user = value(unit, "User")
    caps = value(unit, "AmbientCapabilities").lower().replace("cap_", "").split()
    held = "".join(f",+{name}" for name in caps)
    lines = []
    for folder, key in (("/run", "RuntimeDirectory"), ("/var/lib", "StateDirectory")):
        path, mode = f"{folder}/{value(unit, key)}", value(unit, f"{key}Mode")
        lines += [f"mkdir -p {path}", f"chown {user}:{user} {path}", f"chmod {mode} {path}"]
    lent = value(unit, "SupplementaryGroups")
    groups = f"--groups {lent}" if lent else "--clear-groups"
    who = f"setpriv --reuid {user} --regid {user} {groups} --no-new-privs"
    what = f"--inh-caps=-all{held} --ambient-caps=-all{held} --bounding-set=-all{held}"
    return "\n".join([*lines, f"{who} {what} {value(unit, 'ExecStart')} &"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make install DESTDIR=…` filled, and the users and directories that systemd's tools made."""
    root = tmp_path_factory.mktemp("box") / "root"
    command = [sys.executable, "tools/install.py", str(root), "/opt/reef"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    for tool in (["systemd-sysusers", f"--root={root}"], ["systemd-tmpfiles", f"--root={root}", "--create"]):
        result = subprocess.run(tool, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
    return root


@pytest.mark.timeout(300)
def test_systemd_finds_no_fault_in_the_units(installed: Path) -> None:
    units = sorted(str(path) for path in (installed / "usr/lib/systemd/system").iterdir())
    program = 'mount --bind "$1" /opt && shift && exec systemd-analyze verify --man=no "$@"'
    command = ["unshare", "--mount", "sh", "-c", program, "sh", str(installed / "opt"), *units]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    ours = [line for line in (result.stdout + result.stderr).splitlines() if "reef" in line]
    assert (result.returncode, ours) == (0, [])


@pytest.mark.timeout(300)
def test_what_is_installed_names_no_place_it_was_made_in(installed: Path) -> None:
    texts = [path for path in (installed / "opt/reef/bin").iterdir() if path.is_file() and not path.is_symlink()]
    texts += [installed / "opt/reef/pyvenv.cfg", *(installed / "usr/lib").rglob("*reef*.*")]
    assert [str(path) for path in texts if path.is_file() and str(installed).encode() in path.read_bytes()] == []
    assert (installed / "usr/local/bin/reef").readlink() == Path("/opt/reef/bin/reef")


@pytest.mark.timeout(300)
def test_the_installed_gateway_starts_takes_a_policy_and_is_well(installed: Path) -> None:
    units = installed / "usr/lib/systemd/system"
    instance = value((units / "reef-instance.service").read_text(), "ExecStart")
    starts = [start_line((units / f"{row.user}.service").read_text()) for row in start_order(PROCESSES)]
    (installed / "policy.yaml").write_text(POLICY)
    asks = """
export PATH=/opt/reef/bin:/usr/sbin:/usr/bin
for try in $(seq 300); do reef show status >/dev/null 2>&1 && break; sleep 0.1; done
reef apply /policy.yaml --yes --confirm-within 0 --reason "first policy"
for try in $(seq 100); do reef doctor >/tmp/doctor 2>&1 && break; sleep 0.1; done
cat /tmp/doctor
nft list chain inet reef forward
operators=$(getent group reef-operators | cut -d: -f3)
setpriv --reuid 4000 --regid 4000 --groups "$operators" reef history
setpriv --reuid 4000 --regid 4000 --groups "$operators" ls /var/lib/reef/events/applyd
setpriv --reuid 4000 --regid 4000 --clear-groups reef history 2>&1 || echo "strangers are refused"
"""
    (installed / "start").write_text("\n".join([instance, *starts, asks]))
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", AROUND, "sh"]
    result = subprocess.run([*command, str(installed)], capture_output=True, text=True, check=False, timeout=120)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    for words in ("Generation 1", "All is well.", "chain forward", "first policy", "strangers are refused"):
        assert words in result.stdout, said


@pytest.mark.timeout(300)
def test_only_what_the_gateway_needs_is_installed(installed: Path) -> None:
    packages = {path.name.partition("-")[0].lower() for path in (installed / "opt/reef/lib").rglob("*.dist-info")}
    assert {"reef_gateway", "msgspec", "cffi", "pycparser", "cryptography", "rich"} <= packages
    assert packages.isdisjoint({"pytest", "mypy", "ruff", "scapy", "uv", "hypothesis"})
