"""What every tier shares: what a tier needs is checked in words, each test has a time limit, and tiers are timed.

A test whose tier needs root, a tool or a kernel feature that is not there fails with what is missing and
how to get it; it never passes silently.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import parts

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"

# What holds for all values holds on a busy machine too: no example is refused for the time that it took.
settings.register_profile("reef", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reef")

TOOLS: dict[str, tuple[str, ...]] = {
    "netns": ("ip", "nft", "conntrack", "tcpdump", "curl", "nc", "ping", "ssh", "sshd", "setpriv"),
    "bench": ("valgrind", "ip", "nft"),
    "vm": ("qemu-system-x86_64", "busybox", "depmod", "mkfs.ext4"),
    "fuzz": ("clang",),
    "peers": ("curl",),
}
NEEDS_ROOT = frozenset({"netns", "vm", "bench"})


def tier_of(path: Path) -> str:
    """The tier is the folder below `tests/`."""
    return path.relative_to(TESTS).parts[0]


@lru_cache
def lacking(tier: str) -> tuple[str, ...]:
    """What this machine lacks for a tier, each in words that say how to get it."""
    problems = []
    if tier in NEEDS_ROOT and os.geteuid() != 0:
        problems.append(f"the {tier} tier makes network namespaces and needs root: run `make test` as root")
    search = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    problems.extend(
        f"the {tier} tier needs the program `{tool}`, which is not here: `make deps` installs it"
        for tool in TOOLS.get(tier, ())
        if shutil.which(tool, path=search) is None
    )
    return tuple(problems)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--minutes",
        type=float,
        default=None,
        help="run the tests marked `soak`, whose length can be chosen, for about so long each",
    )
    parser.addoption(
        "--record-instructions",
        action="store_true",
        help="write the instruction counts of tests/bench into their baseline file instead of holding them to it",
    )
    parts.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    # What a shell starts in the background ignores Ctrl-C, and so would the programs whose end by Ctrl-C is tested.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    parts.register(config)
    config.addinivalue_line("markers", "soak: its length can be chosen with --minutes (fixture `budget`)")
    # Tests call nft and ip by name; a plain root shell of Debian has /usr/sbin, other shells may not.
    path = os.environ.get("PATH", "")
    if "/usr/sbin" not in path.split(os.pathsep):
        os.environ["PATH"] = f"{path}{os.pathsep}/usr/sbin{os.pathsep}/sbin"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    minutes: float | None = config.getoption("--minutes")
    for item in items:
        if minutes is not None and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(minutes * 60 + 300), append=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    problems = lacking(tier_of(item.path))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


_seconds: dict[str, float] = {}
_tests: dict[str, int] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    tier = Path(report.nodeid).parts[1]
    _seconds[tier] = _seconds.get(tier, 0.0) + report.duration
    _tests[tier] = _tests.get(tier, 0) + (report.when == "teardown")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("time per tier")
    for tier, seconds in _seconds.items():
        terminalreporter.write_line(f"{tier:8} {_tests[tier]:5} tests {seconds:8.1f} s")


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> Callable[[float], float]:
    """Seconds a test of choosable length may take: its own short default, or what --minutes says."""
    minutes: float | None = request.config.getoption("--minutes")

    def seconds(default: float) -> float:
        return default if minutes is None else minutes * 60

    return seconds


@pytest.fixture(scope="session")
def peer_data() -> Path:
    """Data of other projects' suites (REEF_PEER_DATA); where it is absent the test is passed over, in one line."""
    folder = Path(os.environ.get("REEF_PEER_DATA", ROOT.parent / "shared" / "peers"))
    if not folder.is_dir():
        pytest.skip(f"no peer data at {folder} (set REEF_PEER_DATA)")
    return folder
