"""What changes between generations: DNS names, people, pinholes. Live sets, filled over raw netlink."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import Element, ElementError, SetInfo, Sets, format_element, parse_address
from appliance.control.messages.gateway import Refused
from appliance.control.messages.live import LiveSet, SetUpdate, SetUpdated
from appliance.control.resolver import lie
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.model import Dynamic

_VERSIONS = (4, 6)
_SHOWN_NAMES = 50


class SetRefused(Exception):
    """The update was refused and the sets are as they were. `reply` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Refused(code, message)


class Filling(msgspec.Struct):
    """When a live set was filled last, and what went wrong since."""

    at: float = 0.0
    error: str = ""


class LiveSets:
    """The live sets of the running generation, by the stem of their names: `<name>_v4` and `<name>_v6`."""

    def __init__(self, netfilter: Netfilter, own: Callable[[], frozenset[str]], table: str = "reef") -> None:
        """`own` gives the addresses of this box."""
        self._sets = Sets(netfilter, table)
        self._own = own
        self._fillings: dict[str, Filling] = {}

    def update(self, bundle: Bundle, request: SetUpdate, kinds: tuple[str, ...]) -> SetUpdated:
        """Change the sets of a dynamic of one of `kinds`. Raises `SetRefused`; then nothing was changed."""
        dynamic = next((found for found in bundle.dynamics if found.name == request.name), None)
        if dynamic is None or dynamic.kind not in kinds:
            raise SetRefused("unknown-set", f"generation {bundle.generation} has no such live set: {request.name}")
        if request.error:
            self.report(request.name, request.error)
            return SetUpdated(request.name, 0, 0)
        add, remove = _by_version(request.add), _by_version(request.remove)
        if len(request.add) > dynamic.cap:
            words = f"{len(request.add)} addresses for {request.name}, at most {dynamic.cap} are allowed"
            raise self._failed(request.name, "cap", words)
        if dynamic.kind == "dns":
            # The resolver looked too; but it is the process that strangers talk to.
            own = self._own()
            for address in request.add:
                words = lie(address, own)
                if words:
                    raise self._failed(request.name, "lie", f"set {request.name}: {words}")
        added = removed = 0
        try:
            for version in _VERSIONS:
                name = f"{request.name}_v{version}"
                declared = bundle.ruleset.sets.get(name)
                if declared is None or not declared.live:
                    continue
                info = self._sets.info(name)
                present = {(element.first, element.last) for element in self._sets.elements(info)}
                plus, minus = _difference(present, add[version], remove[version], replace=request.replace)
                self._sets.change(info, plus, minus)
                added += len(plus)
                removed += len(minus)
        except (NetlinkError, ElementError) as error:
            raise self._failed(request.name, "kernel", f"set {request.name}: {error}") from error
        self._fillings[request.name] = Filling(time.time())
        return SetUpdated(request.name, added, removed)

    def report(self, name: str, error: str) -> None:
        """Note why a set could not be filled anew; what it holds stays."""
        self._fillings.setdefault(name, Filling()).error = error

    def show(self, bundle: Bundle, name: str, limit: int) -> tuple[LiveSet, ...]:
        """The live sets; with `name`, that one with at most `limit` of its elements."""
        infos = {info.name: info for info in self._sets.all()}
        return tuple(
            self._one(dynamic, infos, limit if name else 0)
            for dynamic in bundle.dynamics
            if not name or dynamic.name == name
        )

    def _one(self, dynamic: Dynamic, infos: dict[str, SetInfo], limit: int) -> LiveSet:
        size = 0
        shown: list[str] = []
        for version in _VERSIONS:
            info = infos.get(f"{dynamic.name}_v{version}")
            if info is None:
                continue
            if info.count < 0 or limit:
                elements = self._sets.elements(info)
                size += len(elements)
                shown += [format_element(element, info.key_length) for element in elements[: limit - len(shown)]]
            else:
                size += info.count
        filling = self._fillings.get(dynamic.name, Filling())
        return LiveSet(
            name=dynamic.name,
            kind=dynamic.kind,
            names=dynamic.names[:_SHOWN_NAMES],
            size=size,
            elements=tuple(shown),
            filled_at=filling.at,
            error=filling.error,
        )

    def _failed(self, name: str, code: str, message: str) -> SetRefused:
        self.report(name, message)
        return SetRefused(code, message)


def _by_version(words: Iterable[str]) -> dict[int, list[Element]]:
    found: dict[int, list[Element]] = {4: [], 6: []}
    for word in words:
        try:
            version, element = parse_address(word)
        except ElementError as error:
            raise SetRefused("bad-element", str(error)) from error
        found[version].append(element)
    return found


def _difference(
    present: set[tuple[int, int]], add: list[Element], remove: list[Element], *, replace: bool
) -> tuple[list[Element], list[Element]]:
    """What to add and what to remove, so that neither is refused for being there or not."""
    wanted = {(element.first, element.last): element for element in add}
    plus = [element for key, element in wanted.items() if key not in present]
    if replace:
        minus = [Element(*key) for key in sorted(present - wanted.keys())]
    else:
        minus = [element for element in remove if (element.first, element.last) in present]
    return plus, minus
