"""The gateway's daemons on a Debian kernel: what `reef doctor` finds there, and what a power cut leaves."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.control.applying.generations import Store
from appliance.policy.compiling import bundle as bundles
from crypto.signing import verify
from tests.vm.box import INSTANCE, READY
from tests.vm.kernel import Kernel
from tests.vm.machine import Machine, Result, make_disk
from tests.vm.site import POLICY, rule

HERE = Path(__file__).parent
INTERFACES = "for name in trunk0.10 trunk0.20 wan0; do ip link add $name type dummy && ip link set $name up; done"


class Box:
    """One boot of the gateway: its daemons run, its state is on the disk."""

    def __init__(self, machine: Machine, *, interfaces: bool = True) -> None:
        self.machine = machine
        if interfaces:
            machine.run(INTERFACES)
        machine.start(f"exec python {HERE / 'box.py'} >/run/box.log 2>&1", timeout=3600)
        deadline = time.monotonic() + 150
        while machine.wait(machine.start(f"test -e {READY}")).status != 0:
            assert time.monotonic() < deadline, machine.run("cat /run/box.log")
            time.sleep(0.2)

    def start(self, *arguments: str) -> int:
        return self.machine.start(f"REEF_INSTANCE={INSTANCE} reef {' '.join(arguments)}", timeout=120)

    def reef(self, *arguments: str) -> Result:
        return self.machine.wait(self.start(*arguments), timeout=120)

    def policy(self, rules: int) -> str:
        """A policy text with so many rules, written inside; its path there."""
        path = f"/run/policy-{rules}.yaml"
        text = POLICY + "".join(rule(f"R-{number}", "staff", 1000 + number) for number in range(rules))
        self.machine.run(f"cat >{path} <<'END'\n{text}\nEND")
        return path

    def apply(self, rules: int, confirm_within: int) -> None:
        result = self.reef("apply", self.policy(rules), "--yes", "--no-wait", f"--confirm-within {confirm_within}")
        assert result.status == 0, result.output

    def table(self) -> str:
        """The whole table of rules as the kernel holds it, without the values of counters."""
        return self.machine.run("nft --stateless list table inet reef")

    def running(self) -> tuple[int, int]:
        """The numbers of the running and of the confirmed generation."""
        report = json.loads(self.reef("--json", "show", "status").output)
        return report["running"], report["confirmed"]


@pytest.fixture(scope="module")
def box(vm_kernel: Kernel) -> Iterator[Box]:
    """A running gateway none of whose interfaces is there yet."""
    with Machine(vm_kernel) as machine:
        yield Box(machine, interfaces=False)


@pytest.mark.timeout(240)
def test_a_policy_runs_before_its_interfaces_are_there(box: Box) -> None:
    box.apply(3, confirm_within=0)
    assert box.running() == (1, 1)
    assert "r_R-2" in box.table()
    box.machine.run(INTERFACES)
    names = ("trunk0.10", "trunk0.20", "wan0")
    script = "until " + " && ".join(f"nft list flowtables inet | grep -q {name}" for name in names) + "; do :; done"
    box.machine.run(script, timeout=60)  # the fast path takes them in as they come
    box.apply(4, confirm_within=0)
    assert box.running() == (2, 2)
    assert "flow add @" in box.table()


@pytest.mark.timeout(240)
def test_doctor_finds_by_trying_what_this_kernel_has(box: Box, vm_kernel: Kernel) -> None:
    report = json.loads(box.reef("--json", "doctor").output)
    found = {capability["name"]: capability["available"] for capability in report["capabilities"]}
    assert found["queue"]
    assert found["flowtable"]
    assert report["kernel"].endswith(vm_kernel.release)


@pytest.mark.timeout(240)
def test_settings_of_a_module_that_was_not_loaded_are_set(box: Box) -> None:
    assert box.machine.run("cat /proc/sys/net/netfilter/nf_conntrack_acct").strip() == "1"


@pytest.mark.timeout(240)
def test_why_follows_a_packet_through_this_kernel(box: Box) -> None:
    """Also one that is inspected: it goes to a queue that nobody reads."""
    box.machine.run(f"ip link show wan0 >/dev/null 2>&1 || {{ {INTERFACES}; }}")
    box.machine.run("ip addr add 10.1.0.1/24 dev trunk0.10; ip addr add 10.9.0.1/24 dev wan0")
    text = POLICY + rule("R-0", "staff", 1000) + rule("R-1", "staff", 1001, inspect="strict")
    box.machine.run(f"cat >/run/why.yaml <<'END'\n{text}\nEND")
    applied = box.reef("apply", "/run/why.yaml", "--yes", "--no-wait", "--confirm-within 0")
    assert applied.status == 0, applied.output
    for port, action, decides in ((1000, "allow", "R-0"), (1001, "allow", "R-1"), (1002, "deny", "default")):
        asked = box.reef("--json", "why", "--live", "--from 10.1.0.2", "--to 10.9.0.9", f"tcp/{port}")
        assert asked.status == 0, asked.output
        reason = json.loads(asked.output)
        assert (reason["answer"]["rule"], reason["answer"]["action"]) == (decides, action), reason
        traced = reason["kernel"]["traced"]
        assert (traced["rule"], traced["verdict"], reason["differences"]) == (decides, action, []), reason
    assert "reef_trace" not in box.machine.run("nft list tables")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_after_a_power_cut_the_box_boots_the_confirmed_generation_whole(
    vm_kernel: Kernel, tmp_path: Path, budget: Callable[[float], float]
) -> None:
    """Boots again and again; each life ends by a cut in an apply that was not confirmed."""
    disk = make_disk(tmp_path / "state.img")
    chance = random.Random(7)
    with Machine(vm_kernel, disk=disk) as machine:
        box = Box(machine)
        started = time.monotonic()
        box.apply(20, confirm_within=0)
        took = time.monotonic() - started
        confirmed, whole = box.running()[1], box.table()
        assert f"generation_{confirmed}" in whole
        machine.cut_power()  # this instant: what was answered as confirmed must be there again
    deadline = time.monotonic() + budget(0.0)
    rounds = 0
    while rounds < 2 or time.monotonic() < deadline:
        rounds += 1
        with Machine(vm_kernel, disk=disk) as machine:
            box = Box(machine)
            assert box.running() == (confirmed, confirmed)
            assert box.table() == whole, "the table is not the one that was confirmed"
            change = ("apply", box.policy(20 + rounds), "--yes", "--no-wait", "--confirm-within 300")
            if rounds == 1:
                assert box.reef(*change).status == 0
                assert box.table() != whole, "the unconfirmed generation runs before the cut"
            else:
                box.start(*change)
                time.sleep(chance.uniform(0.3, 1.2) * took)  # where in the apply the power goes
            machine.cut_power()
    with Machine(vm_kernel, disk=disk) as machine:
        box = Box(machine)
        assert box.table() == whole


def state_of(image: Path, folder: Path) -> Path:
    """The files of a disk image after its journal was replayed, as a boot would do, read without mounting it."""
    repaired = subprocess.run(["e2fsck", "-fy", str(image)], check=False, capture_output=True, text=True)
    assert repaired.returncode in (0, 1), repaired.stdout
    folder.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {folder}", str(image)], check=True, capture_output=True)
    return folder


@pytest.mark.timeout(400)
def test_at_every_moment_the_disk_holds_a_confirmed_generation_whole(vm_kernel: Kernel, tmp_path: Path) -> None:
    """Copies of the disk as a power cut at that instant leaves it: first start, applies, confirms, rollbacks."""
    disk = make_disk(tmp_path / "state.img")
    copies: list[tuple[Path, int]] = []
    chance = random.Random(11)
    with Machine(vm_kernel, disk=disk) as machine:

        def progress() -> list[str]:
            return machine.run("cat /run/progress 2>/dev/null || true").splitlines()

        def copy() -> None:
            answered = [int(line.split()[1]) for line in progress() if line.startswith("confirmed")]
            copies.append((tmp_path / f"cut-{len(copies)}.img", max(answered, default=0)))
            machine.disk_as_after_a_power_cut(copies[-1][0])

        machine.run(INTERFACES)
        machine.start(f"exec python {HERE / 'box.py'} >/run/box.log 2>&1", timeout=3600)
        script = f"until test -e {READY}; do sleep 0.1; done; python -m tests.vm.applies 10 /run/progress"
        applies = machine.start(script, timeout=300)
        while not machine.ended(applies):
            copy()
            time.sleep(chance.uniform(0.0, 0.5))  # any moment is a good one
        result = machine.wait(applies)
        assert result.status == 0, result.output + machine.run("cat /run/box.log")
        history = progress()
    left = {int(line.split()[1]) for line in history if line.startswith("left")}
    final = {int(line.split()[1]) for line in history} - left
    seen = set()
    for number, (image, answered) in enumerate(copies):
        folder = state_of(image, tmp_path / f"cut-{number}")
        applyd = folder / "applyd"
        if not applyd.is_dir():
            continue  # before the daemons made their directories
        store = Store(applyd)
        confirmed = store.confirmed
        assert confirmed >= answered, f"cut {number}: generation {answered} was confirmed and is not booted"
        assert confirmed == 0 or confirmed in final, f"cut {number}: boots {confirmed}, which was never confirmed"
        if confirmed:
            data, signature = store.read(confirmed)
            assert verify((applyd / "keyd.public").read_bytes(), bundles.digest(data), signature)
            assert bundles.decode(data).generation == confirmed
        if (applyd / "keyd.public").exists():
            assert (folder / "keyd" / "signing.key").stat().st_size, (
                f"cut {number}: the key is gone, its public half pinned"
            )
        seen.add(confirmed)
        store.close()
        image.unlink()
        shutil.rmtree(folder)
    assert len(copies) >= 20, "too few cuts to say anything"
    assert len(seen) >= 4, f"the cuts saw only the generations {sorted(seen)}"
