"""Fixtures of the vm tier: the kernel, and one machine that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vm.kernel import Kernel, KernelError, kernel
from tests.vm.machine import Machine


@pytest.fixture(scope="session")
def vm_kernel() -> Kernel:
    try:
        return kernel()
    except KernelError as error:
        pytest.fail(f"the vm tier needs a Debian kernel to boot, which `make deps` fetches: {error}", pytrace=False)


@pytest.fixture(scope="session")
def machine(vm_kernel: Kernel) -> Iterator[Machine]:
    """A running machine; tests use names of their own in it."""
    with Machine(vm_kernel) as running:
        yield running
