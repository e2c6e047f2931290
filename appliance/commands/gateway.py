"""Which gateway a verb talks to (the appliance's own, a lab's, or an instance file's), and how it asks it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.commands.failure import AWAY, CONFLICT, FORBIDDEN, REFUSED, USAGE, Failure
from appliance.control import ipc
from appliance.control.deciding.sources import SourceError, required
from appliance.control.messages import gateway as messages
from appliance.control.messages.why import Disagreement, Noted
from appliance.control.processes import INSTANCE_VARIABLE, Instance, InstanceError, instance_path, load_instance

LAB_VARIABLE = "REEF_LAB"
SCHEME = "https://"  # of a gateway that is asked by its console
# A compile of a big policy on a slow box takes seconds; a daemon that says nothing for so long hangs.
PATIENCE = 120.0

Answer = TypeVar("Answer", bound=msgspec.Struct)

_EXITS = {
    "conflict": CONFLICT,
    "moved-on": CONFLICT,
    "pending": CONFLICT,
    "busy": CONFLICT,
    "version": CONFLICT,
    "digest": CONFLICT,
    "state": CONFLICT,
    "not-allowed": FORBIDDEN,
    "session": FORBIDDEN,
    "old-connection": FORBIDDEN,
    "unauthorized": FORBIDDEN,
    "approval": FORBIDDEN,
    "not-yours": FORBIDDEN,
    "zones": FORBIDDEN,
    "away": AWAY,
    "unanswered": AWAY,
}


class Gateway:
    """The gateway that the options of a verb name. `patience` is how long one answer may take, in seconds."""

    def __init__(self, options: argparse.Namespace, patience: float = PATIENCE) -> None:
        if options.instance and options.lab:
            raise Failure("--lab and --instance both name a gateway", "give one of them", code=USAGE, name="usage")
        self._instance: str | None = options.instance
        # What was said on the command line weighs more than the environment, and there an instance more than a lab.
        elsewhere = self._instance or INSTANCE_VARIABLE in os.environ
        self._lab: str | None = options.lab or (None if elsewhere else os.environ.get(LAB_VARIABLE))
        self._patience = patience
        self._url: str = options.gateway if (options.gateway or "").startswith(SCHEME) else ""
        if self._url and (options.instance or options.lab):
            raise Failure("two gateways are named", "give one of them", code=USAGE, name="usage")

    @cached_property
    def instance(self) -> Instance:
        """Where its sockets, state and baselines are. Raises `Failure` where there is no such gateway."""
        if self._url:
            raise Failure(
                "this reads files of the gateway, which its console does not give away",
                "go there over SSH: --gateway USER@HOST", code=USAGE, name="usage",
            )  # fmt: skip
        try:
            return load_instance(self._instance_file())
        except InstanceError as error:
            message, _, remedy = str(error).partition("; ")
            raise Failure(message, remedy, code=AWAY, name="no-gateway") from error

    def _instance_file(self) -> Path:
        if self._instance:
            return Path(self._instance)
        if self._lab:
            from appliance.lab.registry import LabError, instance_file

            try:
                return instance_file(self._lab)
            except LabError as error:
                message, _, remedy = str(error).partition("; ")
                raise Failure(message, remedy, code=AWAY, name="no-gateway") from error
        return instance_path()

    @property
    def forwarded(self) -> str:
        """Where people of this machine find the console of a lab; "" where it is where the policy says."""
        if not self._lab:
            return ""
        from appliance.lab.registry import console_url

        return console_url(self._lab)

    def command(self, verb: str) -> str:
        """How to type `verb` for this same gateway."""
        if self._lab and self._lab != os.environ.get(LAB_VARIABLE):
            return f"reef --lab {self._lab} {verb}"
        if self._url:
            return f"reef --gateway {self._url} {verb}"
        if self._instance:
            return f"reef --instance {self._instance} {verb}"
        return f"reef {verb}"

    def report(self, words: str) -> None:
        """Have it written down, as an alert, that the kernel decided otherwise than the policy says."""
        self.ask(Disagreement(words), Noted)

    def ask(
        self,
        request: messages.Request,
        expected: type[Answer],
        *,
        texts: Mapping[str, str] | None = None,
        patience: float = 0.0,
        of: str = "policyd",
    ) -> Answer:
        """The answer of `policyd` (or of the process `of`). Raises `Failure` when it refuses, is away, or may not
        be asked by this user.

        `texts` are the texts that the findings of a refusal may point into, by file name. `patience` is how long this
        one may take, in seconds (0: as all of this gateway).
        """
        if self._url:
            return self._ask_far(request, expected, texts, patience, of)
        try:
            return ipc.call(self.instance.socket(of), request, expected, timeout=patience or self._patience)
        except ipc.RefusedError as error:
            reply = error.reply
            code = _EXITS.get(reply.code, REFUSED)
            raise Failure(reply.message, code=code, name=reply.code, findings=reply.findings, texts=texts) from error
        except (ipc.DaemonAway, ipc.ProtocolError, TimeoutError) as error:
            message, _, remedy = str(error).partition("; ")
            forbidden = isinstance(error.__cause__, PermissionError)
            code, name = (FORBIDDEN, "not-allowed") if forbidden else (AWAY, "away")
            raise Failure(message, remedy, code=code, name=name) from error

    def _ask_far(
        self,
        request: messages.Request,
        expected: type[Answer],
        texts: Mapping[str, str] | None,
        patience: float,
        of: str,
    ) -> Answer:
        from appliance.commands import overhttps  # TLS is loaded only where it is wanted

        try:
            way = overhttps.transport(self._url, self._patience)
            return overhttps.ask(way, request, expected, of, patience)
        except overhttps.RefusedError as error:
            said = error.refusal
            code = _EXITS.get(said.code, REFUSED)
            found = [messages.Finding(**msgspec.structs.asdict(one)) for one in said.findings]
            raise Failure(str(error), code=code, name=said.code, findings=found, texts=texts) from error


def own_baselines(options: argparse.Namespace) -> Path | None:
    """Where this machine's gateway keeps the texts that policies inherit; None where there is no gateway."""
    try:
        return Gateway(options).instance.baselines
    except Failure:
        if options.instance or options.lab:
            raise
        return None


def own_required(options: argparse.Namespace) -> tuple[str, ...]:
    """The baselines that this machine's gateway requires of every text; () where there is no gateway."""
    folder = own_baselines(options)
    if folder is None:
        return ()
    try:
        return required(Gateway(options).instance.required)
    except SourceError as error:
        raise Failure(f"{error.path}: {error.message}", error.remedy, name="unreadable") from error
