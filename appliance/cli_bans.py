"""The verbs of bans and of the allow-list, in the tree of `reef`."""

from __future__ import annotations

from appliance.verbtree import Parser, Tree, seconds


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
    add.add_argument("--yes", action="store_true", help="even when it holds the address you come from")
    for where, name in ((bans, "remove"), (tree, "unban")):
        remove = where.verb(name, "ban:remove", "Take bans back")
        remove.add_argument("addresses", nargs="+", metavar="ADDRESS", help="what was banned")
    bans.verb("list", "ban:listing", "List the bans")
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
    verb.add_argument("addresses", nargs="+", metavar="ADDRESS", help="an address or a network like 203.0.113.0/24")
    verb.add_argument("--for", dest="seconds", type=seconds, default=0, metavar="TIME", help=how_long)
    verb.add_argument("--reason", default="", metavar="WORDS", help="why")
    verb.add_argument("--owner", default="", metavar="WHO", help="who answers for it (default: who asks)")
