"""What applyd does to this box: load a generation, confirm it, restore the one before, recover at start.

The states of a generation (`generations.py` records them):

    keep ──▶ pending ──confirm──▶ confirmed ──a later confirm──▶ superseded
                │
                ├──refused by the kernel──▶ failed          (the confirmed one never stopped)
                └──time out, request, restart──▶ rolled-back (the confirmed one runs again)

Only a confirmed generation is ever booted. Everything here is synchronous: one change at a time, and while
one is made nobody is answered.
"""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.control.applying import shape
from appliance.control.applying.generations import Entry, Kept, State, Store, StoreError, boot_candidate
from appliance.control.applying.quarantine import Quarantines
from appliance.control.applying.shape import ShapeError
from appliance.control.kernel.batch import KernelRefused, statements
from appliance.control.kernel.bridges import Bridges
from appliance.control.kernel.conntrack import Conntrack, session_tuple
from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.network import Network, NetworkRefused
from appliance.control.kernel.nft import Marker, Rules, devices, present_devices
from appliance.control.kernel.xtqueue import XT_QUEUE, XtQueue
from appliance.control.messages.gateway import GenerationSummary, Loaded, Refused
from appliance.control.messages.seals import SealState
from appliance.durable import replace
from appliance.policy.compiling import bundle as bundles
from appliance.policy.compiling.bundle import Bundle, generation_mark
from appliance.policy.compiling.delta import emptied
from appliance.policy.compiling.ruleset import Ruleset
from crypto.signing import verify
from ctypes_ext.nftables import NftablesError

Log = Callable[[str], None]


class LoadRefused(Exception):
    """The request was refused; what ran before runs on. `reply` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Refused(code, message)


class Running(msgspec.Struct, frozen=True):
    """A generation that the kernel holds."""

    bundle: Bundle
    digest: str

    @property
    def marker(self) -> Marker:
        return Marker(self.bundle.generation, self.digest)


class Pending(msgspec.Struct, frozen=True):
    """A running generation that waits for its confirm.

    `deadline` by the monotonic clock; `until` for people; `since` when it was loaded (nanoseconds since the epoch, as
    conntrack stamps connections).
    """

    deadline: float
    until: float
    since: int
    before: Running | None


class Gateway:
    """The generations of this box and the kernel that holds one of them."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        network: Network,
        conntrack: Conntrack,
        public_key: bytes,
        published: Path,
        queues: XtQueue,
        bridges: Bridges,
        quarantines: Quarantines,
        log: Log,
    ) -> None:
        self._store = store
        self._rules = rules
        self._network = network
        self._conntrack = conntrack
        self._public_key = public_key
        self._published = published
        self._queues = queues
        self._bridges = bridges
        self._quarantines = quarantines
        self._log = log
        self.running: Running | None = None
        self.pending: Pending | None = None
        self.missing: tuple[str, ...] = ()  # what of the network could not be set yet
        # Interfaces that the running ruleset names by what only one that is there has, and those it found.
        self._devices: frozenset[str] = frozenset()
        self._attached: set[tuple[int, str]] = set()
        self.found_loaded = False  # at the start the kernel held the generation already

    # --- start --------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Make the kernel hold the confirmed generation and nothing else, whatever was going on before."""
        for words in self._store.damaged:
            self._log(f"recovered: {words}")
        boot = boot_candidate(self._store, self._signed)
        wanted = self._read(boot) if boot else None
        held = self._rules.held()
        unfinished = self._store.pending
        if wanted is None:
            # A gateway without a policy is closed, not open: addresses and forwarding may be there already.
            self._rules.close()
            gone = f"; generation {held.generation} is taken away" if held is not None else ""
            self._log(f"no generation was ever confirmed, nothing is forwarded{gone}")
        elif held is not None and held.chain == wanted.marker.chain:
            self.found_loaded = True
            self._log(f"generation {boot} is in the kernel already")
        else:
            wanted = self._boot(held, wanted)
        if unfinished:
            self._record(unfinished, "rolled-back", note="applyd ended before it was confirmed")
            self._log(f"generation {unfinished} was never confirmed: rolled back")
        self.running = wanted
        self.hold_queues()
        if wanted is not None:
            before = self._readable(held.generation) if held is not None else None
            try:
                self._network.commit(before.bundle if before else None, wanted.bundle)
            except NetworkRefused:
                self.missing = self._network.settle(wanted.bundle)
                for words in self.missing:
                    self._log(f"not set: {words}")
        self._publish()
        if wanted is not None and self.found_loaded and self._rules.outdated(wanted.bundle.ruleset):
            self._attached = set()  # to be settled at once

    def _boot(self, held: Marker | None, wanted: Running) -> Running | None:
        """Load the confirmed generation. On a kernel that does not take it (another one than yesterday's) nothing is
        forwarded, and this process lives on to be given a policy that the kernel takes."""
        generation = wanted.bundle.generation
        try:
            self._prepare_queues(wanted.bundle)
            self._restore_from(held, wanted)
            # Whatever the kernel held, of this store or of another: its marks are not those of this generation.
            self._forget_namesakes(generation)
        except KernelRefused as error:
            self._rules.close()
            self._log(f"generation {generation} cannot be booted, nothing is forwarded: {error}")
            return None
        self._log(f"generation {generation} is loaded; the kernel held {held.generation if held else 'none'}")
        return wanted

    def _restore_from(self, held: Marker | None, wanted: Running) -> None:
        """Load `wanted` by the shortest way: the difference from what the kernel says it holds, or all of it."""
        before = self._readable(held.generation) if held is not None else None
        if before is not None and held is not None and before.marker.chain == held.chain:
            try:
                self._rules.load(self._rules.transaction(before.bundle, wanted.bundle, held, wanted.marker))
                return
            except KernelRefused as error:
                self._log(f"the kernel does not hold generation {held.generation} as it was loaded: {error}")
        self._rules.load(self._rules.rebuilt(wanted.bundle, wanted.marker))

    # --- load ---------------------------------------------------------------------------------------

    def load(self, data: bytes, signature: bytes, confirm_within: int, *, dry_run: bool = False) -> Loaded:
        """Check a sealed bundle, commit it, and wait for its confirm (or, with 0 seconds, need none).

        Raises `LoadRefused`; then the kernel holds what it held.
        """
        begun = time.monotonic()
        new = self._open(data, signature)
        bundle = new.bundle
        self._expected(bundle)
        try:
            self._network.check(bundle)
            self._bridges.check(bundle.bridges)
        except NetworkRefused as error:
            raise LoadRefused("network", str(error)) from error
        except NftablesError as error:
            raise LoadRefused("kernel", f"the kernel does not take the bridges: {error}") from error
        before = self.running
        batch = self._rules.transaction(
            before.bundle if before else None, bundle, before.marker if before else None, new.marker
        )
        try:
            if dry_run:
                self._rules.check(batch)
                return Loaded(bundle.generation, statements(batch), 0.0, time.monotonic() - begun)
            self._keep(new, data, signature)
            self._forget_namesakes(bundle.generation)
            self._prepare_queues(bundle)
            self._load_rules(new, batch)
        except KernelRefused as error:
            if not dry_run:
                self._record(bundle.generation, "failed", note=str(error))
            raise LoadRefused("kernel", str(error)) from error
        self._commit_network(before, new)
        self.running = new
        until = 0.0
        if confirm_within > 0:
            until = time.time() + confirm_within
            self.pending = Pending(time.monotonic() + confirm_within, until, time.time_ns(), before)
        else:
            self._settle_confirmed(before, new)
        self._publish()
        seconds = time.monotonic() - begun
        self._log(
            f"generation {bundle.generation} of {bundle.author} is enforced: {statements(batch)} statements, "
            f"{seconds * 1000:.0f} ms" + (f", waits {confirm_within} s for its confirm" if confirm_within else "")
        )
        return Loaded(bundle.generation, statements(batch), until, seconds)

    def _forget_namesakes(self, generation: int) -> None:
        """A new generation begins with no connection that carries its mark, from 15 generations ago or from a store
        that is no more: nothing of it was decided by these rules."""
        try:
            forgotten = self._conntrack.forget_generation(generation_mark(generation))
        except NetlinkError as error:
            raise KernelRefused(f"the marks of old connections cannot be read: {error}") from error
        if forgotten:
            self._log(
                f"{forgotten} connections with an old mark like that of generation {generation} are decided anew"
            )

    def _prepare_queues(self, bundle: Bundle) -> None:
        """The tables beside stand before the first packet that goes there."""
        try:
            self._quarantines.prepare(bundle.quarantines)
        except NftablesError as error:
            raise KernelRefused(f"the quarantine of unknown devices is refused: {error}") from error
        if XT_QUEUE in bundle.requires:
            try:
                self._queues.ensure()
            except NetlinkError as error:
                raise KernelRefused(f"the table that queues packets for inspection is refused: {error}") from error

    def hold_queues(self) -> None:
        """Somebody wrote that table: have it as it must be. Until it is, what is fail-closed does not pass."""
        if self.running is None or XT_QUEUE not in self.running.bundle.requires:
            return
        try:
            self._queues.ensure()
        except NetlinkError as error:
            self._log(f"the table that queues packets for inspection cannot be made: {error}")

    def _load_rules(self, new: Running, batch: str) -> None:
        try:
            self._rules.load(batch)
        except KernelRefused as error:
            # Somebody may have changed the table by hand, so that the difference does not fit. All of it must.
            self._log(f"the difference is refused, all of generation {new.bundle.generation} is tried: {error}")
            self._rules.load(self._rules.rebuilt(new.bundle, new.marker))

    def _open(self, data: bytes, signature: bytes) -> Running:
        digest = bundles.digest(data)
        if not verify(self._public_key, digest, signature):
            raise LoadRefused(
                "signature",
                "the bundle is not signed by this gateway's key; nothing was changed. If keyd's key was replaced on "
                "purpose, remove keyd.public from applyd's state and start applyd again",
            )
        try:
            bundle = bundles.decode(data)
            shape.check(bundle)
        except (msgspec.DecodeError, ShapeError) as error:
            raise LoadRefused("format", f"the bundle is not one that this applyd reads: {error}") from error
        return Running(bundle, digest)

    def _expected(self, bundle: Bundle) -> None:
        """Only the next generation of what runs may be loaded."""
        running = self.running.bundle.generation if self.running else 0
        if self.pending is not None:
            left = max(0, round(self.pending.deadline - time.monotonic()))
            raise LoadRefused(
                "busy",
                f"generation {running} waits for its confirm ({left} s left): `reef confirm` it, or `reef rollback`",
            )
        if bundle.parent != running:
            raise LoadRefused(
                "conflict", f"generation {bundle.generation} was made from {bundle.parent}, but {running} runs now"
            )
        if running and generation_mark(bundle.generation) == generation_mark(running):
            raise LoadRefused(
                "number", f"generation {bundle.generation} has the mark of {running}; take another number"
            )
        if bundle.generation <= self._store.last:
            raise LoadRefused(
                "number", f"generation {bundle.generation} is used already; the next is {self._store.last + 1}"
            )

    def _keep(self, new: Running, data: bytes, signature: bytes) -> None:
        bundle = new.bundle
        kept = Kept(
            generation=bundle.generation,
            parent=bundle.parent,
            author=bundle.author,
            reason=bundle.reason,
            created=bundle.created,
            digest=new.digest,
            rules=len(bundle.rules),
            signature=signature,
        )
        try:
            self._store.keep(kept, data)
            # From here until a confirm, a restart of this process means: back to the confirmed generation.
            self._store.record(Entry(bundle.generation, "pending", time.time(), bundle.author))
        except StoreError as error:
            self._store.forget(bundle.generation)
            raise LoadRefused("store", str(error)) from error

    def _commit_network(self, before: Running | None, new: Running) -> None:
        try:
            self._network.commit(before.bundle if before else None, new.bundle)
        except NetworkRefused as error:
            self._undo(new, before)
            self._record(new.bundle.generation, "failed", note=str(error))
            raise LoadRefused("network", str(error)) from error

    def _settle_confirmed(self, before: Running | None, new: Running) -> None:
        """Record the confirm so that it survives a power cut; where that fails, go back."""
        try:
            self._store.record(Entry(new.bundle.generation, "confirmed", time.time(), new.bundle.author))
            self._store.settle()
        except StoreError as error:
            self._undo(new, before)
            self._restore_network(new, before)
            self.running = before
            self._record(new.bundle.generation, "failed", note=str(error))
            raise LoadRefused("store", f"{error}; the generation before runs again") from error

    # --- confirm and restore ------------------------------------------------------------------------

    def confirm(self, session: str, by: str) -> int:
        """Confirm the pending generation from a session that came in through it. Raises `LoadRefused`."""
        if self.pending is None or self.running is None:
            raise LoadRefused("nothing-pending", "no generation waits for a confirm")
        generation = self.running.bundle.generation
        self._through_new_rules(session, generation, self.pending.since)
        try:
            self._store.record(Entry(generation, "confirmed", time.time(), by))
            self._store.settle()
        except StoreError as error:
            raise LoadRefused(
                "store", f"the confirm cannot be kept: {error}; generation {generation} still waits for it"
            ) from error
        self.pending = None
        self._publish()
        self._log(f"generation {generation} is confirmed by {by}")
        return generation

    def _through_new_rules(self, session: str, generation: int, since: int) -> None:
        """A local console may always confirm; an ssh session must be a connection that the new rules let in.

        One that began before may go on under them and still be the last that comes in: a new one would meet other
        address translation, limits and routes.
        """
        if not session:
            return
        wanted = session_tuple(session)
        if wanted is None:
            raise LoadRefused("session", f"{session!r} is no SSH_CONNECTION: client, port, server, port")
        flow = self._conntrack.lookup(wanted)
        if flow is None:
            raise LoadRefused("session", f"no connection of {session} is known here; log in again and confirm then")
        if flow.started < since or flow.generation != generation_mark(generation):
            raise LoadRefused(
                "session",
                f"your session was not let in by generation {generation}, it is older: "
                "log in again (that shows that you can) and confirm from there",
            )

    def restore(self, note: str, by: str = "") -> int:
        """Put the generation before the pending one back. Returns its number, 0 for none. Raises `LoadRefused`."""
        if self.pending is None or self.running is None:
            raise LoadRefused("nothing-pending", "no generation waits for a confirm, so there is none to take back")
        gone, before = self.running, self.pending.before
        self._undo(gone, before)
        self._restore_network(gone, before)
        self.running, self.pending = before, None
        self._record(gone.bundle.generation, "rolled-back", by=by, note=note)
        self._publish()
        back = before.bundle.generation if before else 0
        self._log(f"generation {gone.bundle.generation} is rolled back to {back}: {note}")
        return back

    def overdue(self) -> bool:
        """Whether the time for the confirm is over. By the monotonic clock: setting the clock does not matter."""
        return self.pending is not None and time.monotonic() >= self.pending.deadline

    def _undo(self, gone: Running, before: Running | None) -> None:
        if before is None:
            self._rules.close()
            return
        self._restore_from(gone.marker, before)

    def _restore_network(self, gone: Running, before: Running | None) -> None:
        """Addresses and routes back as far as they go: the ruleset is back already."""
        if before is None:
            return
        try:
            self._network.commit(gone.bundle, before.bundle)
        except NetworkRefused as error:
            self.missing = self._network.settle(before.bundle)
            self._log(f"not all of the network is back: {error}")

    # --- repair -------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Put the running generation into the kernel anew, whatever the table holds. Raises `KernelRefused`."""
        if self.running is not None:
            self._rules.load(self._rules.rebuilt(self.running.bundle, self.running.marker))

    def empty_flowtables(self) -> bool:
        """Have every connection come past the rules again; whether any did not. Raises `KernelRefused`."""
        if self.running is None or not self.running.bundle.ruleset.flowtables:
            return False
        self._rules.load(emptied(present_devices(self.running.bundle.ruleset)))
        return True

    def settle_links(self) -> bool:
        """Give the box what it could not take yet because an interface was not there; whether the ruleset changed."""
        if self.running is None:
            return False
        self._bridges.settle()
        self._quarantines.settle()
        if self.missing:
            self.missing = self._network.settle(self.running.bundle)
        # One that went took itself out of what holds it; one that came is new, if it has the same name or not.
        here = self._present()
        fresh = {name for _, name in here - self._attached}
        if fresh:
            self._rules.attach(present_devices(self.running.bundle.ruleset), fresh)
        self._attached = here
        return bool(fresh)

    def old(self) -> tuple[int, ...]:
        """Forget the generations that history need not keep; those that remain and neither run nor boot."""
        running = self.running.bundle.generation if self.running else 0
        spared = {running, self._store.confirmed, self._store.pending}
        if self.pending is not None and self.pending.before is not None:
            spared.add(self.pending.before.bundle.generation)
        try:
            if self.running is not None and self.pending is None:
                self._store.prune(self.running.bundle.history + 1, spared)
        except StoreError as error:
            self._log(f"the history cannot be shortened: {error}")
        return tuple(
            generation
            for generation, kept in self._store.kept.items()
            if generation not in spared and not kept.compressed
        )

    def retire(self, generation: int) -> None:
        """Compress an old generation. Takes its time, so a thread may do it."""
        try:
            self._store.retire(generation)
        except (StoreError, KeyError) as error:
            self._log(f"generation {generation} stays as it is: {error}")

    # --- reading ------------------------------------------------------------------------------------

    @property
    def confirmed(self) -> int:
        return self._store.confirmed

    @property
    def last(self) -> int:
        return self._store.last

    def history(self, limit: int) -> tuple[GenerationSummary, ...]:
        return self._store.history(limit)

    def read(self, generation: int) -> tuple[GenerationSummary, Bundle]:
        """Raises `LoadRefused` for a generation that is not kept or not readable."""
        try:
            return self._store.summary(generation), bundles.decode(self._store.read(generation)[0])
        except KeyError as error:
            raise LoadRefused("unknown", f"generation {generation} is not kept; `reef history` lists them") from error
        except StoreError as error:
            raise LoadRefused("store", str(error)) from error

    def seal(self, generation: int) -> SealState:
        """Whether what is kept of it is what was signed. It is read whole, so a thread may do it."""
        if generation not in self._store.kept:
            return SealState(generation, "gone", words="it is not kept any more")
        try:
            data, signature = self._store.read(generation)
        except (StoreError, KeyError) as error:
            return SealState(generation, "unreadable", words=str(error))
        digest = bundles.digest(data)
        if not self._signed(data, signature):
            return SealState(generation, "bad", digest, "its signature is not by this gateway's key")
        return SealState(generation, "good", digest)

    @property
    def key(self) -> str:
        """The SHA-256 of keyd's public key, as it was at the first start."""
        return hashlib.sha256(self._public_key).hexdigest()

    # --- inner --------------------------------------------------------------------------------------

    def _signed(self, data: bytes, signature: bytes) -> bool:
        return verify(self._public_key, bundles.digest(data), signature)

    def _read(self, generation: int) -> Running:
        data, _ = self._store.read(generation)
        return Running(bundles.decode(data), bundles.digest(data))

    def _readable(self, generation: int) -> Running | None:
        if self.running is not None and self.running.bundle.generation == generation:
            return self.running
        try:
            return self._read(generation)
        except (StoreError, msgspec.DecodeError):
            return None

    def _record(self, generation: int, state: State, *, by: str = "", note: str = "") -> None:
        """Note what became of a generation. A full disk does not stop it from happening: a restart finds it
        pending and does the same again."""
        try:
            self._store.record(Entry(generation, state, time.time(), by, note))
            self._store.settle()
        except StoreError as error:
            self._log(str(error))

    def _note_devices(self) -> None:
        self._devices = devices(self.running.bundle.ruleset) if self.running else frozenset()
        self._attached = self._present()

    def _present(self) -> set[tuple[int, str]]:
        return {(index, name) for index, name in socket.if_nameindex() if name in self._devices}

    def _publish(self) -> None:
        """Say which generation runs to those who watch the file: everything but the texts and the ruleset."""
        self._note_devices()
        self._bridges.follow(self.running.bundle.bridges if self.running else ())
        self._quarantines.follow(self.running.bundle.quarantines if self.running else ())
        try:
            if self.running is None:
                self._published.unlink(missing_ok=True)
                return
            shown = msgspec.structs.replace(self.running.bundle, text="", inherited={}, files={}, ruleset=Ruleset())
            replace(self._published, msgspec.json.encode(shown), mode=0o644, durable=False)
        except OSError as error:
            self._log(f"{self._published}: {error.strerror}")
