"""Names that hide an address from who has no key: HMAC-SHA256 of it, in the shape of an address.

A host's pseudonym is an IPv6 address within fd00::/8: 120 bits of the digest, so that no two hosts ever meet; tools
read it as an address, and it is nobody's on the Internet (RFC 4193). It tells neither the family nor the network of
the address: what keeps prefixes (Crypto-PAn) gives hosts away to who knows a few of them. All of it is pure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address

KEY_BYTES = 32
_SHAPE = b"\xfd"
_FLOW = "1:"  # Community ID, version 1
_FLOW_BYTES = 20
_LOCAL, _GROUP = 0x02, 0x01  # bits of the first byte of a MAC


def of_address(key: bytes, address: IPv4Address | IPv6Address) -> str:
    """Written in full, as the gateway's events write IPv6."""
    digest = hmac.digest(key, b"address" + address.packed, "sha256")
    return IPv6Address(_SHAPE + digest[:15]).exploded


def of_mac(key: bytes, mac: str) -> str:
    """A locally administered address of one device, whatever `mac` was."""
    digest = bytearray(hmac.digest(key, b"mac" + binascii.unhexlify(mac.replace(":", "")), "sha256")[:6])
    digest[0] = digest[0] & ~_GROUP | _LOCAL
    return digest.hex(":")


def of_flow(key: bytes, community_id: str) -> str:
    """What stands for a Community ID, which is the hash of two addresses and can be searched for: the same shape, the
    same for all events of a connection, of no use to who guesses addresses."""
    digest = hmac.digest(key, b"flow" + community_id.encode(), "sha256")
    return _FLOW + base64.b64encode(digest[:_FLOW_BYTES]).decode()


def canonical(text: str) -> str:
    """A pseudonym or an address as events have it. Raises ValueError."""
    return ip_address(text).exploded if text.count(":") != 5 or "::" in text else text.lower()
