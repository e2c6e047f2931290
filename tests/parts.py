"""A run of the tests in parts, each a pytest of its own, told at the end as one: the last part counts all of them.

A part that is not the last keeps its reports in a file (`--keep-reports FILE`); the last one reads it
(`--count-reports FILE`), so that its list of failures and its closing line are those of the whole run.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

_COUNTED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def add_options(parser: pytest.Parser) -> None:
    parser.addoption("--keep-reports", type=Path, metavar="FILE", help="write the reports of this part into FILE")
    parser.addoption("--count-reports", type=Path, metavar="FILE", help="count those that another part kept in FILE")


def register(config: pytest.Config) -> None:
    keep: Path | None = config.getoption("--keep-reports")
    count: Path | None = config.getoption("--count-reports")
    if hasattr(config, "workerinput"):
        return  # one of several processes of a part: the one that started it tells
    if keep is not None:
        config.pluginmanager.register(_Keeper(config, keep))
    if count is not None:
        config.pluginmanager.register(_Counter(config, count))


class _Keeper:
    def __init__(self, config: pytest.Config, file: Path) -> None:
        self._config = config
        self._file = file

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        kept = {}
        for category in _COUNTED:
            reports = terminalreporter.stats.get(category, [])
            kept[category] = [self._data(report) for report in reports]
        self._file.write_text(json.dumps(kept))

    def _data(self, report: object) -> dict[str, object]:
        """Without the process that it came from."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        return {name: value for name, value in data.items() if name != "node"}


class _Counter:
    def __init__(self, config: pytest.Config, file: Path) -> None:
        self._config = config
        self._file = file

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """What failed there was shown there at length; here it is listed and counted."""
        if not self._file.exists():
            terminalreporter.write_line("the part before ended without reports", red=True)
            return
        for category, kept in json.loads(self._file.read_text()).items():
            terminalreporter.stats.setdefault(category, []).extend(map(self._report, kept))

    def _report(self, data: dict[str, object]) -> pytest.TestReport | pytest.CollectReport:
        if isinstance(where := data["longrepr"], list):
            data["longrepr"] = tuple(where)  # file, line and words of what was passed over
        report: pytest.TestReport | pytest.CollectReport
        report = self._config.hook.pytest_report_from_serializable(config=self._config, data=data)
        return report
