"""The process table: what runs, as whom, with which privilege, and who may talk to it.

One row per process of the appliance. The supervisor starts the rows, `units.py` writes them as systemd
units, `sandbox.py` takes from each process what its row does not list, and `ipc` asks it who may connect.
What is not in a row, the process cannot do.

An `Instance` is one running set of the table: the appliance itself, or one gateway of a lab. It says
where the directories are and which numbers the users have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

# Which system calls a process may make; `sandbox.py` holds the lists.
Seccomp = Literal[
    "keys",
    "policy",
    "apply",
    "inspect",
    "names",
    "captures",
    "verdicts",
    "watch",
    "gate",
    "records",
    "events",
    "console",
    "press",
]

DEFAULT_INSTANCE = Path("/etc/reef/instance.json")
INSTANCE_VARIABLE = "REEF_INSTANCE"

ROOT = "root"
OPERATORS = "@operators"


class Limits(msgspec.Struct, frozen=True):
    """Resource limits: open files, address space in MiB. Core files are always off."""

    files: int = 256
    memory: int = 1024


class Restart(msgspec.Struct, frozen=True):
    """Seconds before a dead process is started again: `first`, doubled each time up to `most`.

    A process that stayed up for `steady` seconds starts again from `first`.
    """

    first: float = 0.2
    most: float = 30.0
    steady: float = 60.0


class Process(msgspec.Struct, frozen=True):
    """One row.

    `opens` are the capabilities it has until it entered its sandbox, `keeps` those it has afterwards.
    `peers` may connect to its socket: names of processes, ROOT, OPERATORS; with none it has no socket.
    `calls` are the processes whose sockets it connects to; those are started before it.
    `spool` says that it writes events. `reader` is the one process that may read, and only read, what this one keeps
    in its shared directory. `reads_spools`: it may read the events of every process; the operators' group lends it
    that, and it never counts as an operator where it asks for something. `audits`: the subjects of
    audit entries that it may write; recordd looks for them in its spool and takes no others from there. Files may be
    changed in its run directory, its state, its spool, its shared directory, and below the paths of `writes`; nowhere
    else. `nice` below 0: it goes before other processes. `small`: it handles megabytes now and then, and gives their
    memory back at once.
    """

    name: str
    module: str
    does: str
    seccomp: Seccomp
    opens: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    spool: bool = False
    writes: tuple[str, ...] = ()
    reader: str = ""
    reads_spools: bool = False
    audits: tuple[str, ...] = ()
    nice: int = 0
    small: bool = False
    limits: Limits = Limits()
    restart: Restart = Restart()

    @property
    def user(self) -> str:
        return f"reef-{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that it is started with, beside those of everybody."""
        return dict(_SMALL) if self.small else {}


# mallopt(3): glibc would keep a heap for every thread, and take ever larger pieces from heaps that cannot shrink.
_SMALL = (
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "262144"),
    ("MALLOC_TRIM_THRESHOLD_", "262144"),
)

PROCESSES: tuple[Process, ...] = (
    Process(
        "keyd",
        "crypto.keyd",
        "the only holder of the signing keys",
        seccomp="keys",
        peers=("policyd", "applyd", "inspectd", "recordd", ROOT),
        limits=Limits(files=64, memory=512),
    ),
    Process(
        "applyd",
        "appliance.control.applyd",
        "checks and applies a signed bundle in one transaction, confirms it or restores; keeps every generation",
        seccomp="apply",
        # Loads rulesets, addresses, routes and the network's sysctls, for as long as it lives.
        opens=("CAP_NET_ADMIN",),
        keeps=("CAP_NET_ADMIN",),
        peers=("policyd", "namesd", "inspectd", "watchd", "gated", "recordd", "alertd", ROOT),
        calls=("keyd",),
        spool=True,
        audits=("policy", "ban"),
        writes=("/proc/sys/net",),  # forwarding, and what else a policy sets
        limits=Limits(files=256, memory=4096),
    ),
    Process(
        "gated",
        "dataplane.gated",
        "drops what is banned, malformed or floods before the kernel makes a packet of it (XDP)",
        seccomp="gate",
        # To load its one program; the kernel asks for nothing when it is put at a line.
        opens=("CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"),
        peers=("policyd", "alertd", ROOT),
        calls=("applyd",),
        spool=True,
        limits=Limits(files=256, memory=2048),
    ),
    Process(
        "policyd",
        "appliance.control.policyd",
        "candidate, check, plan, compile, seal",
        seccomp="policy",
        peers=("console", ROOT, OPERATORS),
        calls=("keyd", "applyd", "gated"),
        spool=True,
        audits=("policy", "ban", "allow", "quarantine", "look", "feed"),
        limits=Limits(files=256, memory=4096),
    ),
    Process(
        "namesd",
        "appliance.control.namesd",
        "resolves the policy's DNS names and fills their sets",
        seccomp="names",
        calls=("applyd",),
        spool=True,
        limits=Limits(files=256, memory=512),
    ),
    Process(
        "verdictd",
        "dataplane.verdictd",
        "holds the kernel's queues of packets that wait for a verdict, and lends them to inspectd",
        seccomp="verdicts",
        # The kernel asks for it at every verdict.
        opens=("CAP_NET_ADMIN",),
        keeps=("CAP_NET_ADMIN",),
        peers=("inspectd",),
        spool=True,
        # No `nice`: it would push aside whoever brings the packets at each of them, and never find two at once.
        limits=Limits(files=64, memory=1024),
    ),
    Process(
        "watchd",
        "dataplane.watchd",
        "finds what no single packet shows: scans, guessing, beacons, tunnels, new devices and services",
        seccomp="watch",
        peers=("policyd", "inspectd", "console", ROOT, OPERATORS),
        calls=("applyd",),
        spool=True,
        audits=("device",),
        limits=Limits(files=256, memory=1024),
    ),
    Process(
        "recordd",
        "appliance.records.recordd",
        "keeps the audit trail: a Merkle tree of who did what, its checkpoints and their proofs",
        seccomp="records",
        peers=("policyd", "alertd", "console", ROOT, OPERATORS),
        calls=("keyd", "applyd"),
        spool=True,
        audits=("trail", "record", "witness", "evidence"),
        reads_spools=True,
        limits=Limits(files=256, memory=1024),
    ),
    Process(
        "alertd",
        "appliance.events.alertd",
        "keeps events until those who may have them have them, and answers who asks for them",
        seccomp="events",
        peers=("policyd", "inspectd", "console", ROOT, OPERATORS),
        calls=("applyd", "recordd", "gated"),
        spool=True,
        audits=("export", "unmask", "indicator", "look"),
        reads_spools=True,
        limits=Limits(files=2048, memory=4096),
    ),
    Process(
        "console",
        "appliance.console.app",
        "answers the browsers and programs of the people who look after the gateway",
        seccomp="console",
        peers=(ROOT, OPERATORS),
        # What it asks there it asks in the name of a person, and gets what that person may have.
        calls=("policyd", "alertd", "watchd", "recordd"),
        spool=True,
        audits=("login", "account", "session", "token"),
        small=True,
        limits=Limits(files=2048, memory=2048),
    ),
    Process(
        "inspectd",
        "dataplane.inspectd",
        "drives the C engine over the packets that the ruleset sends it",
        seccomp="inspect",
        # To bind its NFLOG group and to open packet sockets; it needs neither once they are open.
        opens=("CAP_NET_ADMIN", "CAP_NET_RAW"),
        calls=("keyd", "applyd", "verdictd", "watchd", "alertd"),
        spool=True,
        reader="policyd",  # of the flow log
        nice=-10,  # packets wait for it
        limits=Limits(files=256, memory=4096),
    ),
)


def process(name: str) -> Process:
    """The row of that name. Raises KeyError."""
    for row in PROCESSES:
        if row.name == name:
            return row
    raise KeyError(name)


def start_order(rows: Iterable[Process]) -> tuple[Process, ...]:
    """The rows so that each comes after those it calls. Raises ValueError when they call in a circle."""
    waiting = list(rows)
    present = {row.name for row in waiting}
    ordered: list[Process] = []
    done: set[str] = set()
    while waiting:
        ready = [row for row in waiting if all(name in done or name not in present for name in row.calls)]
        if not ready:
            raise ValueError("these processes call each other in a circle: " + ", ".join(row.name for row in waiting))
        for row in ready:
            waiting.remove(row)
            ordered.append(row)
            done.add(row.name)
    return tuple(ordered)


class Identity(msgspec.Struct, frozen=True):
    uid: int
    gid: int


class Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One running set of the processes.

    Directories are absolute paths: `run` for sockets, `state` for what must survive, `config` for the
    baselines. `identities` maps process names to the numbers of their users. `operators` is the group
    whose members may use policyd's socket and read the spools. `bpf` is where gated pins what outlives it, below a
    mounted BPF file system; "": in its run directory, where the supervisor mounts one.
    """

    name: str
    run: str
    state: str
    config: str
    identities: dict[str, Identity]
    operators: int
    bpf: str = ""

    def identity(self, name: str) -> Identity:
        return self.identities[name]

    def run_of(self, name: str) -> Path:
        """The directory of the process's sockets, writable by it alone."""
        return Path(self.run) / name

    def socket(self, name: str) -> Path:
        return self.run_of(name) / f"{name}.sock"

    def state_of(self, name: str) -> Path:
        """The process's own directory; nobody else can read it."""
        return Path(self.state) / name

    def events_of(self, name: str) -> Path:
        """The process's spool of events; the operators' group can read it."""
        return Path(self.state) / "events" / name

    def shared_of(self, name: str) -> Path:
        """What the process keeps for the reader that its row names."""
        return Path(self.state) / "shared" / name

    def writable(self, row: Process) -> tuple[Path, ...]:
        """Where the process may change files."""
        own = (self.run_of(row.name), self.state_of(row.name))
        spool = (self.events_of(row.name),) if row.spool else ()
        shared = (self.shared_of(row.name),) if row.reader else ()
        pins = (Path(self.pins),) if row.seccomp == "gate" and Path(self.pins).is_dir() else ()
        return (*own, *spool, *shared, *pins, *(Path(path) for path in row.writes))

    @property
    def pins(self) -> str:
        """The directory in which gated pins its program's links and counters."""
        return self.bpf or str(self.run_of("gated") / "bpf")

    @property
    def events(self) -> Path:
        return Path(self.state) / "events"

    @property
    def baselines(self) -> Path:
        """Where the texts lie that policies inherit, one `<name>.yaml` each."""
        return Path(self.config) / "baselines"

    @property
    def rules(self) -> Path:
        """Where the rules lie that the taps are inspected with (`*.rules`), and what goes with them."""
        return Path(self.config) / "rules"

    @property
    def api(self) -> Path:
        """Where an administrator puts key and certificate of the API, and the certificates of its consumers."""
        return Path(self.config) / "api"

    @property
    def console(self) -> Path:
        """Where an administrator puts key and certificate of the console, and the certificates of its people."""
        return Path(self.config) / "console"

    @property
    def credentials(self) -> Path:
        """What others want to see of the gateway, and what it signs for them with; for alertd alone."""
        return Path(self.config) / "credentials"

    @property
    def never_block(self) -> Path:
        """Where the lists lie of what no indicator blocks (`*.json`, in the format of MISP's warning lists)."""
        return Path(self.config) / "never-block"

    @property
    def required(self) -> Path:
        """The list of baselines that every text must inherit here; where it is missing, none is required."""
        return Path(self.config) / "required-baselines"

    def allows(self, name: str, uid: int, gids: Iterable[int] = ()) -> bool:
        """May a peer with these credentials talk to the process's socket?"""
        for peer in process(name).peers:
            if peer == ROOT:
                if uid == 0:
                    return True
            elif peer == OPERATORS:
                if self.operates(uid, gids):
                    return True
            elif self.identities[peer].uid == uid:
                return True
        return False

    def watches(self, uid: int) -> bool:
        """Is this policyd, which connects to each socket to see whether somebody listens? Where it may ask nothing it
        is sent away like others, but that is no news."""
        return self.identities["policyd"].uid == uid

    def operates(self, uid: int, gids: Iterable[int]) -> bool:
        """Is this a person of the operators' group? A process is none, whatever group lends it the spools to read."""
        return self.operators in set(gids) and all(own.uid != uid for own in self.identities.values())


class InstanceError(Exception):
    """The instance file cannot be used; the text says why and what would be right."""


def instance_path() -> Path:
    """Which instance a client talks to: the file that REEF_INSTANCE names, else the appliance's own."""
    return Path(os.environ.get(INSTANCE_VARIABLE) or DEFAULT_INSTANCE)


def load_instance(path: Path) -> Instance:
    """Read an instance file. Raises `InstanceError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InstanceError(
            f"{path}: {error.strerror}; is a gateway running here? "
            f"`reef --lab <id>` talks to a lab, {INSTANCE_VARIABLE} names another instance file"
        ) from error
    try:
        return msgspec.json.decode(data, type=Instance)
    except msgspec.DecodeError as error:
        raise InstanceError(f"{path}: not an instance file: {error}") from error


def encode_instance(instance: Instance) -> bytes:
    return msgspec.json.format(msgspec.json.encode(instance), indent=2)
