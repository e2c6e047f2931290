"""`reef --gateway USER@HOST VERB`: the same verb, run on that gateway over SSH.

Host keys are checked against the person's known_hosts; a key that is not there is refused, never learnt. Only keys
and agents log in. A policy text goes to the gateway as standard input, so nothing is written there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence

import asyncssh
import msgspec

from appliance.commands.failure import AWAY, FORBIDDEN, INTERRUPTED, USAGE, Failure
from appliance.commands.files import STDIN, read_text, shown_name
from appliance.commands.terminal import Terminal

CONNECT_SECONDS = 20
_HERE = {"check", "fmt", "schema", "lab", "completion"}  # verbs that need no gateway
_ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<bracket>[^\]\s]+)\]|(?P<host>[^@:\s\[\]]+))(?::(?P<port>\d{1,5}))?"
)


class Address(msgspec.Struct, frozen=True):
    """Where to log in; "" and 0 leave it to the person's SSH configuration."""

    host: str
    user: str = ""
    port: int = 0


def parse_address(words: str) -> Address:
    """`admin@gw.example`, `gw:2222`, `admin@[2001:db8::1]:22`. Raises `Failure`."""
    found = _ADDRESS.fullmatch(words)
    if found is None or words.startswith("-"):
        raise Failure(
            f"--gateway {words!r} is not a login", "write USER@HOST, USER@HOST:PORT or USER@[2001:db8::1]",
            code=USAGE, name="usage",
        )  # fmt: skip
    return Address(found["bracket"] or found["host"], found["user"] or "", int(found["port"] or 0))


def without_gateway(arguments: Sequence[str]) -> list[str]:
    """The command line as the gateway shall see it: without the option that names it."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip or argument.startswith("--gateway="):
            skip = False
        elif argument == "--gateway":
            skip = True
        else:
            kept.append(argument)
    return kept


def with_standard_input(arguments: Sequence[str], name: str, file: str) -> list[str]:
    """The command line with `-` in the place of the verb's file, written as a word or as `--file=FILE`."""
    start = arguments.index(name) + 1
    swapped = {file: STDIN, f"--file={file}": f"--file={STDIN}"}
    at = next(index for index in range(start, len(arguments)) if arguments[index] in swapped)
    return [*arguments[:at], swapped[arguments[at]], *arguments[at + 1 :]]


def verb(options: argparse.Namespace, terminal: Terminal) -> int:
    address = parse_address(options.gateway)
    name = next((word for word in options.arguments if not word.startswith("-") and word != options.gateway), "")
    if name in _HERE:
        raise Failure(f"reef {name} runs here and needs no gateway", "leave --gateway out", code=USAGE, name="usage")
    arguments = without_gateway(options.arguments)
    text: bytes | None = None
    if file := getattr(options, "file", ""):
        text = read_text(file).encode()
        arguments = with_standard_input(arguments, name, file)
        if name != "why":
            arguments += ["--called", shown_name(file)]
    elif name == "why" and options.what == STDIN:
        text = sys.stdin.buffer.read()
    try:
        if name == "apply" and file and not options.yes:
            _ask_first(address, text, options, terminal)
            arguments.append("--yes")
        return asyncio.run(_run(address, arguments, text, terminal))
    except asyncssh.HostKeyNotVerifiable as error:
        raise Failure(
            f"the host key of {address.host} is not known here: {error.reason}",
            "compare its fingerprint with the one on the gateway's own console, then add it to ~/.ssh/known_hosts",
            code=FORBIDDEN, name="host-key",
        ) from error  # fmt: skip
    except asyncssh.PermissionDenied as error:
        raise Failure(
            f"{address.host} does not let {address.user or 'you'} in: {error.reason}", "log in with a key it knows",
            code=FORBIDDEN, name="not-allowed",
        ) from error  # fmt: skip
    except (OSError, asyncssh.Error, TimeoutError) as error:
        words = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error) or "no answer in time"
        raise Failure(f"{address.host} cannot be reached: {words}", code=AWAY, name="away") from error


def _ask_first(address: Address, text: bytes | None, options: argparse.Namespace, terminal: Terminal) -> None:
    """Show the plan, made on the gateway, and ask here: the text needs the remote standard input."""
    if terminal.json or options.file == STDIN or not sys.stdin.isatty():
        raise Failure("nobody to ask: standard input is not a terminal", "say --yes", code=USAGE, name="usage")
    code = asyncio.run(_run(address, ["plan", STDIN, "--called", shown_name(options.file)], text, terminal))
    if code:
        raise Failure("the gateway refused the text, nothing changed", code=code)
    if not terminal.ask(f"Apply this on {address.host}?"):
        raise Failure("not applied, nothing changed", name="declined")


async def _run(address: Address, arguments: Sequence[str], text: bytes | None, terminal: Terminal) -> int:
    """Run `reef ARGUMENTS` there with our output and return its exit code."""
    command = shlex.join(["reef", *arguments])
    login: dict[str, object] = {"username": address.user} if address.user else {}
    if address.port:
        login["port"] = address.port
    async with asyncssh.connect(
        address.host, connect_timeout=CONNECT_SECONDS, keepalive_interval=15, keepalive_count_max=4,
        password_auth=False, kbdint_auth=False, **login,
    ) as connection:  # fmt: skip
        # A terminal is asked for only where no text must go through it, which it would mangle.
        interactive = text is None and terminal.tty
        size = shutil.get_terminal_size()
        process = await connection.create_process(
            command,
            term_type=os.environ.get("TERM", "dumb") if interactive else None,
            term_size=(size.columns, size.lines) if interactive else None,
            encoding=None,
            stdin=asyncssh.PIPE if text is not None else asyncssh.DEVNULL,
            stdout=sys.stdout.fileno(),
            stderr=sys.stderr.fileno(),
        )
        if text is not None:
            process.stdin.write(text)
            process.stdin.write_eof()
        done = await process.wait()
        if done.exit_status is None:
            return INTERRUPTED
        if done.exit_status == 127:
            raise Failure(f"{address.host} has no reef command", "is it a gateway?", code=AWAY, name="away")
        return done.exit_status
