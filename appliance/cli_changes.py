"""The verbs of drafts and proposals in the tree of `reef`."""

from __future__ import annotations

import argparse

from appliance.verbtree import Tree, positive, seconds


def proposal_verbs(tree: Tree) -> None:
    draft = tree.verb(
        "draft",
        "drafts:listing",
        "The texts that people work at: begin, change, prove, propose them",
        "reef draft alone lists them. reef propose takes a file without one.",
    )
    verbs = Tree(draft, tree.common, "WHAT", "what (default: list)")
    verbs.verb("list", "drafts:listing", "List the drafts of everybody, the newest change first")
    shown = verbs.verb("show", "drafts:show", "Print the text of a draft")
    shown.add_argument("id", metavar="ID", help="its id, as reef draft list shows it")
    drop = verbs.verb("drop", "drafts:drop", "Throw a draft of one's own away")
    drop.add_argument("id", metavar="ID", help="its id")
    _drafting(verbs)
    propose = tree.verb(
        "propose",
        "proposals:propose",
        "Ask others to approve a text, so that it may run",
        "It is checked and proven first; what has errors cannot be proposed.",
    )
    propose.add_argument("file", metavar="FILE", help="a policy text; - for standard input")
    propose.add_argument("--called", default="", help=argparse.SUPPRESS)
    propose.add_argument("--title", required=True, metavar="WORDS", help="what it is, in a few words")
    propose.add_argument("--why", default="", metavar="WORDS", help="why it is needed")
    propose.add_argument("--ticket", default="", metavar="TICKET", help="where it was asked for")
    propose.add_argument(
        "--base", type=positive, metavar="N", help="the generation it was made from (default: the running one)"
    )
    _proposals(tree)
    _notices(tree)
    approve = tree.verb(
        "approve",
        "proposals:approve",
        "Agree to a proposal of somebody else",
        "The approval is of the text that is shown: it ends when the text is amended.",
    )
    _number(approve)
    approve.add_argument("--words", default="", metavar="WORDS", help="what there is to say of it")
    approve.add_argument("--yes", action="store_true", help="do not ask")
    reject = tree.verb("reject", "proposals:reject", "Say no to a proposal")
    _number(reject)
    reject.add_argument("--why", required=True, metavar="WORDS", help="the reason")


def _drafting(verbs: Tree) -> None:
    begin = verbs.verb("open", "drafts:begin", "Begin a draft: of what runs, or of a text")
    begin.add_argument("file", nargs="?", default="", metavar="FILE", help="a policy text (default: what runs)")
    begin.add_argument("--called", default="", help=argparse.SUPPRESS)
    begin.add_argument("--title", default="", metavar="WORDS", help="what it is, in a few words")
    begin.add_argument(
        "--base", type=positive, metavar="N", help="the generation it is made from (default: the running one)"
    )
    put = verbs.verb("set", "drafts:put", "Put another text into a draft of one's own, and prove it")
    put.add_argument("id", metavar="ID", help="its id")
    put.add_argument("file", metavar="FILE", help="a policy text; - for standard input")
    put.add_argument("--called", default="", help=argparse.SUPPRESS)
    named = verbs.verb("name", "drafts:name", "Give a draft another title or ticket")
    named.add_argument("id", metavar="ID", help="its id")
    named.add_argument("--title", metavar="WORDS", help="what it is, in a few words")
    named.add_argument("--ticket", metavar="TICKET", help="where it was asked for")
    for name, words in (
        ("undo", "Take the last step in a draft back"),
        ("redo", "Do the step again that was taken back last"),
        ("check", "Say what is found and proven of a draft; nothing changes"),
        ("plan", "Say in words what a draft would change; nothing changes"),
    ):
        verbs.verb(name, f"drafts:{name}", words).add_argument("id", metavar="ID", help="its id")
    merge = verbs.verb("merge", "drafts:merge", "Bring into a draft what runs now, or what another draft changed")
    merge.add_argument("id", metavar="ID", help="its id")
    merge.add_argument("other", nargs="?", default="", metavar="OTHER", help="another draft (default: what runs)")
    propose = verbs.verb("propose", "drafts:propose", "Ask others to approve a draft, so that it may run")
    propose.add_argument("id", metavar="ID", help="its id")
    propose.add_argument("--title", default="", metavar="WORDS", help="what it is (default: its title)")
    propose.add_argument("--why", default="", metavar="WORDS", help="why it is needed")
    propose.add_argument("--ticket", default="", metavar="TICKET", help="where it was asked for")


def _notices(tree: Tree) -> None:
    notices = tree.verb(
        "notices",
        "notices:listing",
        "What owners are told: what of theirs ends, is to change, was changed or taken back",
        "Yours are those whose owner is your mail address, name or login in the policy's `console.people`.",
    )
    notices.add_argument("--everybody", action="store_true", help="those of all owners")
    notices.add_argument("--limit", type=positive, default=100, metavar="N", help="how many (default 100)")
    notices.add_argument("--seen", action="store_true", help="also say that you have seen yours")


def _proposals(tree: Tree) -> None:
    proposals = tree.verb(
        "proposals", "proposals:listing", "List and show proposals, and what becomes of them",
        "reef proposals alone lists them.",
    )  # fmt: skip
    proposals.set_defaults(state="", limit=50)
    verbs = Tree(proposals, tree.common, "WHAT", "what (default: list)")
    listing = verbs.verb("list", "proposals:listing", "List them, the newest first")
    listing.add_argument("--state", default="", metavar="STATE", help="only those that are proposed, approved, ...")
    listing.add_argument("--limit", type=positive, default=50, metavar="N", help="how many (default 50)")
    show = verbs.verb("show", "proposals:show", "What a proposal would change, and what was said of it")
    _number(show)
    show.add_argument("--text", action="store_true", help="print its text instead")
    show.add_argument("--all", action="store_true", help="print all changes, not only the first 50")
    comment = verbs.verb("comment", "proposals:comment", "Say something of a proposal")
    _number(comment)
    comment.add_argument("words", metavar="WORDS", help="what")
    comment.add_argument("--rule", default="", metavar="ID", help="about this rule")
    amend = verbs.verb(
        "amend", "proposals:amend", "Put another text in its place",
        "Approvals that were given end, and who amends cannot approve.",
    )  # fmt: skip
    _number(amend)
    amend.add_argument("file", metavar="FILE", help="a policy text; - for standard input")
    amend.add_argument("--called", default="", help=argparse.SUPPRESS)
    amend.add_argument("--words", default="", metavar="WORDS", help="what was amended")
    amend.add_argument(
        "--base", type=positive, metavar="N", help="the generation it is made from now (default: as before)"
    )
    withdraw = verbs.verb("withdraw", "proposals:withdraw", "Take a proposal of one's own back")
    _number(withdraw)
    withdraw.add_argument("--why", default="", metavar="WORDS", help="the reason")
    schedule = verbs.verb(
        "schedule", "proposals:schedule", "Have it applied by itself at a moment, if it is approved"
    )
    _number(schedule)
    schedule.add_argument("when", metavar="TIME", help="as 2026-03-01T22:30 in this machine's time, or never")
    schedule.add_argument(
        "--confirm-within", type=seconds, metavar="TIME",
        help="time to confirm in; 0: no confirm needed (default: what the policy says)",
    )  # fmt: skip


def _number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=positive, metavar="N", help="its number, as reef proposals shows it")
