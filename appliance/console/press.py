"""A child of the console that does what takes memory and long: it judges a gateway, and sets pages.

Proving a policy and typesetting take more than the process that people talk to may spend. Before the console gives up
its privileges it forks this child, which gives up the same and more: it opens no socket, writes no file, starts no
program. All it keeps is the right to fork, for each job is a process of its own, with a bound of memory and time,
and what it took is given back when it ends. A job is bytes over a pair of sockets, and so is what comes of it; where
nobody waits for that any more the job ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import msgspec

from appliance.control import sandbox
from appliance.control.processes import Instance, process
from ctypes_ext import sandbox as kernel

MOST_JOB = 64 << 20  # bytes of a job, and of what comes of it
MOST_WAITING = 4  # people whose jobs wait for the one that is done
SECONDS = 120  # that a job may take
_CPU = 90  # seconds of processor time
_MEMORY = 1536  # MiB of address space
_DONE, _REFUSED = b"+", b"-"
_WHOLE = b"."  # at the end: nothing was cut off

Work = Callable[[bytes], bytes]


class PressError(Exception):
    """Nothing came of a job; the text says why."""


class Refused(Exception):
    """Raised by the work itself: it cannot be done, for this reason."""


class Press:
    """The side of the console. `control` leads to the child. For one event loop."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def press(self, job: bytes) -> bytes:
        """What comes of a job. One at a time; raises `PressError`."""
        if self._waiting > MOST_WAITING:
            raise PressError("others wait already; ask again in a minute")
        if len(job) > MOST_JOB:
            raise PressError(f"there is more to look at than {MOST_JOB >> 20} MiB")
        self._waiting += 1
        try:
            async with self._turn, asyncio.timeout(SECONDS + 5):
                return await self._pressed(job)
        except TimeoutError as error:
            raise PressError(f"it takes longer than {SECONDS} s") from error
        except OSError as error:
            raise PressError(f"nothing makes reports until the console starts again: {error}") from error
        finally:
            self._waiting -= 1

    async def _pressed(self, job: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"j"], [theirs.fileno()])
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            writer.write(job)
            await writer.drain()
            writer.write_eof()
            found = bytearray()
            while part := await reader.read(1 << 16):
                found += part
                if len(found) > MOST_JOB:
                    raise PressError("what comes of it is too long")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if not found.endswith(_WHOLE) or found[:1] not in (_DONE, _REFUSED):
            raise PressError("it took too much memory or time, or broke; the console's log says more")
        if found[:1] == _REFUSED:
            raise PressError(found[1:-1].decode())
        return bytes(found[1:-1])


def started(instance: Instance, work: Work) -> Press:
    """Fork the child. Call it as the first thing, with one thread running and every privilege still there."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _child(theirs, instance, work)
    theirs.close()
    return Press(ours)


def _child(control: socket.socket, instance: Instance, work: Work) -> NoReturn:
    code = 1
    try:
        os.environ.pop(sandbox.SUPERVISOR_VARIABLE, None)
        os.environ.pop("NOTIFY_SOCKET", None)  # it speaks for nobody
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU))
        kernel.no_new_privileges()
        kernel.write_only_beneath(["/dev/null"])
        row = process("console")
        limits = msgspec.structs.replace(row.limits, memory=_MEMORY)
        sandbox.enter(msgspec.structs.replace(row, seccomp="press", limits=limits), instance)
        code = _serve(control, work)
    except sandbox.SandboxError as error:
        print(f"console: no reports are made: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _serve(control: socket.socket, work: Work) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a job: its bytes say how it went
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not said:
            return 0  # the console is gone
        for descriptor in descriptors:
            try:
                if os.fork() == 0:
                    control.close()
                    _job(descriptor, work)
            except OSError as error:  # no memory for another process now: this job ends, the next may go
                print(f"console: a report was not made: {error}", file=sys.stderr, flush=True)
            finally:
                os.close(descriptor)


def _end_when_alone(line: socket.socket) -> None:
    """End as soon as the other side is closed, in the midst of the work: who asks and leaves, again and again, has
    one job done at a time like everybody. The kernel says it by SIGIO, which ends a process that does not handle it.
    """
    _tell_changes(line, True)
    looking = select.poll()
    looking.register(line, 0)  # a hang-up is told in any case
    if looking.poll(0):
        os._exit(2)


def _tell_changes(line: socket.socket, told: bool) -> None:
    fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(line, fcntl.F_GETFL) & ~os.O_ASYNC
    fcntl.fcntl(line, fcntl.F_SETFL, flags | (os.O_ASYNC if told else 0))


def _job(descriptor: int, work: Work) -> NoReturn:
    signal.alarm(SECONDS)
    code = 1
    try:
        with socket.socket(fileno=descriptor) as line:
            job = bytearray()
            while part := line.recv(1 << 20):
                job += part
                if len(job) > MOST_JOB:
                    os._exit(1)
            _end_when_alone(line)
            try:
                found = _DONE + work(bytes(job)) + _WHOLE
            except Refused as error:
                found = _REFUSED + str(error).encode() + _WHOLE
            _tell_changes(line, False)
            line.sendall(found)
        code = 0
    except (BrokenPipeError, MemoryError):  # nobody waits any more; it was too much
        code = 2
    finally:
        if code == 1:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
