"""Tell whoever started this process that it is ready: sd_notify(3), for systemd and the supervisor alike."""

from __future__ import annotations

import os
import socket


def notify(state: str, *, wait: bool = True) -> None:
    """Send one state string, e.g. "READY=1". Without NOTIFY_SOCKET nobody asked, and nothing is sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace, as systemd writes it
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(wait)
        sender.connect(address)
        sender.sendall(state.encode())


INSPECTED = "every packet that waits is looked at"  # verdictd's status while each of its lanes has a worker


def ready(status: str = "") -> None:
    """The process listens and does its work from now on."""
    notify("READY=1" + (f"\nSTATUS={status}" if status else ""))


def status(words: str) -> bool:
    """What the process does now, for `systemctl status` and the supervisor. Never waits; whether it was taken."""
    try:
        notify(f"STATUS={words}", wait=False)
    except OSError:  # whoever started this process has much to read, or is gone
        return False
    return True


def stopping() -> None:
    notify("STOPPING=1")
