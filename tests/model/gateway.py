"""A gateway in the model: connection tracking and routing around the interpreter of its ruleset."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.policy.compiling.bundle import FLAG_QUEUE_CLOSED, FLAGS_QUEUE
from appliance.policy.decide import Packet
from tests.model.nft_interpreter import Connection, Frame, Machine, Outcome, Tuple5
from tests.policies import gateway_address, route


@dataclass
class Passage:
    """What happened to a packet: its verdict, everything counted and logged, and its connection."""

    verdict: str
    counters: list[str]
    logs: list[str]
    reject: str
    bypass: bool
    connection: Connection
    source_ports: tuple[int, int] = (0, 0)
    mark: int = 0  # of the packet, as whoever reads the queue sees it
    hook: str = ""
    frame: Frame | None = None

    @property
    def rule(self) -> str:
        """The rule that decided: the last one counted of those that decide."""
        named = [name for name in self.counters if name.startswith(("r_", "spoof_"))]
        return named[-1] if named else ""


def track(packet: Packet) -> Connection:
    """A new conntrack entry for a packet."""
    return Connection(
        version=packet.version,
        protocol=packet.protocol,
        original=Tuple5(packet.source, packet.destination, packet.source_port, packet.destination_port),
        reply=Tuple5(packet.destination, packet.source, packet.destination_port, packet.source_port),
        icmp=(packet.icmp_type, packet.icmp_code),
    )


def pass_first(machine: Machine, packet: Packet) -> Passage:
    """The first packet of a connection, through every hook."""
    connection = track(packet)
    frame = Frame(
        version=packet.version,
        protocol=packet.protocol,
        source=packet.source,
        destination=packet.destination,
        source_port=packet.source_port,
        destination_port=packet.destination_port,
        icmp=connection.icmp,
        iif=packet.entering,
        reverse=route(packet.version, packet.source),
        connection=None,
    )
    passage = Passage("", [], [], "", False, connection)
    if packet.entering:
        frame.connection = connection
        outcome = machine.run("prerouting_nat", frame)
        _note(outcome, passage)
        if outcome.translation is not None:
            _, address, ports = outcome.translation
            connection.reply.source = frame.destination = address
            if ports != (0, 0):
                connection.reply.source_port = frame.destination_port = ports[0]
    frame.connection = connection
    leaving = route(packet.version, frame.destination)
    frame.oif = leaving
    hook = "output" if not packet.entering else ("forward" if leaving else "input")
    if not _through(machine, hook, frame, passage):
        return passage
    verdict = passage.verdict
    if leaving:
        outcome = machine.run("postrouting_nat", frame)
        _note(outcome, passage)
        if outcome.translation is not None:
            kind, address, ports = outcome.translation
            own = gateway_address(leaving, packet.version)
            connection.reply.destination = own if kind == "masquerade" else address
            passage.source_ports = ports
    passage.verdict = verdict
    connection.seen = True
    return passage


def pass_again(
    machine: Machine, packet: Packet, connection: Connection, *, reply: bool, line: str | None = None
) -> Passage:
    """A later packet of a connection that began with `packet`, in its own or in reply direction (untranslated view
    of the filter hooks: prerouting has undone source NAT, postrouting has not yet undone destination NAT). It comes
    by `line`, where that is another one than routing would have it."""
    connection.answered = connection.answered or reply
    real_destination = connection.reply.source
    leaving = route(packet.version, real_destination)
    ends = (packet.source, real_destination, packet.source_port, connection.reply.source_port)
    icmp = connection.icmp
    if reply:
        ends = (ends[1], ends[0], ends[3], ends[2])
        icmp = ({8: 0, 128: 129}.get(icmp[0], icmp[0]), icmp[1])
    entering, going = (leaving, packet.entering) if reply else (packet.entering, leaving)
    entering = entering if line is None else line
    frame = Frame(
        version=packet.version,
        protocol=packet.protocol,
        source=ends[0],
        destination=ends[1],
        source_port=ends[2],
        destination_port=ends[3],
        icmp=icmp,
        iif=entering,
        oif=going,
        reverse=route(packet.version, ends[0]),
        state="established" if connection.answered else "new",
        direction="reply" if reply else "original",
        connection=connection,
    )
    passage = Passage("", [], [], "", False, connection)
    hook = "output" if not entering else ("forward" if going else "input")
    _through(machine, hook, frame, passage)
    return passage


def _note(outcome: Outcome, passage: Passage) -> None:
    passage.counters += outcome.counters
    passage.logs += outcome.logs


def _through(machine: Machine, base: str, frame: Frame, passage: Passage) -> bool:
    outcome = machine.run(base, frame)
    _note(outcome, passage)
    passage.verdict, passage.reject, passage.bypass = outcome.verdict, outcome.reject, outcome.bypass
    passage.mark, passage.hook, passage.frame = frame.mark, base, frame
    if passage.verdict == "accept" and frame.mark & FLAGS_QUEUE:
        # The old NFQUEUE target, in a table between: it goes by the packet's mark.
        passage.verdict, passage.bypass = "queue", not frame.mark & FLAG_QUEUE_CLOSED
    elif passage.verdict == "accept":
        assert judged(machine, passage, frame.mark).verdict == "accept"
    return outcome.verdict != "drop"


def judged(machine: Machine, passage: Passage, mark: int) -> Outcome:
    """What becomes of a packet that comes back from its queue with `mark`, or that never was in one."""
    assert passage.frame is not None
    passage.frame.mark = mark
    return machine.run(f"judged_{passage.hook}", passage.frame)
