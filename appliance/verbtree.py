"""What the tree of verbs is made of: its parser, its branches, the kinds of its values. Only argparse is imported."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse with the words of this project: a wrong verb is answered with the nearest right one."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            near = difflib.get_close_matches(str(value), [str(choice) for choice in action.choices], 1)
            hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(None, f"{str(value)!r} is not known here; {hint}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nsee: {self.prog} --help\n")


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of an entry")
    return int(text)


def flow(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 2**64:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a flow")
    return int(text)


def seconds(text: str) -> int:
    from appliance.commands.words import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def everywhere(defaults: bool) -> Parser:
    """The options that may stand before or after the verb."""
    # A sub-parser's default would overwrite what stood before the verb, hence none there.
    parent = Parser(add_help=False, argument_default=None if defaults else argparse.SUPPRESS)
    group = parent.add_argument_group("which gateway, and how to print")
    group.add_argument(
        "--json",
        action="store_true",
        default=False if defaults else argparse.SUPPRESS,
        help="print data for programs",
    )
    group.add_argument("--lab", metavar="ID", help="the gateway of that running lab (or $REEF_LAB)")
    group.add_argument("--instance", metavar="FILE", help="the gateway of that instance file (or $REEF_INSTANCE)")
    group.add_argument("--gateway", metavar="HOST", help="a distant one: USER@HOST over SSH, or https://HOST")
    return parent


class Tree:
    """Adds verbs to a parser, each with the module and function that run it."""

    def __init__(self, parser: Parser, common: Parser, metavar: str, title: str) -> None:
        self.common = common
        self.verbs = parser.add_subparsers(metavar=metavar, title=title, parser_class=Parser)

    def verb(self, name: str, runs: str, words: str, more: str = "") -> Parser:
        parser = self.verbs.add_parser(
            name, parents=[self.common], help=words, description=f"{words}.\n\n{more}".strip()
        )
        assert isinstance(parser, Parser)
        parser.set_defaults(runs=runs)
        return parser
