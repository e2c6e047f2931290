"""The test machine itself: the kernel we mean, writes stay inside, a power cut loses what was not fsynced."""

from __future__ import annotations

from pathlib import Path

from tests.vm.kernel import ROOT, Kernel
from tests.vm.machine import Machine, make_disk


def test_machine_runs_debians_kernel_as_root(machine: Machine, vm_kernel: Kernel) -> None:
    assert machine.run("uname -r; id -u").split() == [vm_kernel.release, "0"]


def test_a_write_in_the_machine_does_not_reach_the_host(machine: Machine) -> None:
    machine.run("echo inside >proof-of-writing && grep -q inside proof-of-writing")
    assert not (ROOT / "proof-of-writing").exists()


def test_commands_run_side_by_side(machine: Machine) -> None:
    waiting = machine.start("mkfifo /run/meeting; cat /run/meeting")
    machine.run("while ! [ -p /run/meeting ]; do :; done; echo met >/run/meeting")
    assert machine.wait(waiting).output == "met\n"


def test_a_power_cut_keeps_what_was_fsynced_and_loses_what_was_not(vm_kernel: Kernel, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "state.img")
    with Machine(vm_kernel, disk=disk) as machine:
        machine.run("cd /var/lib/reef && echo kept >a && sync a . && echo lost >b")
    with Machine(vm_kernel, disk=disk) as machine:
        assert machine.run("cd /var/lib/reef && cat a && ! [ -s b ] && echo gone") == "kept\ngone\n"
