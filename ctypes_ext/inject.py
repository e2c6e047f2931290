"""A frame into the receive path of an interface, in the network namespace of the moment.

Needs CAP_NET_ADMIN and CAP_BPF.
"""

from __future__ import annotations

import os

from ctypes_ext._inject import lib

MOST_BYTES = 1500


def inject(interface: int, frame: bytes) -> None:
    """Have the kernel take `frame` (Ethernet) as received by the interface of that index. Raises OSError."""
    if not 14 <= len(frame) <= MOST_BYTES:
        raise ValueError(f"a frame of {len(frame)} bytes")
    status = lib.reef_inject(interface, frame, len(frame))
    if status < 0:
        raise OSError(-status, f"BPF_PROG_TEST_RUN: {os.strerror(-status)}")
