"""The verbs of records in the tree of `reef`: the audit trail, evidence."""

from __future__ import annotations

from appliance.verbtree import Tree, number, positive, seconds


def records_verbs(tree: Tree) -> None:
    audit = tree.verb(
        "audit",
        "audit:log",
        "Who did what: show the audit trail, prove it, check it",
        "reef audit alone shows the latest entries.",
    )
    verbs = Tree(audit, tree.common, "WHAT", "what (default: log)")
    _log(verbs)
    _verify(verbs)
    _evidence(tree)
    prove = verbs.verb(
        "prove",
        "audit:prove",
        "Write a proof that an entry is in the trail",
        "Two files: the entry, and a proof that anybody checks with the trail's key (C2SP tlog-proof).",
    )
    prove.add_argument("number", type=number, metavar="N", help="the number of the entry, as reef audit log shows it")
    prove.add_argument("--output", default="", metavar="FILE", help="where to (default: audit-N.json, .tlog-proof)")
    point = verbs.verb(
        "checkpoint",
        "audit:checkpoint",
        "Print the newest checkpoint: what a stranger keeps to hold the trail to",
        "Printed as it is signed, with the verifier key on standard error; give both to whoever is to check later.",
    )
    point.add_argument("--output", default="", metavar="FILE", help="write it there, and the key beside it (.vkey)")
    _holds(verbs)
    verbs.verb("witnesses", "hold:witnesses", "Show who cosigns the checkpoints, and how far each has come")
    export = verbs.verb(
        "export",
        "audit:export",
        "Write the whole trail as files that tools of transparency logs read",
        "C2SP tlog-tiles: entries, hashes, checkpoint and key. reef audit verify --offline checks them.",
    )
    export.add_argument("directory", metavar="DIR", help="a new or empty directory")


def _holds(verbs: Tree) -> None:
    hold = verbs.verb(
        "hold",
        "hold:listing",
        "Keep records beyond their retention: legal holds",
        "reef audit hold alone lists them, and how long each class of records is kept.",
    )
    kinds = Tree(hold, verbs.common, "WHAT", "what (default: list)")
    kinds.verb("list", "hold:listing", "List the holds")
    put = kinds.verb("set", "hold:hold", "Dispose of nothing in which words stand")
    put.add_argument("name", metavar="NAME", help="what it is called, like the number of a case")
    put.add_argument(
        "--words", default="", metavar="WORDS", help="what must stand in a record (default: all records)"
    )
    put.add_argument("--why", required=True, metavar="WORDS", help="the reason, for the trail")
    release = kinds.verb("release", "hold:release", "End a hold")
    release.add_argument("name", metavar="NAME", help="its name")


def _log(verbs: Tree) -> None:
    log = verbs.verb("log", "audit:log", "Show entries, the newest last")
    log.add_argument("--since", default="", metavar="TIME", help="from then on: 2h, 3d, 2026-03-01, 2026-03-01T08:30")
    log.add_argument("--until", default="", metavar="TIME", help="up to then")
    log.add_argument("--actor", default="", metavar="LOGIN", help="only what this person or process did")
    log.add_argument("--action", default="", metavar="ACTION", help="only this, like policy.apply; ban. for all bans")
    log.add_argument("--words", default="", metavar="WORDS", help="only entries that hold these words")
    log.add_argument("--limit", type=positive, default=100, metavar="N", help="the last so many (default 100)")


def _evidence(tree: Tree) -> None:
    evidence = tree.verb(
        "evidence", "evidence:choose", "Pack what is known of an alert for a court, and check such packages"
    )
    verbs = Tree(evidence, tree.common, "WHAT", "what")
    make = verbs.verb(
        "make",
        "evidence:make",
        "Pack everything about an alert, sealed",
        "Alerts, packets and files that were kept, flows, the policy in force with its signature, the signatures'\n"
        "texts, and who did what about it with proofs: a BagIt folder that public tools verify. Only root.",
    )
    make.add_argument(
        "--alert",
        required=True,
        metavar="ID",
        help="its flow_id, as reef log --json shows it; its timestamp where it has none",
    )
    make.add_argument("--out", default="", metavar="PATH", help="a new folder, or a new file that ends with .tar")
    make.add_argument(
        "--around", type=seconds, default=600, metavar="TIME", help="how much before and after it (default 10m)"
    )
    check = verbs.verb("verify", "evidence:verify", "Check a package: digests, seal, proofs, policy")
    check.add_argument("path", metavar="PATH", help="the folder, or the .tar file")
    check.add_argument(
        "--key", default="", metavar="KEY", help="the verifier key of who must have sealed it, or a file with it"
    )


def _verify(verbs: Tree) -> None:
    verify = verbs.verb(
        "verify",
        "audit:check",
        "Check every entry of the trail against its checkpoint",
        "Of this gateway, or with --offline of exported files, which needs nothing but the key. With --entry and\n"
        "--proof one entry is checked. Exit 1 names what was changed, removed or put elsewhere.",
    )
    verify.add_argument("--offline", default="", metavar="DIR", help="what reef audit export wrote")
    verify.add_argument("--checkpoint", default="", metavar="FILE", help="the checkpoint (default: that of DIR)")
    verify.add_argument("--key", default="", metavar="KEY", help="the trail's verifier key, or a file that holds it")
    verify.add_argument(
        "--earlier",
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that was kept; the trail must continue it",
    )
    verify.add_argument(
        "--witness", action="append", default=[], metavar="KEY", help="a witness's verifier key, or a file with it"
    )
    verify.add_argument("--entry", default="", metavar="FILE", help="one entry, as reef audit prove wrote it")
    verify.add_argument("--proof", default="", metavar="FILE", help="its proof")
