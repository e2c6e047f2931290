"""The process table as systemd units: pure text, so that the appliance and the supervisor run the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.control.processes import DEFAULT_INSTANCE, Process, start_order

TARGET = "reef.target"
INSTANCE_UNIT = "reef-instance.service"
OPERATORS_GROUP = "reef-operators"
STATE = "/var/lib/reef"
PINS = "/sys/fs/bpf/reef"

_FAMILIES = {
    "keys": "AF_UNIX",
    "policy": "AF_UNIX",
    "apply": "AF_UNIX AF_NETLINK",
    # Until it entered its own, narrower filter it opens its capture sockets.
    "inspect": "AF_UNIX AF_NETLINK AF_PACKET",
    "verdicts": "AF_UNIX AF_NETLINK",
    "watch": "AF_UNIX",
    "records": "AF_UNIX",
    "events": "AF_UNIX AF_NETLINK AF_INET AF_INET6",
    "console": "AF_UNIX AF_NETLINK AF_INET AF_INET6",
    "gate": "AF_UNIX AF_NETLINK",
    "names": "AF_UNIX AF_NETLINK AF_INET AF_INET6",
}

# What each unit has whatever its row says. The process narrows it further itself (`sandbox.enter`), which is why
# the calls that do so are let back in at the end.
_HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
UMask=0027
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @mount @debug @keyring
SystemCallFilter=@setuid capset seccomp setrlimit
SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self"""


def unit_name(process: Process) -> str:
    return f"{process.user}.service"


def unit(process: Process, python: str) -> str:
    """The unit file of one row. `python` is the interpreter that has the packages, an absolute path."""
    called = "".join(f" reef-{name}.service" for name in process.calls)
    capabilities = " ".join(dict.fromkeys((*process.opens, *process.keeps)))
    limits, restart = process.limits, process.restart
    tunables = "no" if any(path.startswith("/proc/sys") for path in process.writes) else "yes"
    lines = [
        "[Unit]",
        f"Description=Reef {process.name}: {process.does}",
        f"PartOf={TARGET}",
        f"Requires={INSTANCE_UNIT}",
        f"After={INSTANCE_UNIT}{called}",
        *([f"Wants={called.strip()}"] if called else []),
        # Give up only after a day of failures: a gateway that is left alone must come back by itself.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={python} -m {process.module} --instance {DEFAULT_INSTANCE}",
        f"User={process.user}",
        f"Group={process.user}",
        *([f"SupplementaryGroups={OPERATORS_GROUP}"] if process.reads_spools else []),
        f"RuntimeDirectory=reef/{process.name}",
        "RuntimeDirectoryMode=0755",
        "RuntimeDirectoryPreserve=restart",
        f"StateDirectory=reef/{process.name}",
        "StateDirectoryMode=0700",
        # tmpfiles.d makes the spool: it belongs to the operators' group, which StateDirectory cannot say.
        *([f"ReadWritePaths={STATE}/events/{process.name}"] if process.spool else []),
        *([f"ReadWritePaths={STATE}/shared/{process.name}"] if process.reader else []),
        *([f"ReadWritePaths=-{PINS}"] if process.seccomp == "gate" else []),
        f"CapabilityBoundingSet={capabilities}",
        f"AmbientCapabilities={capabilities}",
        f"RestrictAddressFamilies={_FAMILIES[process.seccomp]}",
        f"ProtectKernelTunables={tunables}",
        *([f"Nice={process.nice}"] if process.nice else []),
        *[f"Environment={name}={value}" for name, value in process.environment.items()],
        f"LimitNOFILE={limits.files}",
        f"LimitAS={limits.memory}M",
        "LimitCORE=0",
        "Restart=always",
        f"RestartSec={restart.first:g}",
        "TimeoutStopSec=10",
        _HARDENING,
        *(["SystemCallFilter=bpf"] if process.seccomp == "gate" else []),
        "",
        "[Install]",
        f"WantedBy={TARGET}",
    ]
    return "\n".join(lines) + "\n"


def target(rows: Sequence[Process]) -> str:
    """The target that starts and stops the whole gateway."""
    wants = " ".join(unit_name(row) for row in start_order(rows))
    return (
        "[Unit]\n"
        "Description=Reef, the gateway between this site and every other network\n"
        f"Wants={wants}\n"
        # The last confirmed generation is loaded before any interface carries traffic.
        "Before=network-pre.target\n"
        "Wants=network-pre.target\n"
        "\n[Install]\nWantedBy=multi-user.target\n"
    )


def sysusers(rows: Sequence[Process]) -> str:
    """The users of the rows, as sysusers.d(5) declares them, and the group of those who may operate the gateway."""
    users = "".join(f'u {row.user} - "Reef {row.name}"\n' for row in rows)
    return f"g {OPERATORS_GROUP} -\n{users}"


def tmpfiles(rows: Sequence[Process]) -> str:
    """The directories that outlive the processes, as tmpfiles.d(5) declares them."""
    # Set-group-id, so that the operators' group can read every spool file that appears in it.
    spools = "".join(f"d {STATE}/events/{row.name} 2750 {row.user} {OPERATORS_GROUP}\n" for row in rows if row.spool)
    shared = "".join(f"d {STATE}/shared/{row.name} 2750 {row.user} reef-{row.reader}\n" for row in rows if row.reader)
    pins = "".join(f"d {PINS} 0700 {row.user} {row.user}\n" for row in rows if row.seccomp == "gate")
    parents = "".join(f"d {path} 0755 root root\n" for path in (STATE, f"{STATE}/events", f"{STATE}/shared"))
    return f"d /etc/reef 0755 root root\n{parents}{spools}{shared}{pins}"


def instance(python: str) -> str:
    """The unit that writes the instance file: only the box itself knows the numbers of its users."""
    return (
        "[Unit]\n"
        "Description=Reef: the numbers of its users, for its processes\n"
        f"PartOf={TARGET}\n"
        "\n[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        f"ExecStart={python} -m appliance.control.install {DEFAULT_INSTANCE}\n"
        "NoNewPrivileges=yes\n"
        "ProtectSystem=strict\n"
        f"ReadWritePaths={DEFAULT_INSTANCE.parent}\n"
        "ProtectHome=yes\n"
        "PrivateTmp=yes\n"
        "PrivateDevices=yes\n"
        "RestrictAddressFamilies=AF_UNIX\n"
        "CapabilityBoundingSet=\n"
    )


def files(rows: Sequence[Process], python: str) -> dict[str, str]:
    """Every file: path below / -> text."""
    units = {f"usr/lib/systemd/system/{unit_name(row)}": unit(row, python) for row in rows}
    return {
        **units,
        f"usr/lib/systemd/system/{INSTANCE_UNIT}": instance(python),
        f"usr/lib/systemd/system/{TARGET}": target(rows),
        "usr/lib/sysusers.d/reef.conf": sysusers(rows),
        "usr/lib/tmpfiles.d/reef.conf": tmpfiles(rows),
    }
