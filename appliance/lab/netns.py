"""Network namespaces of a lab: made, wired and removed. Thin: what to make is `topology.py`'s.

Nothing is created in the network namespace we come from: both ends of every cable are born inside. What is
left on the disk are the mount points in /run/netns and the resolver files in /etc/netns, as ip-netns(8) has them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pyroute2 import IPRoute

from appliance.lab.topology import Host, Topology
from ctypes_ext import sandbox as kernel

MOUNTS = Path("/run/netns")
RESOLVERS = Path("/etc/netns")
IFA_F_NODAD = 0x02


class NamespaceError(Exception):
    """The kernel refused a namespace, a cable or an address; the text says which."""


@contextlib.contextmanager
def inside(path: Path) -> Iterator[None]:
    """This thread is in the network namespace at `path` for the length of the block; sockets keep theirs."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.setns(there, kernel.CLONE_NEWNET)
        finally:
            os.close(there)
        try:
            yield
        finally:
            kernel.setns(home, kernel.CLONE_NEWNET)
    finally:
        os.close(home)


def name_of(lab: str, host: str) -> str:
    """The name of a host's namespace, as `ip netns` shows it."""
    return f"reef{lab}-{host}"


def path_of(lab: str, host: str) -> Path:
    return MOUNTS / name_of(lab, host)


def create(lab: str, topology: Topology) -> None:
    """Make every host of the topology, wire them and give them their addresses. Raises NamespaceError.

    On failure what was made stays: `remove` takes it away, as it does after a crash.
    """
    try:
        _mount_directory()
        for host in topology.hosts:
            _create_namespace(path_of(lab, host.name))
            if host.resolver:
                folder = RESOLVERS / name_of(lab, host.name)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "resolv.conf").write_text(f"nameserver {host.resolver}\noptions timeout:2 attempts:2\n")
        with contextlib.ExitStack() as sockets:
            netlink: dict[str, IPRoute] = {}
            for host in topology.hosts:
                with inside(path_of(lab, host.name)):
                    _network_settings(host)
                    netlink[host.name] = sockets.enter_context(IPRoute())
            _wire(lab, topology, netlink)
            for host in topology.hosts:
                _addresses(host, netlink[host.name])
            for host in topology.hosts:
                _routes(host, netlink[host.name])
                if host.masquerade:
                    _masquerade(path_of(lab, host.name), host.masquerade)
    except OSError as error:
        raise NamespaceError(f"lab {lab}: {error}; the lab needs root and CAP_SYS_ADMIN") from error


def remove(lab: str) -> list[str]:
    """End what runs in the lab's namespaces and remove them. Returns the names of what it removed."""
    removed = []
    paths = sorted(MOUNTS.glob(f"reef{lab}-*"))
    _end_processes({path.stat().st_ino for path in paths})
    for path in paths:
        with contextlib.suppress(OSError):  # a crash between file and mount leaves only the file
            kernel.umount(str(path), kernel.MNT_DETACH)
        path.unlink(missing_ok=True)
        removed.append(path.name)
    for folder in sorted(RESOLVERS.glob(f"reef{lab}-*")):
        shutil.rmtree(folder)
        removed.append(str(folder))
    with contextlib.suppress(OSError):  # others may have theirs in it
        RESOLVERS.rmdir()
    return removed


def _mount_directory() -> None:
    """As iproute2 does it: a shared mount on itself, so that namespaces appear in every mount namespace."""
    MOUNTS.mkdir(parents=True, exist_ok=True)
    with Path("/proc/self/mountinfo").open() as table:
        if any(line.split()[4] == str(MOUNTS) for line in table):
            return
    kernel.mount(str(MOUNTS), str(MOUNTS), flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("none", str(MOUNTS), flags=kernel.MS_SHARED | kernel.MS_REC)


def _create_namespace(path: Path) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            kernel.mount("/proc/thread-self/ns/net", str(path), flags=kernel.MS_BIND)
        finally:
            kernel.setns(home, kernel.CLONE_NEWNET)
    finally:
        os.close(home)


def _network_settings(host: Host) -> None:
    """Sysctls, written while inside. No waiting for duplicate address detection: addresses work at once."""
    settings = {
        "ipv6/conf/default/accept_dad": "0",
        "ipv6/conf/all/accept_dad": "0",
        "ipv6/conf/default/accept_ra": "0",
        "ipv4/ping_group_range": "0 2147483647",
    }
    if host.forwards:
        settings |= {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}
    for name, value in settings.items():
        Path("/proc/sys/net", name).write_text(value)


def _wire(lab: str, topology: Topology, netlink: dict[str, IPRoute]) -> None:
    ends = {(host.name, interface.name): interface for host in topology.hosts for interface in host.interfaces}
    for host in topology.hosts:
        for bridge in host.bridges:
            netlink[host.name].link("add", ifname=bridge.name, kind="bridge", state="up")
    for cable in topology.cables:
        (host_a, end_a), (host_b, end_b) = cable.a, cable.b
        peer = {"ifname": end_b, "net_ns_fd": name_of(lab, host_b)}
        netlink[host_a].link("add", ifname=end_a, kind="veth", peer=peer)
        for host_name, end in (cable.a, cable.b):
            socket = netlink[host_name]
            interface = ends[host_name, end]
            settings: dict[str, object] = {"index": socket.link_lookup(ifname=end)[0]}
            if interface.mac:
                settings["address"] = interface.mac
            if interface.bridge:
                settings["master"] = socket.link_lookup(ifname=interface.bridge)[0]
            if interface.plugged:
                settings["state"] = "up"
            socket.link("set", **settings)


def plug_in(path: Path, interface: str) -> None:
    """The cable of an interface that was not plugged in until now."""
    with inside(path):
        netlink = IPRoute()
    with netlink:
        netlink.link("set", index=netlink.link_lookup(ifname=interface)[0], state="up")


def _addresses(host: Host, netlink: IPRoute) -> None:
    netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
    for interface in (*host.bridges, *host.interfaces):
        for cidr in interface.addresses:
            address, _, length = cidr.partition("/")
            flags = {"flags": IFA_F_NODAD} if ":" in address else {}
            index = netlink.link_lookup(ifname=interface.name)[0]
            netlink.addr("add", index=index, address=address, prefixlen=int(length), **flags)


def _routes(host: Host, netlink: IPRoute) -> None:
    for destination, via in host.routes:
        if destination == "default":
            destination = "::/0" if ":" in via else "0.0.0.0/0"
        netlink.route("add", dst=destination, gateway=via)


def _masquerade(path: Path, interface: str) -> None:
    """A simple router's whole policy: hide the LAN behind the outer address, let nothing in that nobody asked for."""
    batch = f"""
    table inet router {{
        chain forward {{
            type filter hook forward priority filter; policy accept;
            iifname "{interface}" ct state new drop
        }}
        chain postrouting {{
            type nat hook postrouting priority srcnat;
            oifname "{interface}" meta nfproto ipv4 masquerade
        }}
    }}
    """
    with inside(path):
        done = subprocess.run(["nft", "-f", "-"], input=batch, text=True, capture_output=True, check=False)  # noqa: S607
    if done.returncode:
        raise NamespaceError(f"{path.name}: nft: {done.stderr.strip()}")


def _end_processes(inodes: set[int]) -> None:
    """SIGKILL to every process whose network namespace is one of these; ourselves excepted."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            if (entry / "ns" / "net").stat().st_ino in inodes:
                os.kill(int(entry.name), signal.SIGKILL)
