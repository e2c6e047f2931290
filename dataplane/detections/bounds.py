"""How much is remembered: every number that bounds the state of the detections."""

from __future__ import annotations

SCANNERS = 8192  # pairs of a source and a host, or of a source and a port, that are counted
SCAN_TARGETS = 512  # ports or hosts remembered of one of them
SWEEPERS = 4096  # devices that look for others
SHOWN = 16384  # addresses of which it is known that somebody has them
GUESSERS = 8192  # pairs of a source and a service
GUESSED_SERVICES = 2048  # services that many sources are counted of
GUESSING_SOURCES = 256  # sources remembered of one service
BEACON_PAIRS = 16384  # pairs of a host inside and a service outside
BEACON_TIMES = 64  # beginnings of conversations remembered of one pair
POPULAR = 8192  # services outside of which it is known who uses them
POPULAR_HOSTS = 16  # hosts remembered of one of those
DNS_DOMAINS = 16384  # pairs of a client and a registered domain
DNS_NAMES = 512  # different names remembered of one pair
DNS_CLIENTS = 4096  # clients whose unknown domains are remembered
DNS_UNKNOWN = 256  # unknown domains remembered of one client
DEVICES = 8192
DEVICE_ADDRESSES = 16  # IP addresses remembered of one device
DEVICE_NAMES = 4
SERVICES = 16384
SERVICES_OF_HOST = 64  # beyond that one finding says that there are many
VOLUME_HOSTS = 8192
VOLUME_HOURS = 336  # two weeks: the baseline of a host
GOING_ON = 8192  # long conversations of which it is known what was counted
TOLD = 8192  # findings remembered so that they are not told again
ADDRESSES = 65536  # of which the zone is remembered
WORDS_SHOWN = 8  # examples in an explanation
