"""What is asked of recordd about the audit trail, and what others have it write down."""

from __future__ import annotations

import msgspec

MOST_ENTRIES = 1000  # of one answer
MOST_BUNDLES = 64


class AuditLog(msgspec.Struct, frozen=True, tag=True):
    """The newest `limit` entries before number `before` (0: from the end) that are chosen, newest first.

    "" and 0 choose all; moments are seconds since the epoch; `action` may end with a dot: all of that subject.
    """

    before: int = 0
    limit: int = 100
    since: float = 0.0
    until: float = 0.0
    actor: str = ""
    action: str = ""
    words: str = ""  # somewhere in the entry


class AuditEntry(msgspec.Struct, frozen=True):
    """Entry `index` of the trail, as it is hashed; empty where its retention ended."""

    index: int
    body: bytes


class AuditEntries(msgspec.Struct, frozen=True, tag=True):
    """`next` is where to go on looking, 0 when everything was looked at."""

    entries: tuple[AuditEntry, ...]
    next: int
    size: int


class AuditCheckpoint(msgspec.Struct, frozen=True, tag=True):
    """The newest checkpoint."""


class AuditCheckpointIs(msgspec.Struct, frozen=True, tag=True):
    """`note` is the signed checkpoint, `key` its verifier key, `cosigned` the newest that witnesses signed too."""

    note: bytes
    key: str
    cosigned: bytes = b""


class AuditProve(msgspec.Struct, frozen=True, tag=True):
    """Prove that entry `index` is in the trail."""

    index: int


class AuditProof(msgspec.Struct, frozen=True, tag=True):
    """`leaf` is the hash of the entry, also where `entry` is empty because its retention ended."""

    index: int
    entry: bytes
    leaf: bytes
    proof: tuple[bytes, ...]
    note: bytes
    key: str


class AuditContinues(msgspec.Struct, frozen=True, tag=True):
    """Prove that the newest checkpoint continues the one of `old` entries."""

    old: int


class AuditContinued(msgspec.Struct, frozen=True, tag=True):
    old: int
    proof: tuple[bytes, ...]
    note: bytes


class AuditBundles(msgspec.Struct, frozen=True, tag=True):
    """Bundles of 256 entries from number `first` on, at most `MOST_BUNDLES`, of the first `size` entries."""

    first: int
    count: int
    size: int


class AuditBundlesAre(msgspec.Struct, frozen=True, tag=True):
    """Each bundle as tlog-tiles has it, and beside it the hashes of its entries, 32 bytes each."""

    bundles: tuple[bytes, ...]
    hashes: tuple[bytes, ...]


class SealEvidence(msgspec.Struct, frozen=True, tag=True):
    """Seal a package about `alert` by the SHA-512 of its list of digests; who asked, and why, is written into the
    trail."""

    alert: str
    digest: bytes
    why: str = ""


class EvidenceSealed(msgspec.Struct, frozen=True, tag=True):
    """`signature` as `ssh-keygen -Y verify` takes it, by the owner of `key`."""

    signature: str
    key: str


class Witnessing(msgspec.Struct, frozen=True, tag=True):
    """Of alertd, which can reach them: what goes to which witness now?"""


class WitnessPost(msgspec.Struct, frozen=True):
    """POST `body` to `address`."""

    name: str
    address: str
    body: bytes


class WitnessPosts(msgspec.Struct, frozen=True, tag=True):
    posts: tuple[WitnessPost, ...]


class WitnessSaid(msgspec.Struct, frozen=True, tag=True):
    """What a witness answered, status and body of HTTP; 0 and words where it did not."""

    name: str
    status: int
    body: bytes


class WitnessHeard(msgspec.Struct, frozen=True, tag=True):
    """`again`: ask at once what goes to it now."""

    words: str
    again: bool


class Witnesses(msgspec.Struct, frozen=True, tag=True):
    """How the witnesses of the policy stand."""


class WitnessInfo(msgspec.Struct, frozen=True):
    """`size` entries were cosigned at `time` (seconds since the epoch); `words`: what is wrong."""

    name: str
    address: str
    size: int
    time: float
    words: str


class WitnessList(msgspec.Struct, frozen=True, tag=True):
    witnesses: tuple[WitnessInfo, ...]


class HoldRecords(msgspec.Struct, frozen=True, tag=True):
    """Dispose of no record in which these words stand ("" holds all), under a name, until it is released."""

    name: str
    words: str
    why: str


class ReleaseRecords(msgspec.Struct, frozen=True, tag=True):
    name: str


class Holds(msgspec.Struct, frozen=True, tag=True):
    pass


class HoldInfo(msgspec.Struct, frozen=True):
    """`by` set it at `since` (seconds since the epoch)."""

    name: str
    words: str
    by: str
    why: str
    since: float


class HoldList(msgspec.Struct, frozen=True, tag=True):
    """`kept` is for how many seconds the records of each class are kept."""

    holds: tuple[HoldInfo, ...]
    kept: dict[str, int]


class AuditHealth(msgspec.Struct, frozen=True, tag=True):
    """Is anything wrong with the trail?"""


class AuditHealthIs(msgspec.Struct, frozen=True, tag=True):
    """What is wrong, in words: the trail cannot be kept or signed, or a witness does not vouch for it."""

    troubles: tuple[str, ...]


class AuditNote(msgspec.Struct, frozen=True, tag=True):
    """Of policyd: write down what the command line did by itself. Only what `NOTED` lists."""

    action: str
    object: str
    why: str = ""
    detail: dict[str, str] = {}


NOTED = ("feed.take", "feed.update")
