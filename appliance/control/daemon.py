"""The frame of a control-plane process: instance, sandbox, socket, loop, clean stop on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance.control import notify
from appliance.control.processes import Instance, InstanceError, load_instance


def instance_argument(name: str, argv: list[str]) -> Instance:
    """The instance of `--instance FILE`. Ends the process with words where there is none."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--instance", required=True, type=Path, help="the instance file, written by the supervisor")
    try:
        return load_instance(parser.parse_args(argv).instance)
    except InstanceError as error:
        sys.exit(f"{name}: {error}")


class Log:
    """One line per event on stderr, where the supervisor and the journal take it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, words: str) -> None:
        print(f"{self._name}: {words}", file=sys.stderr, flush=True)


def run(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `serve` until SIGTERM or SIGINT sets the event it is given and it returns."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(stop)
        notify.stopping()

    # What the imports left lives as long as the process: keep the collector from walking it again and again, and
    # from running every few hundred of the many thousand objects that a policy is.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    asyncio.run(main())
