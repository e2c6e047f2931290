"""The verbs of what is exchanged with others, in the tree of `reef`: who may have it, and what they warn of."""

from __future__ import annotations

from appliance.verbtree import Parser, Tree, positive, seconds

_DAY = 86_400


def consumer_verbs(tree: Tree) -> None:
    consumers = tree.verb("consumers", "consumers:listing", "Who may have what the gateway sees, and how far each is")
    kinds = Tree(consumers, tree.common, "WHAT", "what (default: list)")
    kinds.verb("list", "consumers:listing", "List the consumers of the policy")
    token = kinds.verb(
        "token", "consumers:token", "Make a token for one, and its digest for the policy; nothing changes"
    )
    token.add_argument("name", metavar="NAME", help="whose it will be")


def privacy_verbs(tree: Tree) -> None:
    unmask = tree.verb(
        "unmask",
        "unmask:unmask",
        "Ask whom a pseudonym stands for; a second person must ask the same",
        "Within an hour. Both are told, nobody else; who asked and why is audited.",
    )
    _subject_verbs(tree)
    unmask.add_argument("pseudonym", metavar="PSEUDONYM", help="what an event has in place of an address")
    unmask.add_argument("--why", required=True, metavar="WORDS", help="the reason")


def _subject_verbs(tree: Tree) -> None:
    privacy = tree.verb(
        "privacy",
        "privacy:table",
        "Which personal data lie where, what for, for how long, and who gets them",
        "From the running policy and the stores as they are. reef privacy find ADDRESS looks for one person's.",
    )
    verbs = Tree(privacy, tree.common, "WHAT", "what (default: table)")
    verbs.verb("table", "privacy:table", "Show every store: data, purpose, retention, who gets them, pseudonyms")
    find = verbs.verb(
        "find",
        "privacy:find",
        "Say where something of an address lies, under its pseudonyms too",
        "Counts and times, no content. Who looked for whom, and why, is audited. Only root sees every store.",
    )
    find.add_argument("address", metavar="ADDRESS", help="the address of a host")
    find.add_argument("--why", required=True, metavar="WORDS", help="the reason, like the number of a request")


def indicator_verbs(tree: Tree) -> None:
    indicators = tree.verb(
        "indicators",
        "indicators:listing",
        "What others warn of: where it is enforced, how often it hit, and why it is not stronger",
        "reef indicators alone lists the newest.",
    )
    kinds = Tree(indicators, tree.common, "WHAT", "what (default: list)")
    _listed(kinds.verb("list", "indicators:listing", "List indicators, the newest first"))
    add = kinds.verb("add", "indicators:add", "Take in a document of a source that the policy trusts")
    add.add_argument("file", metavar="FILE", help="a STIX bundle, a MISP event, or a list; - for standard input")
    add.add_argument("--source", required=True, metavar="NAME", help="whose it is")
    add.add_argument("--format", choices=["stix", "misp", "csv"], default="", help="default: what it looks like")
    override = kinds.verb(
        "override",
        "indicators:override",
        "Have blocked what is never blocked; a second person must say the same",
    )
    override.add_argument("value", metavar="VALUE", help="an address, a network, a name, a URL or a digest")
    override.add_argument("--why", required=True, metavar="WORDS", help="the reason")
    override.add_argument(
        "--for", dest="seconds", type=seconds, default=_DAY, metavar="TIME", help="how long (default: 1d)"
    )
    restore = kinds.verb("restore", "indicators:restore", "Take an override back; one person is enough")
    restore.add_argument("value", metavar="VALUE", help="what was overridden")
    kinds.verb("sources", "indicators:sources", "List who is trusted, and how fetching from them goes")


def _listed(verb: Parser) -> None:
    verb.add_argument("--source", default="", metavar="NAME", help="only of this source")
    verb.add_argument(
        "--mode", choices=["none", "watch", "alert", "block"], default="", help="only what is in this mode"
    )
    verb.add_argument("--word", default="", metavar="WORD", help="only with this in a value, the name or the id")
    verb.add_argument("--limit", type=positive, default=100, metavar="N", help="at most so many (default 100)")
