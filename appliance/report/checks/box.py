"""The box itself: its processes, files, kernel settings, clock and disk."""

from __future__ import annotations

from appliance.control.processes import PROCESSES
from appliance.events.spool import DEFAULT_LIMITS
from appliance.report.evidence import CannotTell, Result, judged
from appliance.report.facts import Facts

DAY = 86400
_NEARLY_FULL = 0.9
# What a router that takes no advice has; the reverse path is checked by the ruleset for both versions.
HARDENED = {
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.all.accept_source_route": "0",
    "net.netfilter.nf_conntrack_tcp_loose": "0",
}
FLOODS = {"net.ipv4.tcp_syncookies": ("1", "2"), "net.ipv4.icmp_echo_ignore_broadcasts": ("1",)}


def sandboxed(facts: Facts, _: float) -> Result:
    found = facts.processes.known()
    keeps = {row.name: set(row.keeps) for row in PROCESSES}
    wrong: list[str] = []
    for process in found:
        more = set(process.capabilities) - keeps[process.name]
        if process.uid == 0:
            wrong.append(f"{process.name} runs as root")
        if more:
            wrong.append(f"{process.name} holds {', '.join(sorted(more))}")
        if not process.no_new_privileges:
            wrong.append(f"{process.name} may gain privileges")
        if not process.filtered:
            wrong.append(f"{process.name} may make every system call")
    held = {process.name: (process.capabilities, process.no_new_privileges, process.filtered) for process in found}
    return judged(
        wrong,
        f"All {len(found)} processes run as users of their own, sandboxed, with no more privilege than their work.",
        "These processes may do more than their work needs:",
        facts.processes.shows(held),
    )


def keys_alone(facts: Facts, _: float) -> Result:
    found = {
        one.path: f"{one.mode:04o}" for one in facts.access.known() if "/keyd" in one.path and _is_state(one.path)
    }
    if not any(path.endswith("signing.key") for path in found):
        raise CannotTell("the signing key is not in a file that can be looked at", (facts.access.shows(found),))
    wrong = [f"{path} has mode {mode}" for path, mode in found.items() if int(mode, 8) & 0o077]
    return judged(
        wrong,
        "Nobody but keyd can read the signing key.",
        "Others can get at the signing key:",
        facts.access.shows(found),
    )


def _is_state(path: str) -> bool:
    return not path.endswith(".sock")


def nobody_writes(facts: Facts, _: float) -> Result:
    found = {one.path: f"{one.mode:04o}" for one in facts.access.known() if _is_state(one.path)}
    if not found:
        raise CannotTell("none of the gateway's files is where it should be", (facts.access.shows(found),))
    wrong = [f"{path} has mode {mode}" for path, mode in found.items() if int(mode, 8) & 0o022]
    return judged(
        wrong,
        "Nobody but its own process can change a state, a spool or a baseline.",
        "Others can change these:",
        facts.access.shows(found),
    )


def redirects(facts: Facts, _: float) -> Result:
    settings = facts.sysctls.known()
    found = {name: settings[name] for name in HARDENED if name in settings}
    if not found:
        raise CannotTell("this kernel has none of the settings", (facts.sysctls.shows(found),))
    wrong = [f"{name} is {value}" for name, value in found.items() if value != HARDENED[name]]
    return judged(
        wrong,
        "The gateway takes no advice on routes, and no connection whose beginning it did not see.",
        "The gateway can be talked into other routes:",
        facts.sysctls.shows(found),
    )


def silent_on_routes(facts: Facts, _: float) -> Result:
    settings = facts.sysctls.known()
    found = {name: value for name, value in settings.items() if name.replace("/", ".").endswith(".send_redirects")}
    if not found:
        raise CannotTell("this kernel has none of the settings", (facts.sysctls.shows(found),))
    # The kernel sends redirects on an interface where either its own setting or the one for all says so.
    wrong = [f"{name} is {value}" for name, value in found.items() if value != "0"]
    return judged(
        wrong,
        "The gateway sends no redirects, which would tell hosts of ways around it.",
        "The gateway may tell hosts of ways around it:",
        facts.sysctls.shows(found),
    )


def no_advertised_routes(facts: Facts, _: float) -> Result:
    settings = facts.sysctls.known()
    found = {name: value for name, value in settings.items() if name.replace("/", ".").endswith(".accept_ra")}
    if not found:
        raise CannotTell("the gateway has no interface with IPv6", (facts.sysctls.shows(found),))
    # 1 is obeyed only where the kernel does not forward; the gateway does.
    wrong = [f"{name} is {value}" for name, value in found.items() if value == "2"]
    return judged(
        wrong,
        "No host of a network can become the gateway's IPv6 router by saying so.",
        "A host can become the gateway's router by saying so:",
        facts.sysctls.shows(found),
    )


def floods(facts: Facts, _: float) -> Result:
    settings = facts.sysctls.known()
    found = {name: settings[name] for name in FLOODS if name in settings}
    if not found:
        raise CannotTell("this kernel has none of the settings", (facts.sysctls.shows(found),))
    wrong = [f"{name} is {value}" for name, value in found.items() if value not in FLOODS[name]]
    return judged(
        wrong,
        "The kernel answers floods of half-open connections and broadcasts with the usual means.",
        "The kernel can be flooded more easily than need be:",
        facts.sysctls.shows(found),
    )


def clock_set(facts: Facts, _: float) -> Result:
    on_time = facts.clock.known()
    return judged(
        [] if on_time else ["the clock follows no time source"],
        "The clock follows a time source.",
        "Expiries, schedules and every record depend on a clock that nobody sets:",
        facts.clock.shows(on_time),
    )


def disk_room(facts: Facts, limit: float) -> Result:
    disk = facts.disk.known()
    wrong = [] if disk.free >= limit else [f"{disk.free:,} bytes free; at least {limit:,.0f} are wanted"]
    return judged(
        wrong,
        "There is room for records and for new generations.",
        "Records will be lost and changes refused:",
        facts.disk.shows({"free": disk.free, "total": disk.total}),
    )


def nothing_lost(facts: Facts, _: float) -> Result:
    found = {spool.name: (spool.records, spool.missing) for spool in facts.spools.known()}
    if not any(records for records, _ in found.values()):
        raise CannotTell("nothing was recorded yet", (facts.spools.shows(found),))
    wrong = [f"{name}: {missing:,} records are missing" for name, (_, missing) in found.items() if missing]
    return judged(
        wrong,
        "No record is missing in what was written lately.",
        "Records are missing:",
        facts.spools.shows(found),
    )


def records_kept(facts: Facts, limit: float) -> Result:
    spools = [spool for spool in facts.spools.known() if spool.records]
    found = {spool.name: (int((facts.taken - spool.oldest) // DAY), spool.bytes) for spool in spools}
    shown = facts.spools.shows(found)
    if not found:
        raise CannotTell("nothing was recorded yet", (shown,))
    short = {
        name: days
        for name, (days, size) in found.items()
        if days < limit and size >= _NEARLY_FULL * DEFAULT_LIMITS.total
    }
    young = {name: days for name, (days, _) in found.items() if days < limit and name not in short}
    if young and not short:
        raise CannotTell(f"the records reach back {min(young.values())} days, and nothing had to go yet", (shown,))
    return judged(
        [f"{name}: the bound of its spool leaves {days} days of records" for name, days in short.items()],
        f"Records of at least {limit:g} days are kept.",
        f"Records are gone before {limit:g} days:",
        shown,
    )
