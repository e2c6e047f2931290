"""keyd: the only process that holds the gateway's signing key.

It signs digests of generations, and only for policyd; whoever holds the public key can check. It never
gives the private key away and opens nothing but its own socket after the start.

A key of its own signs the records, and only for recordd: checkpoints of the audit trail, which never shrinks, and
seals of evidence.

It also keeps the keys that close the addresses of the flow log, one for each day. inspectd, which writes the log,
gets those of today and yesterday; policyd, which replays it, gets any that is left, and has the old ones destroyed.
"""

from __future__ import annotations

import asyncio
import sys
import time

from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import Peer, Server
from appliance.control.messages.gateway import Refused, Reply, Request
from appliance.control.messages.impact import FlowKey, FlowKeyIs, FlowKeysForgotten, ForgetFlowKeys
from appliance.control.messages.keys import (
    PublicKey,
    PublicKeyIs,
    RecordsKey,
    RecordsKeyIs,
    Seal,
    Sealed,
    Sign,
    SignCheckpoint,
    Signed,
)
from appliance.control.processes import Instance, process
from crypto.flowkeys import FlowKeys
from crypto.notes import origin_of, seal_file, sign_checkpoint
from crypto.signing import KeyFileError, SigningKey, load_or_create

NAME = "keyd"
_REQUEST_LIMIT = 4096
_DAY = 86400


class KeyService:
    """Answers `Sign` and `PublicKey`, for the records, and about the keys of the flow log. `writer` is the uid of who
    writes that."""

    def __init__(
        self, key: SigningKey, records: SigningKey, flow_keys: FlowKeys, writer: int, log: daemon.Log
    ) -> None:
        self._key = key
        self._records = records
        self._newest = (0, b"")  # size and root of the checkpoint that was signed last
        self._flow_keys = flow_keys
        self._writer = writer
        self._log = log

    async def answer(self, request: Request, peer: Peer) -> Reply:
        if isinstance(request, PublicKey):
            return PublicKeyIs(self._key.public)
        if isinstance(request, Sign):
            try:
                signature = self._key.sign(request.digest)
            except ValueError as error:
                return Refused("bad-digest", str(error))
            self._log(f"signed {request.digest} for uid {peer.uid}")
            return Signed(signature)
        if isinstance(request, RecordsKey):
            return RecordsKeyIs(self._records.public, origin_of(self._records.public))
        if isinstance(request, SignCheckpoint):
            return self._checkpoint(request)
        if isinstance(request, Seal):
            try:
                return Sealed(seal_file(self._records.private, request.digest))
            except ValueError as error:
                return Refused("bad-digest", str(error))
        if isinstance(request, FlowKey | ForgetFlowKeys):
            try:
                return self._flow_key(request, peer)
            except OSError as error:
                return Refused("store", f"keyd cannot keep the keys of the flow log: {error}")
        return Refused("bad-request", f"keyd does not answer {type(request).__name__}")

    def _checkpoint(self, request: SignCheckpoint) -> Reply:
        """The trail only grows: a shorter one, or another one as long, is somebody's who rewrote it."""
        size, root = self._newest
        if request.size < size or (request.size == size and root and request.root != root):
            words = (
                f"a checkpoint of {request.size} entries was refused: one of {size} is signed, and they do not agree"
            )
            self._log(words)
            return Refused("shrunk", words)
        try:
            signature = sign_checkpoint(
                self._records.private, origin_of(self._records.public), request.size, request.root
            )
        except ValueError as error:
            return Refused("bad-checkpoint", str(error))
        self._newest = (request.size, request.root)
        return Signed(signature)

    def _flow_key(self, request: FlowKey | ForgetFlowKeys, peer: Peer) -> Reply:
        if isinstance(request, ForgetFlowKeys):
            days = self._flow_keys.forget(request.before)
            if days:
                self._log(f"keys of the flow log destroyed: {days}, of days before {request.before}")
            return FlowKeysForgotten(days)
        if peer.uid != self._writer:
            key = self._flow_keys.get(request.day)
            if key is None:
                return Refused("no-key", f"the key of day {request.day} was destroyed or never made")
            return FlowKeyIs(key)
        today = int(time.time()) // _DAY
        # Yesterday's, to finish what was begun before midnight; a clock that was set a little is no reason to refuse.
        if not today - 1 <= request.day <= today + 1:
            return Refused("not-allowed", f"day {request.day} is not today ({today}) for who writes the flow log")
        return FlowKeyIs(self._flow_keys.make(request.day))


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    try:
        key = load_or_create(instance.state_of(NAME) / "signing.key")
        records = load_or_create(instance.state_of(NAME) / "records.key")
        flow_keys = FlowKeys(instance.state_of(NAME) / "flow")
    except (KeyFileError, OSError) as error:
        sys.exit(f"{NAME}: {error}")
    service = KeyService(key, records, flow_keys, instance.identity("inspectd").uid, log)
    daemon.run(lambda stop: _serve(instance, service, log, stop), log)


async def _serve(instance: Instance, service: KeyService, log: daemon.Log, stop: asyncio.Event) -> None:
    policyd, inspectd, recordd = (instance.identity(name).uid for name in ("policyd", "inspectd", "recordd"))
    server = Server(
        instance.socket(NAME),
        {
            # A signature is what makes applyd load a bundle, so even root asks policyd for it.
            Sign: lambda peer: peer.uid == policyd,
            PublicKey: lambda peer: instance.allows(NAME, peer.uid, peer.groups),
            # What recordd keeps it can have signed; neither can pass for a generation.
            SignCheckpoint: lambda peer: peer.uid == recordd,
            Seal: lambda peer: peer.uid == recordd,
            RecordsKey: lambda peer: instance.allows(NAME, peer.uid, peer.groups),
            FlowKey: lambda peer: peer.uid in (policyd, inspectd),
            ForgetFlowKeys: lambda peer: peer.uid == policyd,
        },
        service.answer,
        limit=_REQUEST_LIMIT,
        report=log,
    )
    await server.start()
    notify.ready()
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
