"""A gateway without a policy is closed: before the first apply, and after a first one that nobody confirmed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.lab.site import POLICIES, Lab
from tests.netns.conftest import lab_id

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(lab_id("c"), traffic=False, policies={}) as running:
        yield running


def reef(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance.cli", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "REEF_LAB": lab.lab},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None:
        lab.poll(0.02)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def forwards(lab: Lab) -> bool:
    """Whether the hostile host, which routes to the inner networks through the gateway, reaches the DMZ server."""
    return lab.run("hostile", "curl", "-sS", "-g", "-m", "2", "http://[2001:db8:20:2::10]/").returncode == 0


def test_a_first_policy_that_nobody_confirms_leaves_the_gateway_closed(lab: Lab) -> None:
    # The box routes already, as one does that was set up by hand before Reef came.
    lab.run("gw", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    assert not forwards(lab)
    assert "no policy was applied" in reef(lab, "doctor").stdout
    result = reef(lab, "apply", str(POLICIES["gw"]), "--yes", "--confirm-within", "2", "--wait")
    assert result.returncode == 5, result.stderr
    assert "Nothing is applied again: nothing is forwarded." in result.stderr
    assert not forwards(lab)
    shown = reef(lab, "show").stdout
    assert "Nothing is applied: nothing is forwarded." in shown
    applied = reef(lab, "apply", str(POLICIES["gw"]), "--yes", "--confirm-within", "0")
    assert applied.returncode == 0, applied.stderr
    assert lab.run("lan1", "curl", "-sS", "-m", "5", "http://www.example.org/").returncode == 0
