"""Packets as a person writes them: `10.20.0.12:443`, `[2001:db8::1]:443`, `tcp/443`. Pure."""

from __future__ import annotations

from appliance.policy import addresses
from appliance.policy.decide import Packet
from appliance.policy.model import ServiceEntry
from appliance.policy.written import services


def end_words(version: int, address: int, port: int) -> str:
    """An address, with its port where there is one."""
    words = addresses.text_of(version, address)
    if not port:
        return words
    return f"[{words}]:{port}" if version == 6 else f"{words}:{port}"


def service_words(packet: Packet) -> str:
    """What a packet asks for: protocol and port, or type."""
    if packet.protocol in services.WITH_PORTS.values():
        return services.words_of_entry(ServiceEntry(packet.protocol, (packet.destination_port,) * 2))
    return services.words_of_entry(ServiceEntry(packet.protocol, icmp=(packet.icmp_type,) * 2))
