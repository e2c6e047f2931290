"""Tells officers: reads alerts from its own place in the outbox, gathers them, hands notices to relay and webhook.

The place moves behind what was told: after a restart what was gathered and not told is gathered again. A notice that
the relay does not take is tried again; one that was under way when the process ended may come twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

import aiohttp

from appliance.events.classes import Class
from appliance.events.outbox import Outbox, Page, Reader
from appliance.events.push import notices, wording
from appliance.events.push.notices import Gathering, Notice
from appliance.events.tlp import Tlp
from appliance.policy.notices import NoticeSettings, Officer
from crypto.apitls import TlsContext

PLACE = "@notices"  # no consumer can be called that
_BATCH = 500
_LOOK = 1.0  # seconds
_PATIENCE = 30.0
_FIRST, _LONGEST = 5.0, 900.0


class NoticeError(Exception):
    """It was not taken; the text says why."""


class Notifying:
    """One generation's notices. Made and ended in the loop's thread."""

    def __init__(
        self,
        settings: NoticeSettings,
        officers: tuple[Officer, ...],
        outbox: Outbox,
        site: str,
        credentials: Path,
        context: TlsContext,
        log: Callable[[str], None],
    ) -> None:
        self.said = (settings, officers)
        self.error = ""
        self._settings = settings
        self._gathering = Gathering(settings, officers)
        self._outbox = outbox
        self._site = site
        self._credentials = credentials
        self._context = context
        self._log = log
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="notices")
        self._reader: Reader | None = None
        self._through = outbox.position(PLACE).seq or outbox.last()  # officers are told of what comes
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._within(self._close)
        self._pool.shutdown()

    async def _within(self, work: Callable[[], object]) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _read(self) -> Page:
        if self._reader is None:
            self._reader = self._outbox.reader()
        return self._reader.read(self._through, limit=_BATCH, classes={Class.ALERT}, highest=Tlp.RED)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    async def _run(self) -> None:
        while True:
            page = await asyncio.get_running_loop().run_in_executor(self._pool, self._read)
            self._gathering.add(page.events, time.time())
            self._through = page.through
            for notice in self._gathering.due(time.time()):
                await self._deliver(notice)
            oldest = self._gathering.oldest()
            self._outbox.acknowledge(PLACE, self._through if oldest is None else oldest - 1)
            if page.through == page.last:
                await asyncio.sleep(_LOOK)

    async def _deliver(self, notice: Notice) -> None:
        """Until it is taken."""
        pause = _FIRST
        while True:
            try:
                if self._settings.relay:
                    await self._within(lambda: self._mail(notice))
                if self._settings.webhook:
                    await self._call(notice)
            except NoticeError as error:
                if str(error) != self.error:
                    self.error = str(error)
                    self._log(f"the officer of {notice.officer.line} cannot be told: {error}; tried again")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                self.error = ""
                self._log(f"told {notice.officer.who} of {notice.count} alerts on the line {notice.officer.line}")
                return

    # --- by mail --------------------------------------------------------------------------------------

    def message(self, notice: Notice) -> EmailMessage:
        made = EmailMessage()
        made["From"] = self._settings.sender
        made["To"] = notice.officer.who
        made["Subject"] = notices.subject(notice, self._site)
        made["Date"] = formatdate(time.time())
        made["Message-ID"] = f"<{notice.officer.line}-{notice.through}@{self._site}.reef.invalid>"
        made["Auto-Submitted"] = "auto-generated"  # RFC 3834
        made.set_content(notices.text(notice, self._site))
        return made

    def _mail(self, notice: Notice) -> None:
        host, _, port = self._settings.relay.rpartition(":")
        host = host.strip("[]")
        try:
            if self._settings.tls == "implicit":
                relay: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), timeout=_PATIENCE, context=self._context)
            else:
                relay = smtplib.SMTP(host, int(port), timeout=_PATIENCE)
            with relay:
                if self._settings.tls == "starttls":
                    relay.starttls(context=self._context)
                if self._settings.credential:
                    user, _, password = self._secret().partition(":")
                    relay.login(user, password)
                relay.send_message(self.message(notice))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NoticeError(f"{self._settings.relay}: {error}") from error

    def _secret(self) -> str:
        path = self._credentials / self._settings.credential
        try:
            return path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoticeError(f"{path}: {getattr(error, 'strerror', None) or error}") from error

    # --- by webhook -----------------------------------------------------------------------------------

    async def _call(self, notice: Notice) -> None:
        body = notices.data(notice, self._site)
        id_ = f"{self._site}-{notice.officer.line}-{notice.through}"
        headers = {"Content-Type": "application/json", "webhook-id": id_}
        secret = self._credentials / "notices"
        try:
            if secret.exists():
                key = wording.secret_of(secret.read_text("ascii"))
                headers |= wording.signed(key, id_, int(time.time()), body)
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as session,
                session.post(
                    self._settings.webhook, data=body, headers=headers, ssl=self._context, allow_redirects=False
                ) as answer,
            ):
                if answer.status // 100 != 2:
                    raise NoticeError(f"{self._settings.webhook}: it answers {answer.status}")
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise NoticeError(f"{self._settings.webhook}: {error}") from error
