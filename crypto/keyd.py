"""keyd: the only process that holds the gateway's signing key.

It signs digests of generations, and only for policyd; whoever holds the public key can check. It never
gives the private key away and opens nothing but its own socket after the start.
"""

from __future__ import annotations

import asyncio
import sys

from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import Peer, Server
from appliance.control.messages import PublicKey, PublicKeyIs, Refused, Reply, Request, Sign, Signed
from appliance.control.processes import Instance, process
from crypto.signing import KeyFileError, SigningKey, load_or_create

NAME = "keyd"
_REQUEST_LIMIT = 4096


class KeyService:
    """Answers `Sign` and `PublicKey`."""

    def __init__(self, key: SigningKey, log: daemon.Log) -> None:
        self._key = key
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
        return Refused("bad-request", f"keyd does not answer {type(request).__name__}")


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    try:
        key = load_or_create(instance.state_of(NAME) / "signing.key")
    except (KeyFileError, OSError) as error:
        sys.exit(f"{NAME}: {error}")
    daemon.run(lambda stop: _serve(instance, key, log, stop), log)


async def _serve(instance: Instance, key: SigningKey, log: daemon.Log, stop: asyncio.Event) -> None:
    policyd = instance.identity("policyd").uid
    server = Server(
        instance.socket(NAME),
        {
            # A signature is what makes applyd load a bundle, so even root asks policyd for it.
            Sign: lambda peer: peer.uid == policyd,
            PublicKey: lambda peer: instance.allows(NAME, peer.uid, peer.groups),
        },
        KeyService(key, log).answer,
        limit=_REQUEST_LIMIT,
        report=log,
    )
    await server.start()
    notify.ready()
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
