"""The verbs of prevention in the tree of `reef`: bans, the allow-list, what signatures fired."""

from __future__ import annotations

from appliance.verbtree import Parser, Tree, positive, seconds


def ban_verbs(tree: Tree) -> None:
    ban = tree.verb(
        "ban",
        "ban:listing",
        "Drop everything from and to an address, at once",
        "reef ban ADDRESS is reef ban add ADDRESS; reef ban alone lists.",
    )
    bans = Tree(ban, tree.common, "WHAT", "what (default: list)")
    add = bans.verb("add", "ban:add", "Ban addresses or networks")
    _whom(add, "how long, like 15m or 7d (default: until it is taken back)")
    add.add_argument("--file", default="", metavar="LIST", help="a whole list, one a line")
    add.add_argument("--list", default="", metavar="NAME", help="its name; what had it before is replaced at once")
    add.add_argument("--yes", action="store_true", help="even when it holds the address you come from")
    add.add_argument("--try", dest="trial", action="store_true", help="only say what would come of it")
    for where, name in ((bans, "remove"), (tree, "unban")):
        remove = where.verb(name, "ban:remove", "Take bans back")
        remove.add_argument("addresses", nargs="*", metavar="ADDRESS", help="what was banned")
        remove.add_argument("--list", default="", metavar="NAME", help="a whole list, by its name")
    listing = bans.verb("list", "ban:listing", "List the bans, the newest first")
    listing.add_argument("--word", default="", metavar="WORD", help="only what holds this address, or says this word")
    listing.add_argument("--limit", type=positive, default=1000, metavar="N", help="at most so many (default 1000)")
    find = bans.verb("find", "banlists:find", "Find the prefixes of ban lists that hold an address")
    find.add_argument("word", metavar="ADDRESS", help="an address, a network, or the beginning of one")
    find.add_argument("--list", default="", metavar="NAME", help="only in this list")
    find.add_argument("--limit", type=positive, default=100, metavar="N", help="at most so many (default 100)")
    bans.verb("gate", "ban:gate", "Where the XDP gate stands, and what it has dropped there")
    allow = tree.verb(
        "allow",
        "allow:listing",
        "Say whom no ban ever stops",
        "reef allow ADDRESS is reef allow add ADDRESS; reef allow alone lists, what the policy allows too.",
    )
    allowed = Tree(allow, tree.common, "WHAT", "what (default: list)")
    add = allowed.verb("add", "allow:add", "Allow addresses or networks, whoever banned them or will")
    _whom(add, "how long, like 15m or 7d (default: until it is taken back)")
    remove = allowed.verb("remove", "allow:remove", "Take back what was allowed")
    remove.add_argument("addresses", nargs="+", metavar="ADDRESS", help="what was allowed")
    allowed.verb("list", "allow:listing", "List whom no ban stops, and why")


def _whom(verb: Parser, how_long: str) -> None:
    verb.add_argument("addresses", nargs="*", metavar="ADDRESS", help="an address or a network like 203.0.113.0/24")
    verb.add_argument("--for", dest="seconds", type=seconds, default=0, metavar="TIME", help=how_long)
    verb.add_argument("--reason", default="", metavar="WORDS", help="why")
    verb.add_argument("--owner", default="", metavar="WHO", help="who answers for it (default: who asks)")


def fired_verbs(kinds: Tree) -> None:
    """What signatures fired, and the two edits of the policy that answer it."""
    top = kinds.verb("top", "ipstop:top", "What signatures fired, who was touched, and what they cost")
    top.add_argument("--since", metavar="TIME", help="from then on: 15m, 2h, 17:05 or 2027-03-31T17:05")
    top.add_argument(
        "--host", action="append", default=[], metavar="ADDRESS", help="only alerts of this address or network"
    )
    top.add_argument("--sid", default="", metavar="SID", help="all of one signature, and its last alerts")
    top.add_argument("--all", action="store_true", help="print all signatures, not only the first 20")
    suppress = kinds.verb(
        "suppress",
        "ipsedit:suppress",
        "Show the edit of the policy that silences a signature somewhere; nothing changes",
    )
    suppress.add_argument("sid", metavar="SID", help="its number, like 2019401 or 1:2019401")
    suppress.add_argument(
        "--for",
        dest="place",
        required=True,
        metavar="HOST|ZONE",
        help="for an address, a network or an object, or for what comes from a zone",
    )
    suppress.add_argument("--why", required=True, metavar="WORDS", help="the reason")
    suppress.add_argument("--owner", required=True, metavar="WHO", help="who answers for it")
    suppress.add_argument("--expires", required=True, metavar="DATE", help="when it ends, like 2027-03-31")
    suppress.add_argument("--id", default="", metavar="ID", help="its id (default: the next that is free)")
    escalate = kinds.verb(
        "escalate",
        "ipsedit:escalate",
        "Show the edit of the policy that has a signature do something else; nothing changes",
    )
    escalate.add_argument("sid", metavar="SID", help="its number, like 2019401 or 1:2019401")
    escalate.add_argument(
        "--profile",
        default="",
        metavar="NAME",
        help="in that profile (default: the one that is in use)",
    )
    escalate.add_argument(
        "--action",
        choices=["drop", "reject", "alert", "pass", "off"],
        default="drop",
        help="what it then does",
    )
    for verb in (suppress, escalate):
        verb.add_argument("--file", default="", metavar="POLICY", help="edit this text (default: what runs)")
        verb.add_argument("--output", default="", metavar="FILE", help="write the whole text there")
