"""Where a request of the web comes from, as the desk wants to know it."""

from __future__ import annotations

from aiohttp import web

from appliance.console.who.desk import At


def at(request: web.Request) -> At:
    """The peer's address, what its browser says it is, and the certificate of the handshake."""
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    shown = connection.getpeercert(binary_form=True) if connection is not None else None
    return At(request.remote or "", request.headers.get("User-Agent", "")[:400], shown or b"", request.host)
