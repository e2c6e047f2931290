"""Typed messages over Unix stream sockets: a length of four bytes, then one JSON message, both ways.

The kernel names the peer (SO_PEERCRED), so a request is allowed or refused by who sent it. Every frame
is bounded before it is read; a peer that stalls is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from appliance.control import wholes
from appliance.control.messages.changes import Acting, Marks
from appliance.control.messages.gateway import Names, Refused, Reply, Request, Status

MIB = 1 << 20
LIMIT = 16 * MIB  # a policy text with room to spare
BUNDLE_LIMIT = 64 * MIB  # applyd also takes bundles
REPLY_LIMIT = 64 * MIB
FRAME_SECONDS = 30.0  # a frame that has begun arrives within this time
IDLE_SECONDS = 120.0
CONNECTIONS = 64
USER_CONNECTIONS = 16  # of them for one user: nobody may keep the others out

# What the console asks for itself. Everything else it asks in somebody's name.
_ITS_OWN = (Names, Status, Marks)
_QUIET = 1.0  # seconds between two reports of refusals of one user

_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("=iII")
_SO_PEERGROUPS = 59
_SESSION = re.compile(r"/session-([A-Za-z0-9]+)\.scope")
_NOBODY_KNOWN = 4294967295  # loginuid of what no person started

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, as the kernel says; and for whom, where the console asks in the name of `person`, who
    came to it by the connection `session`.
    """

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    person: str = ""
    session: str = ""

    @property
    def acting(self) -> bool:
        """Whether this is the console with what a person wants."""
        return bool(self.person)

    @property
    def name(self) -> str:
        """The person: the login user where there is one (root by su or sudo is still a person), else the user."""
        if self.person:
            return self.person
        uid = self.uid
        with contextlib.suppress(OSError, ValueError):
            login = int(Path(f"/proc/{self.pid}/loginuid").read_text())
            uid = self.uid if login == _NOBODY_KNOWN else login
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"uid {uid}"


class RefusedError(Exception):
    """The daemon refused the request; nothing changed. `reply` is its answer, findings included."""

    def __init__(self, reply: Refused) -> None:
        super().__init__(reply.message)
        self.reply = reply


class DaemonAway(Exception):
    """Nobody answers at the socket; the text says what to do."""


class Unanswered(DaemonAway):
    """Somebody has the request and does not answer: whether it was done is not known."""


class ProtocolError(Exception):
    """The peer does not speak this protocol or broke off."""


# --- client -----------------------------------------------------------------------------------------


def call(path: Path, request: Request, reply: type[T], *, timeout: float = 60.0, limit: int = LIMIT) -> T:
    """Send one request and return its reply. Raises `RefusedError`, `DaemonAway`, `ProtocolError`."""
    data = _frame(request, limit)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise _away(path, error) from error
        # A daemon that refuses by the length alone answers before it has read the rest.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        try:
            size = _LENGTH.unpack(_receive(connection, _LENGTH.size))[0]
            if size > REPLY_LIMIT:
                raise ProtocolError(f"{path.stem} announces an answer of {size} bytes, more than {REPLY_LIMIT}")
            body = _receive(connection, size)
        except TimeoutError as error:
            raise Unanswered(
                f"{path.stem} took the request but did not answer within {timeout:g} s; `reef doctor` says more"
            ) from error
        except ConnectionError as error:
            raise ProtocolError(f"{path.stem} broke off at {path}; its log says why") from error
    return _typed(body, reply, path)


async def call_async(path: Path, request: Request, reply: type[T], *, timeout: float = 60.0, limit: int = LIMIT) -> T:
    """`call` for daemons that must not block."""
    data = _frame(request, limit)
    try:
        async with asyncio.timeout(timeout):
            try:
                reader, writer = await asyncio.open_unix_connection(str(path))
            except OSError as error:
                raise _away(path, error) from error
            try:
                writer.write(data)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    await writer.drain()
                body = await _read_frame(reader, REPLY_LIMIT)
            finally:
                writer.close()
    except TimeoutError as error:
        raise Unanswered(f"{path.stem} did not answer within {timeout:g} s at {path}") from error
    except (asyncio.IncompleteReadError, OSError) as error:
        raise ProtocolError(f"{path.stem} broke off at {path}; its log says why") from error
    return _typed(body, reply, path)


def server_of(path: Path) -> int:
    """The number of the process that listens at a socket. Raises `DaemonAway`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.connect(str(path))
        except OSError as error:
            raise _away(path, error) from error
        return peer_of(connection).pid


def _frame(message: object, limit: int) -> bytes:
    body = _encoder.encode(message)
    if len(body) > limit:
        raise RefusedError(too_large(len(body), limit))
    return _LENGTH.pack(len(body)) + body


def too_large(size: int, limit: int) -> Refused:
    return Refused(
        "too-large",
        f"the request is {size / MIB:.1f} MiB; at most {limit // MIB} MiB are taken. "
        "Move long lists of addresses to list files and repeated rules to objects",
    )


def _receive(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(min(size, MIB))
        if not part:
            raise ConnectionResetError("the peer closed the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _typed(body: bytes, reply: type[T], path: Path) -> T:
    try:
        answer = _reply_decoder.decode(body)
    except ValueError as error:
        raise ProtocolError(f"{path.stem} answered what this version does not understand: {error}") from error
    if isinstance(answer, Refused):
        raise RefusedError(answer)
    if not isinstance(answer, reply):
        raise ProtocolError(f"{path.stem} answered {type(answer).__name__} where {reply.__name__} was due")
    return answer


def _away(path: Path, error: OSError) -> DaemonAway:
    name = path.stem
    if isinstance(error, PermissionError):
        return DaemonAway(
            f"{name} does not let you in at {path}: become root, or have root add you to the operators' group"
        )
    return DaemonAway(f"{name} does not answer at {path}: {error.strerror}; is the gateway running? `reef doctor`")


# --- server -----------------------------------------------------------------------------------------

Answer = Callable[[Request, Peer], Awaitable[Reply]]


class Agency(Protocol):
    """Knows the one process that may ask in the name of people, and what each of them may ask."""

    @property
    def uid(self) -> int: ...

    async def refusal(self, person: str, request: type) -> Refused | None:
        """Why this person may not ask that; None when they may."""


class Server:
    """Answers requests on a Unix socket.

    `permits` says for each request type whether that peer may make it; a type that is not there is
    refused for everyone. A peer that may ask nothing is turned away before it is read, so that it costs neither a
    place nor memory. `answer` gets what was permitted, one request of a connection at a time. `limit` bounds a
    request, `large` names a user whose requests may be larger. Nothing is reported of a user who `watches` whether
    somebody listens, and who is turned away. The process of `agency` asks in the name of people:
    what it sends is unwrapped, and then it is the person's permissions that count.
    """

    def __init__(
        self,
        path: Path,
        permits: Mapping[type, Callable[[Peer], bool]],
        answer: Answer,
        *,
        limit: int = LIMIT,
        large: tuple[int, int] | None = None,  # uid, bytes
        mode: int = 0o666,
        report: Callable[[str], None] = lambda _: None,
        watches: Callable[[int], bool] = lambda _: False,
        agency: Agency | None = None,
    ) -> None:
        self._path = path
        self._permits = permits
        self._answer = answer
        self._limits = dict([large] if large is not None else [])
        self._limit = limit
        self._mode = mode
        self._report = report
        self._watches = watches
        self._agency = agency
        self._decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
        self._open: Counter[int] = Counter()  # connections by user
        self._told: dict[int, float] = {}  # when a refusal of this user was reported last
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Bind the socket; one that a dead process left is replaced."""
        self._path.unlink(missing_ok=True)
        # Who may connect is decided by credentials, which cannot be forged, not by the file's mode. Set it before
        # the bind, or a peer that comes between bind and chmod is turned away.
        mask = os.umask(0o777 & ~self._mode)
        try:
            self._server = await asyncio.start_unix_server(self._connection, str(self._path), limit=MIB)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            self._path.unlink(missing_ok=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        self._open[peer.uid] += 1
        self._writers.add(writer)
        try:
            refusal = self._turned_away(peer)
            if refusal is not None:
                await _reply(writer, refusal)
                return
            while await self._exchange(reader, writer, peer):
                pass
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return  # the peer left or stalled: its own affair
        finally:
            self._open[peer.uid] -= 1
            self._writers.discard(writer)
            writer.close()

    def _turned_away(self, peer: Peer) -> Refused | None:
        """Why a connection is not even read. Root comes in when others fill all places: it must set things right."""
        if not self._is_agent(peer) and not any(permit(peer) for permit in self._permits.values()):
            if not self._watches(peer.uid):
                self._tell(peer, f"refused uid {peer.uid} (pid {peer.pid}): not allowed")
            return Refused("not-allowed", f"{self._path.stem} does not answer {peer.name} (uid {peer.uid})")
        if self._open[peer.uid] > USER_CONNECTIONS:
            return Refused("busy", f"{peer.name} has {USER_CONNECTIONS} connections open already; try again")
        if peer.uid and self._open.total() > CONNECTIONS:
            return Refused("busy", f"{CONNECTIONS} connections are open already; try again")
        return None

    def _tell(self, peer: Peer, words: str) -> None:
        """Say who was refused, but not so often that it drives everything else out of the log."""
        now = time.monotonic()
        if now - self._told.get(peer.uid, -_QUIET) >= _QUIET:
            self._told[peer.uid] = now
            self._report(words)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> bool:
        async with asyncio.timeout(IDLE_SECONDS):
            size = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
        limit = self._limits.get(peer.uid, self._limit)
        if size > limit:
            await _reply(writer, too_large(size, limit))
            return False
        async with asyncio.timeout(FRAME_SECONDS):
            body = await reader.readexactly(size)
        try:
            request = self._decoded(body)
        except RefusedError as error:
            await _reply(writer, error.reply)
            return False
        del body
        if _left(writer):
            return False  # they gave it up while this process had other work, or none: it is not done behind them
        refusal: Refused | None
        if self._is_agent(peer):
            request, peer, refusal = await self._unwrapped(request, peer)
        else:
            refusal = self._not_permitted(request, peer)
        if refusal is not None:
            await _reply(writer, refusal)
            return True
        await _reply(writer, await self._answer(request, peer))
        return True

    def _decoded(self, body: bytes) -> Request:
        """Raises `RefusedError`."""
        try:
            request = self._decoder.decode(body)
            wrong = wholes.refusal(body, request)
        except (ValueError, RecursionError) as error:
            wrong = f"not a request of this version: {error}"
        if wrong:
            raise RefusedError(Refused("bad-request", wrong))
        return request

    def _not_permitted(self, request: Request, peer: Peer) -> Refused | None:
        permit = self._permits.get(type(request))
        if permit is not None and permit(peer):
            return None
        self._tell(peer, f"refused {type(request).__name__} of uid {peer.uid} (pid {peer.pid}): not allowed")
        return Refused("not-allowed", f"{type(request).__name__} is not for {peer.name} (uid {peer.uid})")

    # --- in the name of people ------------------------------------------------------------------------

    def _is_agent(self, peer: Peer) -> bool:
        return self._agency is not None and peer.uid == self._agency.uid

    async def _unwrapped(self, request: Request, peer: Peer) -> tuple[Request, Peer, Refused | None]:
        """What a person asks through the console, who they are, and why they may not."""
        if not isinstance(request, Acting):
            known = isinstance(request, _ITS_OWN) and type(request) in self._permits
            return request, peer, None if known else self._not_permitted_alone(request, peer)
        try:
            wanted = self._decoded(request.request)
        except RefusedError as error:
            return request, peer, error.reply
        person = msgspec.structs.replace(peer, person=request.person, session=request.session)
        return wanted, person, await self._refusal(wanted, request)

    async def _refusal(self, wanted: Request, acting: Acting) -> Refused | None:
        assert self._agency is not None
        if not acting.person or not acting.session:
            return Refused("bad-request", "who asks through the console has a name and came by a connection")
        if type(wanted) not in self._permits:
            return Refused("not-allowed", f"{type(wanted).__name__} is not for {self._path.stem}")
        refusal = await self._agency.refusal(acting.person, type(wanted))
        if refusal is not None:
            self._report(f"refused {type(wanted).__name__} of {acting.person} by the console: {refusal.code}")
        return refusal

    def _not_permitted_alone(self, request: Request, peer: Peer) -> Refused:
        name = type(request).__name__
        self._tell(peer, f"refused {name} of the console (pid {peer.pid}): it says for nobody")
        return Refused("not-allowed", f"{name} is for people: the console asks it in somebody's name")


async def _reply(writer: asyncio.StreamWriter, reply: Reply) -> None:
    body = _encoder.encode(reply)
    writer.write(_LENGTH.pack(len(body)) + body)
    async with asyncio.timeout(FRAME_SECONDS):
        await writer.drain()


async def _read_frame(reader: asyncio.StreamReader, limit: int) -> bytes:
    size = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
    if size > limit:
        raise ProtocolError(f"a frame of {size} bytes; at most {limit} are read")
    return await reader.readexactly(size)


def _left(writer: asyncio.StreamWriter) -> bool:
    """Whether nobody waits for the answer any more. Who only has nothing more to ask still does."""
    looking = select.poll()
    looking.register(writer.get_extra_info("socket").fileno(), 0)  # a hang-up is told in any case
    return bool(looking.poll(0))


def peer_of(connection: socket.socket) -> Peer:
    """The credentials of the process that connected, as they were then."""
    pid, uid, gid = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Peer(pid, uid, gid, _peer_groups(connection))


def _peer_groups(connection: socket.socket) -> tuple[int, ...]:
    with contextlib.suppress(OSError):
        data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
        return struct.unpack(f"={len(data) // 4}I", data)
    return ()


# --- who started a request ----------------------------------------------------------------------------


def ancestors(pid: int, proc: Path = Path("/proc")) -> Iterable[tuple[int, str]]:
    """(pid, command name) of a process and of each above it, as far as /proc shows them."""
    for _ in range(64):
        if pid <= 0:
            return
        try:
            stat = (proc / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        yield pid, name
        pid = int(stat[stat.rindex(")") + 2 :].split()[1])


def came_by_ssh(pid: int, proc: Path = Path("/proc"), sessions: Path = Path("/run/systemd/sessions")) -> bool:
    """Whether a process belongs to a session that came over the network: an sshd is among its ancestors, or it is of
    a login session that systemd-logind calls remote. What outlives its sshd (tmux, nohup) still is."""
    return any(name.startswith("sshd") for _, name in ancestors(pid, proc)) or _of_remote_session(pid, proc, sessions)


def _of_remote_session(pid: int, proc: Path, sessions: Path) -> bool:
    try:
        groups = (proc / str(pid) / "cgroup").read_text(errors="replace")
    except OSError:
        return False
    for name in _SESSION.findall(groups):
        with contextlib.suppress(OSError):
            if "REMOTE=1" in (sessions / name).read_text(errors="replace").splitlines():
                return True
    return False
