"""Which labs run on this machine: each is a directory below /run/reef-lab, locked by the process that owns it."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

ROOT = Path("/run/reef-lab")
ID = re.compile(r"[a-z0-9]{1,10}")


class LabError(Exception):
    """The lab cannot be started; the text says what is wrong and what would be right."""


def instance_file(lab: str) -> Path:
    """The instance file of a running lab's gateway: "1" means its `gw`, "1:gw2" its gateway of that name.

    Raises LabError when that lab, or that gateway in it, does not run.
    """
    name, _, host = lab.partition(":")
    file = ROOT / name / (host or "gw") / "instance.json"
    if not (ID.fullmatch(name) and ID.fullmatch(host or "gw")) or not file.exists():
        there = ", ".join(running()) or "none"
        raise LabError(f"no lab {lab!r} runs here; running labs: {there}. `reef lab` starts one")
    return file


def console_file(lab: str) -> Path:
    """Where a lab writes at which address browsers of this machine reach its console."""
    return ROOT / lab / "console"


def console_url(lab: str) -> str:
    """That address; "" for a lab whose console is not forwarded."""
    try:
        return console_file(lab.partition(":")[0]).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def running() -> tuple[str, ...]:
    """The ids of the labs that run on this machine."""
    return tuple(sorted(folder.name for folder in folders() if not is_free(folder)))


def folders() -> list[Path]:
    return [folder for folder in ROOT.glob("*") if folder.is_dir()] if ROOT.is_dir() else []


def is_free(folder: Path) -> bool:
    """Whether nobody holds the lab's lock."""
    try:
        fd = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
