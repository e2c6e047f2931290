"""Facts for the checks: sound ones, and for every check how it is made to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.control.messages.alerts import AlertTrendIs, DayOfAlerts
from appliance.control.messages.changes import Proposal, ProposalList
from appliance.control.messages.hits import HitList, RuleHits
from appliance.control.messages.indicators import IndicatorList
from appliance.control.messages.readback import Runs
from appliance.control.messages.watch import DeviceInfo, DeviceList
from appliance.policy.meant.parse import parse
from appliance.policy.proving.examine import Examiner
from appliance.report.evidence import Reading, digest_of
from appliance.report.facts import (
    Access,
    Credentials,
    Disk,
    Facts,
    Hook,
    KernelTable,
    Seal,
    SpoolState,
    Subject,
)
from appliance.report.figures import DAY, Records

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
BASELINE = """\
reef: 1
baseline: national
first:
  - {id: B-1, from: role:guest, to: role:internal, action: deny, log: start}
locked: {settings.drift: repair}
"""
# A site that every check can judge, and that passes each.
SITE = """\
reef: 1
site: sound
inherits: [national]
zones:
  internet: {interfaces: [wan0]}
  lan: {interfaces: [lan0], networks: [10.20.0.0/16], addresses: {lan0: 10.20.0.1/16}}
  servers: {interfaces: [srv0], networks: [10.22.0.0/24]}
  dmz: {role: dmz, interfaces: [dmz0], networks: [10.21.0.0/24]}
  hall: {role: guest, interfaces: [hall0], networks: [10.23.0.0/24]}
connections:
  wan0: {provider: BTL, officer: "H. Officer <noc@health.example>", phone: "+501 555 0100"}
objects:
  records: {addresses: [10.22.0.10], classification: secret}
  admin: {addresses: [10.20.0.11], classification: internal}
  relay: {addresses: [10.21.0.25], classification: internal}
  resolvers: {addresses: [198.51.100.53]}
  mirrors: {names: [updates.example.org]}
people: {h.officer: {name: Hazel}}
console: {approvals: 1, people: {ben: {name: Ben, mail: ben@health.example, roles: approver}}}
profiles: {careful: {unavailable: fail-closed}}
invariants:
  - {id: I-1, never: internet -> records}
rules:
  - {id: R-1, from: lan, to: gateway, source: admin, service: ssh, action: allow, log: start, owner: it, why: w,
     review: 2027-06-01}
  - {id: R-2, from: lan, to: internet, service: https, action: allow, owner: it, why: w, review: 2027-06-01}
  - {id: R-3, from: [dmz, gateway], to: internet, source: relay, service: smtp, action: allow, owner: it, why: w,
     review: 2027-06-01}
  - {id: R-4, from: lan, to: internet, destination: resolvers, service: dns, action: allow, owner: it, why: w,
     review: 2027-06-01}
  - {id: R-5, from: lan, to: servers, destination: records, service: https, people: [h.officer], action: allow,
     owner: it, why: w, review: 2027-06-01}
  - {id: R-6, from: internet, to: gateway, service: ping, action: allow, log: start, owner: it, why: w,
     review: 2027-06-01}
publish:
  - {id: P-1, from: internet, address: 203.0.113.10, service: https, to: 10.21.0.25, inspect: careful, log: start,
     limit: 100/second per source, owner: it, why: w, review: 2027-06-01}
nat:
  source:
    - {id: N-1, out: internet, source: 10.0.0.0/8, to: masquerade, owner: it, why: w}
risks:
  - {id: T-1, threat: copied, assets: [records, internet], likelihood: low, impact: high, safeguards: [I-1, B-1],
     measures: nightly backup, owner: director}
alerts:
  listen: lan
consumers:
  csirt:
    certificate: 0000000000000000000000000000000000000000000000000000000000000000
    collections: alerts
    owner: it
"""


def facts_of(text: str, baseline: str = BASELINE) -> Facts:
    """Sound facts of a gateway that runs this text."""
    policy, _ = parse(text, "site.yaml", inherited={"national": baseline}, now=None)
    inherited = {"national": digest_of(baseline)} if "inherits" in text else {}
    processes = tuple(
        Credentials(name, 100 + number, 600 + number, capabilities, True, True)
        for number, (name, capabilities) in enumerate(
            (
                ("keyd", ()),
                ("applyd", ("CAP_NET_ADMIN",)),
                ("policyd", ()),
                ("namesd", ()),
                ("inspectd", ()),
            )
        )
    )
    counters = [messages.RuleCounter(rule.id, 1, 64) for rule in policy.rules]
    hooks = tuple(Hook(name, name, "filter", "drop") for name in ("forward", "input", "output"))
    chains = tuple(f"source_{zone}" for zone in policy.zones)
    generation = messages.GenerationSummary(7, "confirmed", "h.officer", "a reason", NOW - 60, "d" * 64, 6, 7)
    return Facts(
        subject=Subject("running", policy.site, "generation 7", 7, digest_of(text), "reef show generation 7"),
        taken=NOW,
        software="0.1.0",
        policy=read("reef show generation 7", policy),
        inherited=read("reef show generation 7", inherited),
        baselines=read("sha256sum /etc/reef/baselines/*.yaml", {"national": digest_of(baseline)}),
        status=read(
            "reef show status --json",
            messages.StatusReport(
                policy.site,
                7,
                7,
                0.0,
                "",
                (),
                tuple(messages.ProcessHealth(one.name, True) for one in processes),
                Runs(7, NOW - 60, equal=True),
            ),
        ),
        doctor=read(
            "reef doctor --json",
            messages.DoctorReport("Linux 6.1", (messages.Capability("nat", True, "translates", ("N-1",)),)),
        ),
        history=read("reef history --limit 1000 --json", (generation,)),
        counters=read("reef show rules --json", messages.RuleCounterList(7, tuple(counters))),
        hits=read(
            "reef show rules --unused 90d --json",
            HitList(7, NOW, 90 * 86400, NOW - 10**8, 10**8, (), tuple(hit(rule.id) for rule in policy.rules)),
        ),
        sets=read(
            "reef show sets --json",
            messages_live.SetList(
                (
                    messages_live.LiveSet("dns_mirrors", "dns", ("updates.example.org",), 1),
                    messages_live.LiveSet("person_h.officer", "person", ("h.officer",), 1),
                )
            ),
        ),
        table=read("nft -j list chains inet", KernelTable(hooks, chains)),
        processes=read("grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/<pid of each process>/status", processes),
        seal=read("SHA-256 of the bundle", Seal(7, "d" * 64, True)),
        sysctls=read(
            "sysctl net.ipv4.conf.all.accept_redirects",
            {
                "net.ipv4.conf.all.accept_redirects": "0",
                "net.ipv4.conf.all.accept_source_route": "0",
                "net.ipv4.conf.all.send_redirects": "0",
                "net/ipv4/conf/lan0/send_redirects": "0",
                "net/ipv6/conf/lan0/accept_ra": "1",
                "net.ipv4.tcp_syncookies": "1",
                "net.ipv4.icmp_echo_ignore_broadcasts": "1",
            },
        ),
        clock=read("timedatectl show --property=NTPSynchronized --value", True),
        disk=read("df -B1 --output=avail,size /var/lib/reef", Disk(10**10, 10**11)),
        spools=read("the segments below /var/lib/reef/events", (spool(),)),
        access=read(
            "stat -c '%a %u %g %n' …",
            (
                Access("/var/lib/reef/keyd", 0o700, 600, 600),
                Access("/var/lib/reef/keyd/signing.key", 0o600, 600, 600),
                Access("/run/reef/keyd/keyd.sock", 0o666, 600, 600),
            ),
        ),
        proof=read("reef show generation 7 | reef check -", Examiner().examine(policy, int(NOW)).proof),
    )


def records_of(days: int = 30) -> Records:
    """Records of the same gateway: a proposal that became generation 7, and alerts of yesterday."""
    yesterday = int(NOW // DAY) * DAY - DAY
    proposal = Proposal(3, "open ssh", "it", "CHG-7", "amara", 6, "d" * 64, "confirmed", NOW - 3660, 1, 1)
    waiting = msgspec.structs.replace(proposal, number=4, state="proposed")
    alerts = (DayOfAlerts(yesterday, 1, 2), DayOfAlerts(yesterday, 3, 40), DayOfAlerts(yesterday - 90 * DAY, 1, 5))
    devices = (
        DeviceInfo("b8:27:eb:01:02:03", "unknown", NOW, NOW),
        DeviceInfo("b8:27:eb:01:02:04", "learned", NOW, NOW),
    )
    return Records(
        NOW - days * DAY,
        read("reef proposals", ProposalList((waiting, proposal))),
        read("reef alerts", AlertTrendIs(alerts, True)),
        read("reef indicators", IndicatorList((), 9, {"block": 7, "alert": 2})),
        read("reef devices", DeviceList(devices)),
        read("reef ban", messages.BanList(())),
        Reading("reef audit", NOW, None, "recordd is away"),
    )


def read(query: str, value: Any) -> Reading[Any]:
    return Reading(query, NOW, value)


def hit(name: str, recent: int = 9, days: float = 90) -> RuleHits:
    return RuleHits(name, recent, 64 * recent, NOW - 900, NOW, recent, days * 86400, NOW - 10**8, recent)


def spool(days: float = 200, size: int = 500 << 20, missing: int = 0, records: int = 5000) -> SpoolState:
    return SpoolState("inspectd", size, records, missing, NOW - days * 86400)


Change = Callable[[Facts], Facts]


def text(old: str, new: str) -> Change:
    """The site's text is another."""

    def changed(_: Facts) -> Facts:
        assert old in SITE, old
        return facts_of(SITE.replace(old, new))

    return changed


def rule(words: str) -> Change:
    """The site has one more rule, above its own."""
    return text("rules:\n", f"rules:\n  - {{{words}, action: allow, owner: it, why: w, review: 2027-06-01}}\n")


def fact(name: str, value: Any) -> Change:
    """Something was read otherwise."""

    def changed(facts: Facts) -> Facts:
        reading = getattr(facts, name)
        return msgspec.structs.replace(facts, **{name: msgspec.structs.replace(reading, value=value)})

    return changed


def within(name: str, **values: Any) -> Change:
    """The same, but for some fields of it."""
    return lambda facts: fact(name, msgspec.structs.replace(getattr(facts, name).value, **values))(facts)


def setting(name: str, value: str) -> Change:
    return lambda facts: fact("sysctls", facts.sysctls.known() | {name: value})(facts)


def process(**values: Any) -> Change:
    return lambda facts: fact(
        "processes", tuple(msgspec.structs.replace(one, **values) for one in facts.processes.known())
    )(facts)


def unowned(facts: Facts) -> Facts:
    """The parser refuses a permit without owner; a model that came otherwise would be noticed."""
    policy = facts.policy.known()
    rules = tuple(msgspec.structs.replace(one, owner="") for one in policy.rules)
    return fact("policy", msgspec.structs.replace(policy, rules=rules))(facts)


# For each check: how the sound site is made to fail it, and words that the finding must hold.
FAILURES: dict[str, tuple[Change, str]] = {
    "no_way_in": (rule("id: X-1, from: internet, to: lan, service: tcp/8080"), "X-1: internet -> lan"),
    "published_apart": (rule("id: X-1, from: internet, to: lan, service: tcp/8080"), "X-1: leads into lan"),
    "dmz_contained": (rule("id: X-1, from: dmz, to: servers, service: tcp"), "X-1: dmz -> servers"),
    "segmented": (
        lambda _: facts_of("reef: 1\nsite: s\nzones: {lan: {interfaces: [lan0], networks: [10.0.0.0/8]}}\n"),
        "1 inner zones",
    ),
    "antispoofing": (text("interfaces: [lan0],", "interfaces: [lan0], antispoofing: no,"), "zone lan"),
    "networks_named": (text(", networks: [10.23.0.0/24]", ""), "zone hall"),
    "guests_apart": (
        lambda _: facts_of(
            SITE.replace(
                "rules:\n", "rules:\n  - {id: X-1, from: hall, to: servers, action: allow, owner: it, why: w}\n"
            ).replace("[I-1, B-1]", "I-1"),
            BASELINE.replace(
                "  - {id: B-1, from: role:guest, to: role:internal, action: deny, log: start}\n", ""
            ).replace("first:\n", ""),
        ),
        "X-1: hall -> servers",
    ),
    "cleartext": (rule("id: X-1, from: lan, to: internet, service: telnet"), "X-1: lan -> internet"),
    "shares": (rule("id: X-1, from: internet, to: dmz, service: rdp"), "X-1: internet -> dmz"),
    "gateway_shut": (rule("id: X-1, from: internet, to: gateway, service: ssh"), "X-1: internet -> gateway"),
    "management_narrow": (rule("id: X-1, from: servers, to: gateway, service: ssh"), "X-1: from every host"),
    "outbound_bounded": (rule("id: X-1, from: lan, to: internet, service: tcp"), "X-1"),
    "permits_bounded": (rule("id: X-1, from: any, to: any"), "X-1: any address, any service"),
    "mail_by_relay": (rule("id: X-1, from: lan, to: internet, service: smtp"), "X-1"),
    "names_by_resolver": (rule("id: X-1, from: lan, to: internet, service: dns"), "X-1"),
    "icmp_narrow": (rule("id: X-1, from: internet, to: gateway, service: icmp"), "X-1"),
    "classified": (text("[10.20.0.11], classification: internal", "[10.20.0.11]"), "object admin"),
    "sensitive_unreachable": (
        lambda _: facts_of(
            SITE.replace(
                "rules:\n", "rules:\n  - {id: X-1, from: internet, to: servers, action: allow, owner: it, why: w}\n"
            )
        ),
        "X-1: internet -> servers",
    ),
    "sensitive_guarded": (
        text("never: internet -> records", "never: internet -> lan"),
        "object records",
    ),
    "sensitive_personal": (rule("id: X-1, from: lan, to: servers, service: https"), "X-1"),
    "exposed_limited": (text("     limit: 100/second per source, ", "     "), "P-1"),
    "exposed_inspected": (text(" inspect: careful,", ""), "P-1"),
    "fails_closed": (text("unavailable: fail-closed", "unavailable: fail-open"), "profile careful"),
    "people_known": (
        lambda facts: within(
            "sets", sets=(messages_live.LiveSet("person_h.officer", "person", ("h.officer",), 0, error="no answer"),)
        )(facts),
        "no answer",
    ),
    "exposed_logged": (text("inspect: careful, log: start,", "inspect: careful,"), "P-1: `log: none`"),
    "denials_logged": (text("risks:\n", "settings: {log_default: no}\nrisks:\n"), "log_default"),
    "risks_recorded": (text("assets: [records, internet]", "assets: records"), "internet"),
    "owned": (unowned, "R-1 has no owner"),
    "reviewed": (text("why: w, review: 2027-06-01}\nnat", "why: w, review: 2027-01-01}\nnat"), "P-1 waits"),
    "dated": (text(", review: 2027-06-01", ""), "R-2"),
    "used": (within("hits", rules=(hit("R-2", recent=0),)), "R-2 matched nothing in 90 days"),
    "lines_registered": (text(', phone: "+501 555 0100"', ""), "wan0"),
    "baseline": (
        lambda _: facts_of(SITE.replace("inherits: [national]\n", "").replace("[I-1, B-1]", "I-1")),
        "inherits no baseline",
    ),
    "baseline_current": (fact("baselines", {"national": "0" * 64}), "baseline national changed"),
    "invariants": (
        lambda _: facts_of(
            SITE.replace("invariants:\n  - {id: I-1, never: internet -> records}\n", "").replace("[I-1, B-1]", "B-1")
        ),
        "no invariant",
    ),
    "drift_repaired": (
        lambda _: facts_of(
            SITE.replace("risks:\n", "settings: {drift: report}\nrisks:\n"),
            BASELINE.replace("locked: {settings.drift: repair}\n", ""),
        ),
        "settings.drift",
    ),
    "confirms": (text("risks:\n", "settings: {confirm_within: 0}\nrisks:\n"), "confirm_within"),
    "approved": (text("console: {approvals: 1,", "console: {"), "console.approvals is 0"),
    "history_kept": (text("risks:\n", "settings: {history: 99}\nrisks:\n"), "settings.history is 99"),
    "hooks_drop": (
        within(
            "table", hooks=(Hook("forward", "forward", "filter", "accept"), Hook("in", "input", "filter", "drop"))
        ),
        "hook forward: policy accept",
    ),
    "spoofing_loaded": (within("table", chains=("source_lan",)), "source_hall"),
    "confirmed": (within("status", confirmed=6), "generation 6 is confirmed"),
    "no_drift": (within("status", drift="somebody changed the table"), "somebody changed"),
    "runs_as_meant": (
        within("status", runs=Runs(7, NOW, equal=False, differences=("lan -> dmz passes",), more=2)),
        "lan -> dmz passes",
    ),
    "alerts_told": (text("  listen: lan\n", "  port: 9443\n"), "csirt would have to ask"),
    "alive": (within("status", processes=(messages.ProcessHealth("namesd", False),)), "namesd"),
    "whole": (within("status", omitted=("flows are not inspected here",)), "not inspected"),
    "well": (within("doctor", findings=("wan9 carries traffic and is in no zone",)), "wan9"),
    "sealed": (fact("seal", Seal(7, "d" * 64, False)), "generation 7"),
    "accountable": (
        lambda facts: fact("history", tuple(msgspec.structs.replace(x, reason="") for x in facts.history.known()))(
            facts
        ),
        "generation 7 has no reason",
    ),
    "names_filled": (
        lambda facts: within(
            "sets", sets=(messages_live.LiveSet("dns_mirrors", "dns", ("updates.example.org",), 0, error="NXDOMAIN"),)
        )(facts),
        "NXDOMAIN",
    ),
    "counted": (within("counters", counters=()), "R-1 has no counter"),
    "sandboxed": (process(capabilities=("CAP_SYS_ADMIN",)), "keyd holds CAP_SYS_ADMIN"),
    "keys_alone": (
        fact("access", (Access("/var/lib/reef/keyd/signing.key", 0o640, 600, 600),)),
        "signing.key has mode 0640",
    ),
    "nobody_writes": (fact("access", (Access("/var/lib/reef/applyd", 0o777, 1, 1),)), "mode 0777"),
    "redirects": (setting("net.ipv4.conf.all.accept_source_route", "1"), "accept_source_route is 1"),
    "silent_on_routes": (setting("net/ipv4/conf/lan0/send_redirects", "1"), "lan0"),
    "no_advertised_routes": (setting("net/ipv6/conf/lan0/accept_ra", "2"), "accept_ra is 2"),
    "floods": (setting("net.ipv4.tcp_syncookies", "0"), "tcp_syncookies is 0"),
    "clock_set": (fact("clock", False), "no time source"),
    "disk_room": (fact("disk", Disk(1000, 10**11)), "1,000 bytes free"),
    "nothing_lost": (fact("spools", (spool(missing=3),)), "3 records are missing"),
    "records_kept": (fact("spools", (spool(days=10),)), "10 days of records"),
    "invariants_hold": (
        rule("id: X-1, from: internet, to: servers, service: https"),
        "X-1 lets through what I-1",
    ),
    # A site cannot stand above its baseline, but a translation of its own could lead elsewhere what that allows.
    "baseline_holds": (
        lambda _: facts_of(
            SITE.replace(
                "nat:\n",
                "nat:\n  destination:\n    - {id: N-9, from: lan, destination: 198.51.100.9, service: https, "
                "to: 10.21.0.25, owner: it, why: w}\n",
            ),
            BASELINE.replace(
                "first:\n",
                "first:\n  - {id: B-2, from: role:internal, to: role:internet, destination: 198.51.100.9, "
                "service: https, action: allow, owner: it, why: w}\n",
            ),
        ),
        "N-9 changes what the baseline national demands",
    ),
    "no_dead_rules": (
        text("publish:\n", "  - {id: X-9, from: lan, to: internet, service: https, action: deny}\npublish:\n"),
        "X-9 can never match, R-2 hide",
    ),
}
