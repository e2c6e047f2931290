"""A peer inside the test machine.

usage: peer.py serve ADDRESS PORT...           answers every line on every port with the same line
       peer.py hold ADDRESS PORT FILE          keeps one connection busy; FILE holds how many lines came back so far
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

PAUSE = 0.02
SILENCE = 2.0


def serve(address: str, ports: list[int]) -> None:
    def talk(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)

    def listen(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    listeners = [socket.create_server((address, port)) for port in ports]
    for listener in listeners[1:]:
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
    listen(listeners[0])


def say(file: Path, text: str) -> None:
    """Write `file` whole: a reader sees the old text or the new one."""
    partial = file.with_suffix(".partial")
    partial.write_text(text)
    partial.rename(file)


def hold(address: str, port: int, file: Path) -> None:
    """Ends when nothing comes back for SILENCE seconds, and says so in FILE."""
    count = 0
    with socket.create_connection((address, port), timeout=5.0) as connection:
        connection.settimeout(SILENCE)
        while True:
            connection.sendall(b"line\n")
            try:
                if not connection.recv(4096):
                    break
            except (TimeoutError, ConnectionResetError):
                break
            count += 1
            say(file, str(count))
            time.sleep(PAUSE)
    say(file, "cut")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    else:
        hold(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
