"""What the detections look at. Addresses are packed: 4 or 16 bytes. Times are seconds since the
epoch, of the packets.
"""

from __future__ import annotations

from typing import Literal

import msgspec

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

# How far a conversation is: the policy refused its first packet; the other side answered; it is over.
Phase = Literal["refused", "answered", "goes-on", "ended"]


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """Something about a conversation. `sent` and `received` are bytes of frames, from the client's side; `flags` all
    TCP flags of each side. Of ICMP the port is the type of what the client sent."""

    phase: Phase
    time: float
    start: float
    protocol: int
    client: bytes
    client_port: int
    server: bytes
    port: int
    flow: int = 0
    app: str = ""
    sent: int = 0
    received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    flags_sent: int = 0
    flags_received: int = 0

    @property
    def answered(self) -> bool:
        """The other side took it: for TCP, it agreed to the connection or data came."""
        if self.packets_received == 0:
            return False
        if self.protocol != TCP:
            return True
        if self.flags_received & SYN:
            return bool(self.flags_received & ACK)
        return not self.flags_received & RST

    @property
    def failed(self) -> bool:
        """It is known that nothing came of it."""
        return self.phase == "refused" or (self.phase in ("answered", "ended") and not self.answered)


class Login(msgspec.Struct, frozen=True, gc=False):
    """Somebody was asked who they are, and it is known what came of it."""

    time: float
    protocol: str  # as people call it: ssh, sip, http …
    client: bytes
    server: bytes
    port: int
    failed: bool
    user: str = ""
    certain: bool = True  # False: it began, and what came of it cannot be read


class Question(msgspec.Struct, frozen=True, gc=False):
    """A DNS name was asked for (`rcode` empty), or answered."""

    time: float
    client: bytes
    server: bytes
    name: str
    kind: str
    rcode: str = ""


class Neighbour(msgspec.Struct, frozen=True, gc=False):
    """A device on one of our own networks showed itself. `how`: arp, nd, dhcp, mdns; asks: it looked for `asked`."""

    time: float
    interface: int
    how: str
    mac: str  # "" where only the address is known
    address: bytes  # b"" where only the device is known
    name: str = ""
    asked: bytes = b""  # the address that it looked for


Seen = Conversation | Login | Question | Neighbour
