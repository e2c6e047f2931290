"""The verbs of what leaves the gateway, in the tree of `reef`: who may have it."""

from __future__ import annotations

from appliance.verbtree import Tree


def consumer_verbs(tree: Tree) -> None:
    consumers = tree.verb("consumers", "consumers:listing", "Who may have what the gateway sees, and how far each is")
    kinds = Tree(consumers, tree.common, "WHAT", "what (default: list)")
    kinds.verb("list", "consumers:listing", "List the consumers of the policy")
    token = kinds.verb(
        "token", "consumers:token", "Make a token for one, and its digest for the policy; nothing changes"
    )
    token.add_argument("name", metavar="NAME", help="whose it will be")
