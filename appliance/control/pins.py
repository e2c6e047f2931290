"""The BPF file system of a lab's gateway: what gated pins there outlives gated, and goes with the lab.

An appliance has one at /sys/fs/bpf, mounted by systemd. Several gateways on one machine must not share it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from appliance.control.processes import Instance
from ctypes_ext import sandbox as kernel


def mount_pins(instance: Instance) -> None:
    """Mount one for gated alone. A kernel without it leaves gated without a gate, which it says itself."""
    folder = Path(instance.pins)
    folder.mkdir(parents=True, exist_ok=True)
    identity = instance.identity("gated")
    if not folder.is_mount():
        with contextlib.suppress(OSError):
            kernel.mount("reef", str(folder), "bpf", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=700")
    with contextlib.suppress(OSError):
        os.chown(folder, identity.uid, identity.gid)


def unmount_pins(folder: Path) -> None:
    """The program leaves every line that it stood at, and its tables go. Nothing where nothing is mounted."""
    while folder.is_mount():
        kernel.umount(str(folder), kernel.MNT_DETACH)
