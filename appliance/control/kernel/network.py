"""The consumer of addresses, static routes and sysctls: check, commit with undo, settle at boot."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.rtnetlink import Address, Link, RouteEntry, Routing, wanted_route
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.model import InterfaceAddress

PROC_SYS = Path("/proc/sys")
REDIRECTS = "net.ipv4.conf.all.send_redirects"
_SILENT = "net/ipv6/conf/{}/disable_ipv6"
_THERE = (errno.EEXIST,)
_GONE = (errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENOENT)


class NetworkRefused(Exception):
    """The box cannot take these addresses, routes or sysctls; what was begun was undone. Holds every problem."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Network:
    """The links of this box, and the kernel's network settings."""

    def __init__(self, routing: Routing, sysctls: Path = PROC_SYS) -> None:
        self._routing = routing
        self._sysctls = sysctls

    def own_addresses(self) -> frozenset[str]:
        """The addresses of this box, without their lengths."""
        return frozenset(address.address.partition("/")[0] for address in self._routing.addresses())

    def check(self, new: Bundle) -> None:
        """Raises `NetworkRefused` with every interface or sysctl that is not there."""
        links = self._routing.links()
        problems = [
            f"interface {name} does not exist; this box has {_listed(links)}"
            for name in dict.fromkeys(
                [entry.interface for entry in new.addresses]
                + [route.interface for route in new.routes]
                + [interface for bridge in new.bridges for interface in bridge.between]
            )
            if name and name not in links
        ]
        problems += [
            f"the kernel has no setting {name}"
            for name in new.sysctls
            # Those of conntrack come with its module, which the ruleset loads.
            if not name.startswith("net.netfilter") and not self._sysctl_path(name).exists()
        ]
        if problems:
            raise NetworkRefused(tuple(problems))

    def commit(self, old: Bundle | None, new: Bundle) -> None:
        """Turn what the box has into what `new` says; of `old`, take away what is no longer said.

        Raises `NetworkRefused`; then everything is as before.
        """
        undo: list[Callable[[], None]] = []
        held = self._routing.routes()
        try:
            self._change(old, new, undo)
        except (OSError, KeyError) as error:
            for step in reversed(undo):
                _quietly(step)
            self._add_missing(held)
            raise NetworkRefused((_words(error),)) from error

    def settle(self, bundle: Bundle) -> tuple[str, ...]:
        """Bring the box as near to `bundle` as its links allow (a modem may come later); what is missing."""
        missing: list[str] = []
        for name, value in self._settings(bundle).items():
            try:
                self._write(name, value)
            except OSError as error:
                missing.append(f"{name}: {error.strerror}")
        links = self._routing.links()
        present = self._routing.addresses()
        for entry in bundle.addresses:
            if entry.interface not in links:
                missing.append(f"address {entry.address}: no interface {entry.interface}")
            else:
                address = Address(links[entry.interface].index, entry.address)
                if address not in present:
                    self._try(partial(self._routing.add_address, address), missing)
        held = self._routing.routes()
        for route in bundle.routes:
            if route.interface and route.interface not in links:
                missing.append(f"route {route.destination}: no interface {route.interface}")
            else:
                wanted = wanted_route(route, links)
                if not _holds(held, wanted):
                    self._try(partial(self._routing.add_route, wanted), missing)
        return tuple(missing)

    def _change(self, old: Bundle | None, new: Bundle, undo: list[Callable[[], None]]) -> None:
        links = self._routing.links()
        for name, value in (self._let_go(old, new) | self._settings(new)).items():
            before = self._read(name)
            if before != value:
                self._write(name, value)
                undo.append(partial(self._write, name, before))
        wanted = _addresses(new.addresses, links)
        present = self._routing.addresses()
        for address in sorted(wanted - present):
            self._routing.add_address(address)
            undo.append(partial(self._routing.remove_address, address))
        routes = [wanted_route(route, links) for route in new.routes]
        held = self._routing.routes()
        for entry in sorted(held):
            if not any(_same(entry, route) for route in routes):
                self._routing.remove_route(entry)
                undo.append(partial(self._routing.add_route, entry))
        for route in routes:
            if not _holds(held, route):
                self._routing.add_route(route)
                undo.append(partial(self._routing.remove_route, route))
        obsolete = _addresses(old.addresses, links) - wanted if old is not None else set()
        for address in sorted(obsolete & present):
            self._routing.remove_address(address)
            undo.append(partial(self._routing.add_address, address))
        if obsolete:
            self._add_missing(routes)

    def _add_missing(self, routes: Iterable[RouteEntry]) -> None:
        """With its last address an interface loses its routes, also those that have nothing to do with it."""
        held = self._routing.routes()
        for route in routes:
            if not _holds(held, route):
                _quietly(partial(self._routing.add_route, route))

    @staticmethod
    def _try(step: Callable[[], None], missing: list[str]) -> None:
        try:
            step()
        except NetlinkError as error:
            if error.errno not in _THERE:
                missing.append(_words(error))

    def _settings(self, bundle: Bundle) -> dict[str, str]:
        """The bundle's, and for redirects every interface's own: one that may send them outvotes `all`."""
        found = dict(bundle.sysctls)
        if (value := found.get(REDIRECTS)) is not None:
            for zone in bundle.zones:
                for interface in zone.interfaces:
                    name = f"net/ipv4/conf/{interface}/send_redirects"
                    if self._sysctl_path(name).exists():
                        found[name] = value
        for bridge in bundle.bridges:
            # A bump in the wire is nobody's neighbour: the kernel would give it an address, and say so to both sides.
            for name in map(_SILENT.format, bridge.between):
                if self._sysctl_path(name).exists():
                    found[name] = "1"
        return found

    def _let_go(self, old: Bundle | None, new: Bundle) -> dict[str, str]:
        """Lines that belong to no bridge any more may have addresses of their own again."""
        kept = {interface for bridge in new.bridges for interface in bridge.between}
        gone = {interface for bridge in old.bridges for interface in bridge.between} - kept if old else set()
        names = (_SILENT.format(interface) for interface in sorted(gone))
        return {name: "0" for name in names if self._sysctl_path(name).exists()}

    def _sysctl_path(self, name: str) -> Path:
        return self._sysctls.joinpath(*name.split("/")) if "/" in name else self._sysctls.joinpath(*name.split("."))

    def _read(self, name: str) -> str:
        return self._sysctl_path(name).read_text().strip()

    def _write(self, name: str, value: str) -> None:
        path = self._sysctl_path(name)
        if path.read_text().split() != value.split():
            path.write_text(value)


def _addresses(entries: tuple[InterfaceAddress, ...], links: dict[str, Link]) -> set[Address]:
    return {Address(links[entry.interface].index, entry.address) for entry in entries if entry.interface in links}


def _same(held: RouteEntry, wanted: RouteEntry) -> bool:
    """The kernel names the interface of a route even where nobody asked for one."""
    return (held.destination, held.via, held.metric, held.blackhole) == (
        wanted.destination,
        wanted.via,
        wanted.metric,
        wanted.blackhole,
    ) and wanted.index in (0, held.index)


def _holds(held: set[RouteEntry], wanted: RouteEntry) -> bool:
    return any(_same(entry, wanted) for entry in held)


def _quietly(step: Callable[[], None]) -> None:
    """Undoing goes on when one step finds its work done already (the link went away with its addresses)."""
    try:
        step()
    except NetlinkError as error:
        if error.errno not in (*_THERE, *_GONE):
            raise


def _words(error: OSError | KeyError) -> str:
    if isinstance(error, KeyError):
        return f"interface {error.args[0]} went away"
    return str(error.strerror or error)


def _listed(links: dict[str, Link]) -> str:
    return ", ".join(sorted(links))
