"""On a kernel that tells it (NETFILTER_NETLINK_GLUE_CT): one number for a connection in all its events."""

from __future__ import annotations

import json
import sys

from tests.vm.machine import Machine


def test_beginning_and_end_of_a_connection_have_one_number(machine: Machine) -> None:
    begun, ended = json.loads(machine.run(f"{sys.executable} -m tests.vm.log_numbers", timeout=60).splitlines()[-1])
    assert begun == ended
    assert begun[0] > 0
