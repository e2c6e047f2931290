"""Indicators that are fetched: each source of the policy with an address, every so often, as far as it is new.

A task of alertd. Only https, with the certificate looked at and no redirects (who asks shows a credential); what is
too large, not signed as the policy says or not what it should be is not used, and what was known before holds.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from appliance.indicators import csvin, mispin, stixin
from appliance.indicators.giving import Give, told
from appliance.indicators.indicator import Read, Unreadable
from appliance.indicators.office import Office
from appliance.indicators.store import StoreError
from appliance.policy.indicators import IndicatorSource
from crypto.web import TlsContext, signed_beside

MOST_BYTES = 64 << 20  # of one document
_SIGNATURE_BYTES = 4_096
_MOST_EVENTS = 500  # of a MISP feed in one turn; the rest comes with the next
_MOST_PAGES = 200  # of a TAXII collection, likewise
_MOST_REFUSED = 3  # that are told of in words
_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=15, sock_read=30)
_LOOK = 1.0
_TAXII = "application/taxii+json;version=2.1"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class FetchError(Exception):
    """The text says why nothing was taken."""


class State(msgspec.Struct):
    """How a source stands: when it was fetched last (seconds since the epoch), up to where, and what is wrong."""

    fetched: float = 0.0
    place: str = ""
    error: str = ""


class Part(msgspec.Struct, frozen=True):
    """Something that was fetched, and up to where the source is known when it is taken in."""

    read: Read
    place: str
    whole: bool = False


class _Envelope(msgspec.Struct):
    more: bool = False
    next: str = ""


class _Listed(msgspec.Struct):
    timestamp: str | int = 0


_manifests = msgspec.json.Decoder(dict[str, _Listed])
_envelopes = msgspec.json.Decoder(_Envelope)
_states = msgspec.json.Decoder(State)


class Fetcher:
    """For one loop. `credentials` is the folder of what addresses want to see; `context` says whom to trust now;
    `give` has consumers read indicators."""

    def __init__(
        self,
        office: Office,
        credentials: Path,
        context: Callable[[], TlsContext],
        log: Callable[[str], None],
        give: Give,
    ) -> None:
        self._office = office
        self._give = give
        self._credentials = credentials
        self._context = context
        self._log = log
        self._sources: dict[str, IndicatorSource] = {}
        self._states: dict[str, State] = {}
        self._due: dict[str, float] = {}

    def follow(self, sources: Iterable[IndicatorSource]) -> None:
        """Another generation; what is new or has changed is fetched at once."""
        wanted = {one.name: one for one in sources if one.address}
        same = {name for name, one in wanted.items() if self._sources.get(name) == one}
        self._due = {name: due for name, due in self._due.items() if name in same}
        self._states = {name: state for name, state in self._states.items() if name in same}
        self._sources = wanted

    def state(self, name: str) -> State:
        return self._states.get(name, State())

    async def run(self) -> None:
        """Until cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False, auto_decompress=False) as session:
            while True:
                due = [one for name, one in self._sources.items() if self._due.get(name, 0.0) <= time.monotonic()]
                for source in due:
                    await self.fetch(session, source)
                    self._due[source.name] = time.monotonic() + source.refresh
                await asyncio.sleep(_LOOK)

    async def fetch(self, session: aiohttp.ClientSession, source: IndicatorSource) -> None:
        """One source, now. Raises nothing: what is wrong is told once and kept."""
        state = self._states.get(source.name)
        try:
            if state is None:
                state = self._states[source.name] = await self._remembered(source)
            async for part in self._parts(session, source, state.place):
                await self._take(source.name, part)
                state.place = part.place
            state.fetched, words = time.time(), ""
            await self._remember(source, state)
        except (FetchError, Unreadable, StoreError) as error:
            words = str(error)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            words = f"{source.address}: {str(error) or type(error).__name__}"
        state = self._states.setdefault(source.name, State())
        if words and words != state.error:
            self._log(f"indicators of {source.name} are not fetched: {words}; those known hold")
        state.error = words

    # --- what is kept ---------------------------------------------------------------------------------

    async def _take(self, name: str, part: Part) -> None:
        job = self._office.do(lambda desk, now: desk.take(name, part.read, now, whole=part.whole))
        taken = await asyncio.wrap_future(job)
        if taken.fresh:
            await asyncio.to_thread(self._give, told(taken.fresh, part.read.raw))
        refused = [*((one.which, one.why) for one in part.read.refused), *taken.refused]
        if taken.new or taken.changed:
            some = "; ".join(f"{which}: {why}" for which, why in refused[:_MOST_REFUSED])
            more = f", {len(refused):,} not taken ({some})" if refused else ""
            self._log(f"indicators of {name}: {taken.new:,} new, {taken.changed:,} changed{more}")

    async def _remembered(self, source: IndicatorSource) -> State:
        text = await asyncio.wrap_future(self._office.ask(lambda desk, _: desk.remembered(_key(source))))
        return _states.decode(text) if text else State()

    async def _remember(self, source: IndicatorSource, state: State) -> None:
        kept = msgspec.json.encode(State(state.fetched, state.place)).decode()
        await asyncio.wrap_future(self._office.ask(lambda desk, _: desk.remember(_key(source), kept)))

    # --- formats --------------------------------------------------------------------------------------

    async def _parts(
        self, session: aiohttp.ClientSession, source: IndicatorSource, place: str
    ) -> AsyncIterator[Part]:
        headers = await asyncio.to_thread(self._headers, source)
        get = _Get(session, await asyncio.to_thread(self._context), headers, source.key)
        if source.format == "taxii":
            async for part in _taxii(get, source.address, place):
                yield part
        elif source.format == "misp":
            async for part in _misp(get, source.address, place):
                yield part
        elif source.format == "csv":
            document = await get.document(source.address)
            read = await asyncio.to_thread(csvin.read, document, now=time.time())
            if not read.indicators:
                raise FetchError(f"{source.address}: an empty list")  # rather a fault than that all of it is over
            yield Part(read, "", whole=True)
        else:
            yield Part(await asyncio.to_thread(stixin.read, await get.document(source.address)), "")

    def _headers(self, source: IndicatorSource) -> dict[str, str]:
        """With what the address wants to see. Raises `FetchError`."""
        headers = {"User-Agent": "reef", "Accept-Encoding": "identity"}
        if not source.credential:
            return headers
        path = self._credentials / source.credential
        try:
            if path.stat().st_mode & 0o077:
                raise FetchError(f"{path}: others may read it; say `chmod 0400`")
            said = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise FetchError(f"{path}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}") from error
        if not said or not said.isprintable():
            raise FetchError(f"{path}: one line with a token, or with user:password")
        basic = f"Basic {b64encode(said.encode()).decode()}"
        return headers | {"Authorization": basic if ":" in said else f"Bearer {said}"}


def _key(source: IndicatorSource) -> str:
    return f"fetch {source.name} {source.format} {source.address}"


class _Get:
    """Documents of one source."""

    def __init__(
        self, session: aiohttp.ClientSession, context: TlsContext, headers: dict[str, str], key: str
    ) -> None:
        self._session = session
        self._context = context
        self._headers = headers
        self.key = key

    async def document(self, address: str) -> bytes:
        """Signed, where the source has a key."""
        content, _ = await self.answer(address, MOST_BYTES)
        if self.key:
            beside, _ = await self.answer(f"{address}.sig", _SIGNATURE_BYTES)
            if not await asyncio.to_thread(signed_beside, self.key, content, beside):
                raise FetchError(f"{address}: the signature beside it is not that of the policy's key")
        return content

    async def answer(
        self, address: str, most: int, params: dict[str, str] | None = None, accept: str = "*/*"
    ) -> tuple[bytes, Any]:
        """What an address gives, and the head of the answer."""
        if urlsplit(address).scheme != "https":
            raise FetchError(f"{address}: no https address")
        headers = self._headers | {"Accept": accept}
        async with self._session.get(
            address, params=params, headers=headers, ssl=self._context, allow_redirects=False
        ) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                raise FetchError(
                    f"{address}: leads to {answer.headers.get('Location', '')[:200]!r}; name that instead"
                )
            if answer.status != 200:
                raise FetchError(f"{address}: answered {answer.status}")
            taken = bytearray()
            async for piece in answer.content.iter_chunked(1 << 20):
                taken += piece
                if len(taken) > most:
                    raise FetchError(f"{address}: gives more than {most:,} bytes")
            return bytes(taken), answer.headers


async def _taxii(get: _Get, address: str, place: str) -> AsyncIterator[Part]:
    """The objects that were added since; `place` is the moment of adding of the newest."""
    if get.key:
        raise FetchError("pages of a TAXII server are not signed; take `key` out, or fetch a bundle")
    objects = f"{address.rstrip('/')}/objects/"
    next_ = ""
    for _ in range(_MOST_PAGES):
        params = {"limit": "1000", "match[type]": "indicator"}
        params |= {"added_after": place} if place else {}
        params |= {"next": next_} if next_ else {}
        content, headers = await get.answer(objects, MOST_BYTES, params, _TAXII)
        envelope = _envelopes.decode(content)
        last = headers.get("X-TAXII-Date-Added-Last", "")
        # While `next` leads on, what it continues is asked for as it was.
        through = last if last and not (envelope.more and envelope.next) else place
        yield Part(await asyncio.to_thread(stixin.read, content), through)
        next_ = envelope.next
        if not envelope.more or not (next_ or last):
            return
        place = place if next_ else through


async def _misp(get: _Get, address: str, place: str) -> AsyncIterator[Part]:
    """The events that are new or have changed, by the manifest; `place` is the last one's time and identifier."""
    folder = address.removesuffix("manifest.json").rstrip("/")
    manifest = _manifests.decode(await get.document(f"{folder}/manifest.json"))
    stamp, _, uuid = place.partition(" ")
    before = (int(stamp or 0), uuid)
    listed = sorted((int(one.timestamp), uuid) for uuid, one in manifest.items() if _UUID.fullmatch(uuid))
    for moment, uuid in [one for one in listed if one > before][:_MOST_EVENTS]:
        document = await get.document(f"{folder}/{uuid}.json")
        yield Part(await asyncio.to_thread(mispin.read, document), f"{moment} {uuid}")
