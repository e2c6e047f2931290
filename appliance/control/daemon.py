"""The frame of a control-plane process: instance, sandbox, socket, loop, clean stop on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance.control import notify
from appliance.control.processes import Instance, InstanceError, load_instance, process
from appliance.events import record
from appliance.events.spool import Spool, SpoolError, SpoolLimits

_SPOOL = SpoolLimits(segment=1 << 20, total=16 << 20)
_TICK = 0.5  # seconds


def instance_argument(name: str, argv: list[str]) -> Instance:
    """The instance of `--instance FILE`. Ends the process with words where there is none."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--instance", required=True, type=Path, help="the instance file, written by the supervisor")
    try:
        return load_instance(parser.parse_args(argv).instance)
    except InstanceError as error:
        sys.exit(f"{name}: {error}")


class Log:
    """One line per event: on stderr, where the supervisor and the journal take it, and in the process's spool, where
    `reef log` and the alerting read it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spool: Spool | None = None

    def open(self, directory: Path) -> None:
        """Begin to write events too. Without a place for them the process does its work all the same."""
        try:
            self._spool = Spool(directory, _SPOOL, source=self._name)
        except SpoolError as error:
            self(str(error))

    def __call__(self, words: str) -> None:
        print(f"{self._name}: {words}", file=sys.stderr, flush=True)
        self._write(record.notice(self._name, words, seconds=time.time()))

    def alert(self, signature: int, category: str, words: str, interface: str = "") -> None:
        """What somebody must look at (`appliance.events.record` has the numbers)."""
        print(f"{self._name}: {words}", file=sys.stderr, flush=True)
        self._write(record.alert(signature, category, words, seconds=time.time(), interface=interface))

    def audit(
        self,
        actor: str,
        action: str,
        object_: str,
        *,
        why: str = "",
        generation: int = 0,
        origin: str = "",
        detail: dict[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        """For the audit trail (`record.audit`): recordd takes it out of the spool.

        On disk when this returns, so that nobody is told of a change that a power cut makes forgotten; without
        `durable` with what else waits.
        """
        if action.partition(".")[0] not in process(self._name).audits:
            raise ValueError(f"the row of {self._name} does not say that it writes of {action}; recordd takes it not")
        self._write(
            record.audit(
                self._name, actor, action, object_, seconds=time.time(), why=why, generation=generation,
                origin=origin, detail=detail,
            )
        )  # fmt: skip
        if durable and self._spool is not None:
            self._spool.sync()

    def event(self, event: record.Event) -> None:
        """Something that is not about the process itself."""
        self._write(event)

    def _write(self, event: record.Event) -> None:
        if self._spool is not None:
            self._spool.append(record.encode(event), 1)

    def tick(self) -> None:
        """Make durable what waits for it."""
        if self._spool is not None:
            self._spool.tick()

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None


async def _ticking(log: Log) -> None:
    while True:
        await asyncio.sleep(_TICK)
        log.tick()


def run(
    serve: Callable[[asyncio.Event], Awaitable[None]],
    log: Log,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run `serve` until SIGTERM or SIGINT sets the event it is given and it returns. `loop` makes another kind of
    loop than asyncio's own."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        ticking = asyncio.create_task(_ticking(log))
        await serve(stop)
        ticking.cancel()
        log.close()
        notify.stopping()

    # What the imports left lives as long as the process: keep the collector from walking it again and again, and
    # from running every few hundred of the many thousand objects that a policy is.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())
