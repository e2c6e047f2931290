"""Every bound of the policy text, in one place.

A text beyond a bound is refused before it costs time or memory. The bounds are far above what a site
needs and far below what would hurt a small box.
"""

from __future__ import annotations

MAX_TEXT_BYTES = 8 * 1024 * 1024
MAX_LINE = 16_384  # characters; also keeps a position in 20 bits of column
MAX_DEPTH = 16  # nested mappings and sequences
MAX_NODES = 2_000_000  # scalars, mappings and sequences of one text
MAX_PROBLEMS = 20_000  # after so many the reading stops: the rest would say nothing new

MAX_NAME = 48  # characters of a name of a zone, object, service, ...
MAX_WORDS = 1_000  # characters of `why`, `description` and the like

MAX_ZONES = 256
MAX_BRIDGES = 4  # pairs of sockets that inspectd opens before it gives its privilege up
MAX_OBJECTS = 100_000
MAX_RULES = 100_000
MAX_NESTING = 16  # objects in objects, services in services
MAX_PAIR_RULES = 300_000  # rules, each times the zone pairs it stands for: what compiling grows with
MAX_TIMES = 256  # times of one schedule
MAX_RANGES = 1_000_000  # intervals of one address set
MAX_SERVICE_ENTRIES = 1_024  # protocols of one rule
MAX_BASELINES = 16
MIN_DEPTH = 4_096  # bytes of a direction that are looked into
MAX_DEPTH_BYTES = 1 << 40
MAX_LEARNING_DAYS = 365
MAX_DETECTION_COUNT = 250  # as many as the detections remember of one source
MAX_DETECTION_SECONDS = 86_400
MAX_THRESHOLD_SECONDS = 30 * 86_400
MAX_AUTOMATIC_BANS = 100_000  # that hold at a time
MAX_BAN_SECONDS = 366 * 86_400  # of one that nobody asked for
MAX_CONSUMERS = 1_000
MAX_CONSOLE_PEOPLE = 500
MAX_APPROVALS = 5
MAX_INDICATOR_SOURCES = 100
MAX_WITNESSES = 16
MIN_RECORD_SECONDS = 86_400
MAX_CONSUMER_RATE = 10_000  # requests a second
MIN_RETENTION_SECONDS = 3600
MAX_RETENTION_SECONDS = 3660 * 86_400
MIN_PSEUDONYM_SECONDS = 3600
MAX_PSEUDONYM_SECONDS = 366 * 86_400
MIN_OUTBOX_BYTES = 64 << 20
MAX_OUTBOX_BYTES = 999 << 30

MAX_LIST_FILE_BYTES = 64 * 1024 * 1024  # one list from a file
MAX_DNS_CAP = 65_536  # addresses of one DNS object
MAX_RATE = 1_000_000
MAX_CONNECTIONS = 1_000_000
MAX_CONFIRM_WITHIN = 86_400  # seconds
MAX_FLOW_LOG_DAYS = 366
MAX_HISTORY = 100_000
