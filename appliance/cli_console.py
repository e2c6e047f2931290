"""The verbs of the console's accounts in the tree of `reef`."""

from __future__ import annotations

from appliance.verbtree import Tree


def console_verbs(tree: Tree) -> None:
    console = tree.verb(
        "console",
        "console:people",
        "Who may come in by the browser, and who is in",
        "reef console alone lists the people of the policy and what they come in with.",
    )
    kinds = Tree(console, tree.common, "WHAT", "what (default: people)")
    kinds.verb("people", "console:people", "List people, and what they come in with")
    invite = kinds.verb(
        "invite",
        "console:invite",
        "Make a link by which somebody makes their first passkey, or comes in again",
        "Good once, for a day. Whoever has it becomes that person: audited, and an alert for who had an account. "
        "While changes need approval an approver agrees first, unless root asks.",
    )
    invite.add_argument("name", metavar="NAME", help="a person of `console.people`")
    invite.add_argument("--reset", action="store_true", help="what they come in with now is good no more")
    kinds.verb("sessions", "console:sessions", "List who is in, from where, with which device")
    revoke = kinds.verb("revoke", "console:revoke", "End the sessions of a person")
    revoke.add_argument("name", metavar="NAME", help="whose")
    revoke.add_argument("--session", default="", metavar="ID", help="only this one")
    revoke.add_argument("--tokens", action="store_true", help="their tokens too")
    glass = kinds.verb(
        "break-glass",
        "console:break_glass",
        "Make one-time codes for the day when nobody can log in otherwise",
        "For who has `break_glass: yes` in the policy. Using one is an alert and an audit entry; it lasts an hour.",
    )
    glass.add_argument("name", metavar="NAME", help="for whom")
