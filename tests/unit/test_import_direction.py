"""Who may import whom: the rules of docs/architecture.md, held by reading every import statement."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.control.processes import PROCESSES

ROOT = Path(__file__).resolve().parents[2]
OURS = ("appliance", "crypto", "ctypes_ext", "dataplane", "mail_relay", "voip_policy", "firmware")

# Only these folders may import these modules (whole top-level names).
ONLY_IN = {
    "cffi": "ctypes_ext",
    "ctypes": "ctypes_ext",
    "_cffi_backend": "ctypes_ext",
    "ssl": "crypto",
    "cryptography": "crypto",
    "joserfc": "crypto",
    "webauthn": "crypto",
}

# What every process file has in common: its row in the table, its sandbox, its socket.
PROCESS_SHAPE = (
    "appliance.control.daemon",
    "appliance.control.ipc",
    "appliance.control.messages.gateway",
    "appliance.control.messages.bans",
    "appliance.control.messages.gate",
    "appliance.control.messages.impact",
    "appliance.control.messages.keys",
    "appliance.control.messages.live",
    "appliance.control.messages.watch",
    "appliance.control.notify",
    "appliance.control.permits",
    "appliance.control.processes",
    "appliance.control.sandbox",
)

# Folders beside the control plane may import these of ours besides themselves, and never each other.
BORDER = ("appliance.policy.model", "appliance.events", "appliance.control.ipc", "appliance.durable", "crypto")
BESIDE = {
    "mail_relay": BORDER,
    "voip_policy": BORDER,
    "firmware": BORDER,
    # the decoder is native code, rule names come with the bundle, and inspectd is sandboxed as every process is
    "dataplane": (
        *BORDER,
        *PROCESS_SHAPE,
        "ctypes_ext",
        "appliance.policy.banning",
        "appliance.policy.compiling.bundle",
        "appliance.policy.detections",
        "appliance.policy.logprefix",
        "appliance.policy.compiling.reactions",
    ),
    "ctypes_ext": (),
    "crypto": (*PROCESS_SHAPE, "appliance.durable"),
}

# A policy's folders, and which of them each may import; the values that all share lie beside them.
POLICY = "appliance/policy/"
POLICY_FOLDERS = {
    "written": (),
    "proving": ("written",),
    "meant": ("written", "proving"),
    "compiling": (),
    "answering": ("written", "compiling"),
    "readback": ("proving", "compiling"),
}
# What the processes of the control plane are made of: the kernel's clients know nobody who uses them.
CONTROL = "appliance/control/"
CONTROL_FOLDERS = {
    "messages": (),
    "kernel": ("messages",),
    "applying": ("messages", "kernel"),
    "deciding": ("messages", "applying"),
}
LAYERS = ((POLICY, POLICY_FOLDERS), (CONTROL, CONTROL_FOLDERS))

# Modules that decide do no I/O: values in, values out.
PURE = ("appliance/policy",)
# The report reads facts in these two files and is pure in the others; the command line makes one, and the console has
# one made by its press.
REPORT = "appliance/report/"
READERS = (f"{REPORT}collect.py", f"{REPORT}host.py")
REPORT_READERS = (
    "appliance/report",
    "appliance/commands/report.py",
    "appliance/console/api/report.py",
)
# Events flow from the spools outwards: what is made of them is imported by nobody who makes them. Only the process
# that puts it all together knows the indicators.
EVENTS = "appliance/events/"
LATER = ("appliance.records", "appliance.indicators", "appliance.report", "appliance.commands")
TOGETHER = (f"{EVENTS}alertd.py", f"{EVENTS}answering.py")
# What decides about events and drafts: values in, values out.
DECIDING = tuple(
    f"{EVENTS}{name}.py"
    for name in (
        "classes", "tlp", "marking", "own", "sighted", "stix", "api/access", "api/asked", "api/problems",
        "api/intelmq", "api/describing",
    )
) + tuple(
    f"appliance/{name}.py"
    for name in (
        "drafts/edits", "drafts/sheet", "drafts/merge", "drafts/written", "drafts/operations", "drafts/grid",
        "drafts/search", "drafts/csvrules", "drafts/completion", "drafts/objects", "drafts/calendar", "asking/ends",
        "asking/questions", "asking/refusal", "asking/situation",
    )
)  # fmt: skip
IO = {
    "asyncio", "fcntl", "io", "os", "pathlib", "pyroute2", "select", "selectors", "shutil", "signal", "socket",
    "subprocess", "tempfile", "threading", "multiprocessing", "urllib", "http",
}  # fmt: skip

# What of these modules touches nothing: conversions, names of numbers.
PURE_NAMES = {
    "socket.inet_pton", "socket.inet_ntop", "socket.AF_INET", "socket.AF_INET6", "urllib.parse.quote",
    "http.HTTPStatus", "io.StringIO",
}  # fmt: skip

# A process file is imported by nobody; the supervisor's table names it as text.
PROCESS_FILES = tuple(process.module for process in PROCESSES)


class Import(NamedTuple):
    file: str  # path below the checkout
    line: int
    module: str  # what is imported, absolute; for `from a import b` it is a.b


def imports_of(source: str, file: str) -> Iterator[Import]:
    """Every import of a source text, at any depth of the code, as absolute module names."""
    package = list(Path(file).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(source, file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                yield Import(file, node.lineno, f"{module}.{alias.name}")


def sources() -> Iterator[tuple[str, str]]:
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") or name.startswith(f"{module}.") for name in allowed)


def layer_faults(found: Import, root: str, folders: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """What an import from one folder of `root` into another breaks; what lies beside a policy's folders is below."""
    asked = found.module.replace(".", "/") + "/"
    if not (found.file.startswith(root) and asked.startswith(root)):
        return
    mine, theirs = (path.removeprefix(root).split("/", 1)[0] for path in (found.file, asked))
    if theirs not in folders or mine == theirs:
        return
    if mine in folders and theirs not in folders[mine]:
        yield f"{root}{mine}/ may import of its neighbours only {', '.join(folders[mine]) or 'none'}"
    if mine not in folders and root == POLICY:
        yield f"what lies beside the folders of {root} imports none of them"


def faults(found: Import) -> Iterator[str]:
    """What one import breaks, in words."""
    folder = found.file.split("/", 1)[0]
    top = found.module.split(".", 1)[0]
    importer = found.file.removesuffix(".py").replace("/", ".")
    where = f"{found.file}:{found.line}: imports {found.module}"
    if top in ONLY_IN and folder != ONLY_IN[top]:
        yield f"{where}; only {ONLY_IN[top]}/ may import {top}"
    if top in OURS and top != folder and folder in BESIDE and not within(found.module, BESIDE[folder]):
        yield f"{where}; {folder}/ may import of ours only {', '.join(BESIDE[folder]) or 'nothing'}"
    if found.file.startswith(PURE):
        if top in IO and found.module not in PURE_NAMES:
            yield f"{where}; {found.file.rsplit('/', 1)[0]}/ is pure: values in, values out"
        if top in OURS and not within(found.module, ("appliance.policy", "ctypes_ext")):
            yield f"{where}; appliance/policy/ may import of ours only ctypes_ext"
    for root, folders in LAYERS:
        yield from (f"{where}; {fault}" for fault in layer_faults(found, root, folders))
    if found.file in DECIDING and top in IO and found.module not in PURE_NAMES:
        yield f"{where}; {found.file} is pure: values in, values out"
    if found.file.startswith(EVENTS) and found.file not in TOGETHER and within(found.module, LATER):
        yield f"{where}; {EVENTS} is before {', '.join(LATER)}"
    if found.file.startswith(REPORT) and found.file not in READERS and top in IO:
        yield f"{where}; {REPORT} is pure but for {' and '.join(READERS)}"
    if within(found.module, ("appliance.report",)) and not found.file.startswith(REPORT_READERS):
        yield f"{where}; only the verb and the console make a report"
    for process in PROCESS_FILES:
        if (found.module != process and not found.module.startswith(f"{process}.")) or importer == process:
            continue
        yield f"{where}; a process file is imported by nobody, the table of processes names it"


def all_faults(source: str, file: str) -> list[str]:
    return sorted({fault for found in imports_of(source, file) for fault in faults(found)})


def test_every_import_goes_the_way_the_map_says() -> None:
    found = [fault for source, file in sources() for fault in all_faults(source, file)]
    assert not found, "\n".join(["imports against the map:", *found])


# Who reads texts of policies. The others carry no parser: it is much code, and a tenth of a second of each start.
READING_TEXTS = ("policyd", "console")
PARSERS = ("yaml", "appliance.policy.meant.parse")


@pytest.mark.parametrize("module", [row.module for row in PROCESSES if row.name not in READING_TEXTS])
def test_who_reads_no_texts_loads_no_parser(module: str) -> None:
    program = f"import sys, {module}; sys.exit(any(name in sys.modules for name in {PARSERS!r}))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("file", "source", "said"),
    [
        ("appliance/policy/compiling/compile.py", "import os", "is pure"),
        ("appliance/policy/compiling/compile.py", "from socket import create_connection", "is pure"),
        ("appliance/policy/compiling/compile.py", "def f():\n    from pathlib import Path", "is pure"),
        ("appliance/policy/compiling/compile.py", "from appliance.control import ipc", "only ctypes_ext"),
        ("appliance/policy/compiling/compile.py", "from ...control import ipc", "only ctypes_ext"),
        ("appliance/control/kernel/nft.py", "import ctypes", "only ctypes_ext/"),
        ("appliance/control/kernel/nft.py", "from ssl import SSLContext", "only crypto/"),
        ("appliance/report/checks/box.py", "import subprocess", "is pure but for"),
        ("appliance/events/marking.py", "import os", "is pure"),
        ("appliance/events/outbox.py", "from appliance.records import trail", "is before"),
        ("appliance/events/api/taxii.py", "from appliance.indicators import store", "is before"),
        ("appliance/control/policyd.py", "from appliance.report import facts", "only the verb"),
        ("mail_relay/smtpd.py", "from voip_policy import sdp", "may import of ours only"),
        ("ctypes_ext/engine.py", "from appliance.policy import model", "may import of ours only nothing"),
        ("appliance/lab/site.py", "from appliance.control import policyd", "imported by nobody"),
    ],
)
def test_a_forbidden_import_is_named(file: str, source: str, said: str) -> None:
    found = all_faults(source, file)
    assert found, f"{source!r} in {file} went unnoticed"
    assert said in found[0]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("appliance/policy/compiling/compile.py", "import ipaddress\nfrom appliance.policy.model import Policy"),
        ("appliance/policy/compiling/compile.py", "from socket import AF_INET, inet_pton"),
        ("appliance/report/host.py", "import subprocess"),
        ("appliance/commands/report.py", "from appliance.report import collect"),
        ("appliance/policy/compiling/compile.py", "from . import model\nfrom ctypes_ext import boxes"),
        ("mail_relay/checks.py", "from appliance.policy.model import Rule\nimport crypto"),
        ("mail_relay/checks.py", "from appliance.policy import model"),
        ("ctypes_ext/engine_build.py", "import cffi"),
        ("appliance/control/policyd.py", "import os, socket"),
    ],
)
def test_an_allowed_import_passes(file: str, source: str) -> None:
    assert all_faults(source, file) == []
