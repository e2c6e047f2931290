"""The verbs of inspection: into captures, and what rules there are, where they come from and what was kept."""

from __future__ import annotations

from appliance.cli_prevention import fired_verbs
from appliance.verbtree import Tree, positive


def inspect_verb(tree: Tree) -> None:
    inspect = tree.verb(
        "inspect",
        "inspect:inspect",
        "Look into captures: alerts, flows, hosts, names, files, a timeline",
        "The inspection engine reads pcap and pcapng files on this machine; no gateway and no privilege is needed.\n"
        "For example: reef inspect night.pcap --rules local.rules --set HOME_NET=10.20.0.0/16 --eve events.json",
    )
    inspect.add_argument("files", nargs="+", metavar="FILE", help="a capture, or a folder of captures")
    inspect.add_argument(
        "--rules",
        action="append",
        default=[],
        metavar="FILE",
        help="rules in Suricata's language, a file or a folder of *.rules; may be given again",
    )
    inspect.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the rules, like HOME_NET=10.20.0.0/16; may be given again",
    )
    inspect.add_argument(
        "--geoip",
        default="",
        metavar="FILE",
        help="a file in MaxMind's format (GeoLite2-Country.mmdb and the like) for rules with geoip",
    )
    inspect.add_argument("--eve", metavar="FILE", help="write every event there, as lines of Suricata's EVE JSON")
    inspect.add_argument(
        "-k",
        dest="checksums",
        choices=["all", "none"],
        default="all",
        help="none: look also at packets whose checksums are wrong, as captures of a sending host have them",
    )
    inspect.add_argument(
        "--simulate-ips", action="store_true", help="as if inline: rules that drop or reject stop what they match"
    )
    inspect.add_argument(
        "--midstream", action="store_true", help="follow connections too whose beginning is not in the capture"
    )
    inspect.add_argument(
        "--files", dest="files_to", metavar="FOLDER", help="keep every file that was carried, named by its SHA-256"
    )
    inspect.add_argument(
        "--evidence",
        metavar="FOLDER",
        help="keep the packets of conversations with alerts, as captures named by SHA-256",
    )
    inspect.add_argument(
        "--payload", action="store_true", help="put the bytes of their packet into alerts (with --eve)"
    )
    inspect.add_argument(
        "--rule-costs", action="store_true", help="count how often each rule was checked, and how long that took"
    )
    inspect.add_argument("--all", action="store_true", help="print all rows, not only the first 10 of each table")
    inspect.add_argument("--quiet", action="store_true", help="count and print nothing (with --eve)")


def ips_verbs(tree: Tree) -> None:
    ips = tree.verb("ips", "", "Rules of the inspection engine")
    kinds = Tree(ips, tree.common, "WHAT", "what")
    kinds.verbs.required = True
    check = kinds.verb(
        "check",
        "ips:check",
        "Check rules in Suricata's language: what is enforced, and why the rest is not",
        "Every problem is printed as file:line, the sid, what is wrong and what would be right. Nothing changes.\n"
        "Exit code 0: every rule can be enforced exactly as it is written; 1: some were refused.",
    )
    check.add_argument("rules", nargs="+", metavar="RULES", help="a rule file, or a folder of *.rules")
    check.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the rules, like HOME_NET=10.20.0.0/16; may be given again",
    )
    check.add_argument("--keywords", action="store_true", help="print every keyword that is used, and its state")
    check.add_argument("--all", action="store_true", help="print all problems, not only the first 50")
    check.add_argument("--allow-refused", action="store_true", help="exit code 0 also where rules were refused")
    fired_verbs(kinds)
    _feed_verbs(kinds)
    _kept_verbs(kinds, "evidence", "The packets of connections with alerts that the taps kept", "a capture")
    _kept_verbs(kinds, "files", "The files that the taps took out of traffic", "a file")


def _feed_verbs(kinds: Tree) -> None:
    feeds = kinds.verb(
        "feeds", "feeds:listing", "Where signatures come from, which revision is looked for, what is on trial"
    )
    feeds.add_argument("--forget", action="store_true", help="delete what the policy no longer names, as root")
    update = kinds.verb(
        "update",
        "feeds:update",
        "Fetch feeds and look for what they give from then on",
        "What is new or changed only alerts while it is on trial (`trial` of the feed). A feed that cannot be had,\n"
        "or is not what the policy says it must be, changes nothing. As root.",
    )
    update.add_argument("feeds", nargs="*", metavar="FEED", help="only these (default: all)")
    update.add_argument("--due", action="store_true", help="only those whose `refresh` is over; for a timer")
    update.add_argument("--dry-run", action="store_true", help="say what would be new, and keep nothing")
    update.add_argument("--all", action="store_true", help="print all signatures, not only the first 20 of each kind")
    listed = kinds.verb("revisions", "feeds:revisions", "The revisions of a feed that are kept")
    listed.add_argument("feed", metavar="FEED", help="its name in the policy")
    told = kinds.verb("difference", "feeds:difference", "What differs between two revisions of a feed")
    told.add_argument("feed", metavar="FEED", help="its name in the policy")
    told.add_argument("--since", type=positive, metavar="N", help="a revision (default: the one before)")
    told.add_argument("--to", type=positive, metavar="N", help="a later one (default: the current)")
    told.add_argument("--all", action="store_true", help="print all signatures, not only the first 20 of each kind")
    take = kinds.verb("take", "feeds:take", "Go back to another revision of a feed", "As root.")
    take.add_argument("feed", metavar="FEED", help="its name in the policy")
    take.add_argument("revision", nargs="?", type=positive, metavar="N", help="default: the one before the current")


def _kept_verbs(kinds: Tree, store: str, words: str, noun: str) -> None:
    """The same verbs over both stores."""
    more = "As root: what is kept says what people say. settings.keep_files and keep_evidence say what that is."
    verb = kinds.verb(store, "kept:listing", words, more)
    verb.set_defaults(store=store)
    deeper = Tree(verb, kinds.common, "WHAT", "what (default: list)")
    listing = deeper.verb("list", "kept:listing", "List what is kept, with the flow and the rule it came from")
    show = deeper.verb("show", "kept:show", f"Print all that is known of {noun}")
    save = deeper.verb("save", "kept:save_one", f"Copy {noun} out of the store, once its digest is checked")
    for one in (listing, show, save):
        one.set_defaults(store=store)
    for one in (show, save):
        one.add_argument("digest", metavar="DIGEST", help="its SHA-256, or as much of it as is unique")
    save.add_argument("file", metavar="FILE", help="where to, a file that is not there yet")
