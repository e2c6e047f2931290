"""A real packet through the kernel, and whether what became of it is what the policy says."""

from __future__ import annotations

import ipaddress

import msgspec

from appliance.commands.asked import Asked
from appliance.commands.failure import FORBIDDEN, REFUSED, Failure
from appliance.control.kernel.probe import ICMP_IDENTIFIER, ProbeError
from appliance.control.kernel.probe import check as check_probe
from appliance.control.kernel.probe import send as send_probe
from appliance.control.messages.why import MOST_PROBE_SECONDS, Trace, Traced, Tracing, Trail
from appliance.policy import addresses
from appliance.policy.answering.packetwords import end_words
from appliance.policy.answering.why import LINK, LOOPBACK, NO_ROUTE, Answer
from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.decide import Packet
from appliance.policy.logprefix import QUARANTINE
from appliance.policy.model import Policy

_DONE = {"allow": "allowed", "deny": "denied", "reject": "rejected", "": "dropped while routing"}
# What the policy calls decisions for which the kernel needs no rule of ours.
_RULELESS = {LINK, LOOPBACK}


class Kernel(msgspec.Struct, frozen=True):
    """What the kernel did: `traced` as applyd read it, and the same in `words`."""

    words: str
    traced: Traced

    def differences(self, answer: Answer) -> tuple[str, ...]:
        """Where the policy's answer is another; () when they agree. Pure."""
        traced = self.traced
        if not traced.verdict:
            if answer.rule == NO_ROUTE:
                return ()
            return (f"the policy says {answer.action} by {answer.rule}, but the kernel dropped it while routing",)
        found: list[str] = []
        if traced.rule == QUARANTINE:
            return ()  # of a device that nobody accepted; the policy's answer is for one that was
        if traced.rule == "pinhole" and traced.verdict == "allow":
            return ()  # a call's media: opened beside the rules, and closed with the call
        if traced.verdict != answer.action:
            found.append(f"the policy says {answer.action}, the kernel {traced.verdict}")
        if traced.rule != ("" if answer.rule in _RULELESS else answer.rule):
            found.append(f"the policy names {answer.rule}, the kernel {traced.rule or 'no rule'}")
        if found or traced.verdict != "allow":
            return tuple(found)
        version = traced.version
        target = end_words(version, int(ipaddress.ip_address(traced.leaves_to)), traced.leaves_to_port)
        if target != answer.leaves_to:
            found.append(f"the policy sends it to {answer.leaves_to}, the kernel to {target}")
        # The text may not say what masquerade takes: an interface's address may come from its line.
        said = int(ipaddress.ip_address(answer.leaves_from))
        if traced.leaves_from and said and traced.leaves_from != answer.leaves_from:
            found.append(
                f"by the policy it leaves from {answer.leaves_from}, in the kernel from {traced.leaves_from}"
            )
        return tuple(found)

    def exceeded(self, policy: Policy) -> frozenset[str]:
        """The rules with a limit that the kernel tried and left: their limit is exceeded now."""
        limited = {rule.id for rule in policy.rules if rule.rate is not None or rule.connections is not None}
        return frozenset(limited & set(self.traced.skipped))


def send(known: Asked, packet: Packet, *, deliver: bool) -> Kernel:
    """Send the packet and follow it. Without `deliver` nobody gets it."""
    assert known.gateway is not None
    asked = msgspec.structs.replace(
        _description(packet), source_port=identifier(packet), seconds=MOST_PROBE_SECONDS, probe=True, deliver=deliver
    )
    applyd = known.gateway.instance.socket("applyd")
    try:
        check_probe(
            packet, applyd
        )  # one that cannot be sent shall not keep the kernel watching: --follow may come next
        tracing = known.gateway.ask(asked, Tracing)
        send_probe(packet, applyd)
    except ProbeError as error:
        raise Failure(str(error), code=FORBIDDEN if "root" in str(error) else REFUSED, name="no-probe") from error
    traced = known.gateway.ask(Trail(tracing.number), Traced)
    if not traced.seen:
        raise Failure(
            "the packet was sent, but the kernel says nothing of it",
            "the interface may be down; --follow waits for a real packet",
            name="not-seen",
        )
    where = f"in through {packet.entering}" if packet.entering else "from the gateway"
    end = "" if deliver or traced.verdict != "allow" else "; it was kept from going on"
    return Kernel(f"a packet sent {where}: {_words(traced)}{end}", traced)


def identifier(packet: Packet) -> int:
    """What connection tracking tells the probe by: its source port, or the number of its echo."""
    return ICMP_IDENTIFIER if packet.protocol in (1, 58) else packet.source_port


def follow(known: Asked, packet: Packet, seconds: int) -> tuple[Kernel, Packet]:
    """Wait for the next real packet of this description; what became of it, and the packet it was."""
    assert known.gateway is not None
    asked = msgspec.structs.replace(_description(packet), source_port=-1, seconds=seconds)
    tracing = known.gateway.ask(asked, Tracing)
    traced = known.gateway.ask(Trail(tracing.number), Traced, patience=seconds + 30.0)
    if not traced.seen:
        raise Failure(f"no such packet came within {seconds} s", "--wait TIME waits longer", name="not-seen")
    return Kernel(f"a packet that came: {_words(traced)}", traced), _seen(packet, traced)


def _description(packet: Packet) -> Trace:
    ported = packet.protocol in PORT_PROTOCOLS
    return Trace(
        version=packet.version,
        source=addresses.text_of(packet.version, packet.source),
        destination=addresses.text_of(packet.version, packet.destination),
        protocol=packet.protocol,
        source_port=packet.source_port if ported else -1,
        destination_port=packet.destination_port if ported else -1,
        icmp_type=packet.icmp_type if packet.protocol in (1, 58) else -1,
        entering=packet.entering,
    )


def _seen(packet: Packet, traced: Traced) -> Packet:
    """The first packet of the connection that was seen; an answer was decided when it began."""
    if traced.origin is not None:
        source, source_port, destination, destination_port = traced.origin
        return msgspec.structs.replace(
            packet,
            entering=traced.leaving,
            source=int(ipaddress.ip_address(source)),
            destination=int(ipaddress.ip_address(destination)),
            source_port=source_port,
            destination_port=destination_port,
        )
    return msgspec.structs.replace(
        packet,
        entering=traced.entering,
        source_port=traced.source_port,
        destination_port=traced.destination_port,
        icmp_type=traced.icmp_type,
        icmp_code=traced.icmp_code,
    )


def _words(traced: Traced) -> str:
    by = f" by {traced.rule}" if traced.rule else ""
    words = f"{_DONE[traced.verdict]}{by}"
    if traced.verdict == "allow" and traced.leaving:
        version = traced.version
        target = end_words(version, int(ipaddress.ip_address(traced.leaves_to)), traced.leaves_to_port)
        words += f", to {target} through {traced.leaving} from {traced.leaves_from}"
    return words
