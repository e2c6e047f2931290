"""Tell whoever started this process that it is ready: sd_notify(3), for systemd and the supervisor alike."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send one state string, e.g. "READY=1". Without NOTIFY_SOCKET nobody asked, and nothing is sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace, as systemd writes it
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.connect(address)
        sender.sendall(state.encode())


def ready(status: str = "") -> None:
    """The process listens and does its work from now on."""
    notify("READY=1" + (f"\nSTATUS={status}" if status else ""))


def stopping() -> None:
    notify("STOPPING=1")
