"""What the control plane reads from others, with bytes nobody meant: frames, bundles, files, netlink, addresses."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance.control.applying.generations import Entry, Kept, Store, StoreError, boot_candidate
from appliance.control.ipc import Peer, Server
from appliance.control.kernel.conntrack import parse_flow, session_tuple
from appliance.control.kernel.netlink import attribute_map, nested, string, u32
from appliance.control.kernel.nfsets import ElementError, parse_address
from appliance.control.messages.gateway import (
    Load,
    Refused,
    Reply,
    Request,
    Status,
)
from appliance.control.messages.live import SetUpdate
from appliance.policy.compiling import bundle as bundles
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.compiling.ruleset import Ruleset

SECONDS = 2.0  # each, in CI

BUNDLE = bundles.encode(Bundle("s", 1, 0, "a", "r", 0.0, "text", {}, Ruleset(counters=("r_R-1",))))
Budget = Callable[[float], float]


def mangled(chance: random.Random, seed: bytes) -> bytes:
    """`seed` with a few bytes changed, cut, doubled or put in."""
    data = bytearray(seed)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place : place + chance.randrange(1, 9)]
            case 2:
                data[place:place] = chance.randbytes(chance.randrange(1, 9))
            case _:
                data[place:place] = data[place : place + chance.randrange(1, 40)]
    return bytes(data)


def rounds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


@pytest.mark.soak
def test_a_mangled_bundle_is_one_or_is_refused(budget: Budget) -> None:
    chance, go_on = random.Random(1), rounds(budget(SECONDS))
    while go_on():
        try:
            found = bundles.decode(mangled(chance, BUNDLE))
        except msgspec.DecodeError:
            continue
        assert bundles.decode(bundles.encode(found)) == found


@pytest.mark.soak
def test_a_mangled_store_boots_a_whole_generation_or_none(tmp_path: Path, budget: Budget) -> None:
    chance, go_on = random.Random(2), rounds(budget(SECONDS))
    store = Store(tmp_path)
    for number in (1, 2):
        data = BUNDLE + b" " * number
        store.keep(Kept(number, 0, "a", "r", 0.0, bundles.digest(data), 0, b"s"), data)
        store.record(Entry(number, "pending", 0.0))
        store.record(Entry(number, "confirmed", 0.0))
    store.close()
    files = [tmp_path / "journal", *sorted((tmp_path / "generations").iterdir())]
    whole = {path: path.read_bytes() for path in files}
    while go_on():
        for path, data in whole.items():
            path.write_bytes(mangled(chance, data) if chance.random() < 0.6 else data)
        found = Store(tmp_path)
        boot = boot_candidate(found, lambda _, signature: signature == b"s")
        if boot:
            assert found.read(boot)[0] == BUNDLE + b" " * boot
        for number in found.kept:
            try:
                found.read(number)
            except StoreError:
                continue
        found.history(10)
        found.close()


@pytest.mark.soak
def test_mangled_frames_never_stop_a_server(tmp_path: Path, budget: Budget) -> None:
    chance, go_on = random.Random(3), rounds(budget(SECONDS))
    seeds = [
        len(body).to_bytes(4, "big") + body
        for body in map(
            msgspec.json.encode, (Status(), Load(BUNDLE, b"s" * 64, 0), SetUpdate("x", add=("192.0.2.1",)))
        )
    ]
    answered = 0

    async def answer(request: Request, peer: Peer) -> Reply:
        nonlocal answered
        answered += 1
        return Refused("seen", type(request).__name__)

    async def run() -> None:
        path = tmp_path / "d.sock"
        server = Server(path, dict.fromkeys((Status, Load, SetUpdate), lambda _: True), answer, limit=1 << 16)
        await server.start()
        while go_on():
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(mangled(chance, chance.choice(seeds)))
            writer.write_eof()
            reply = await asyncio.wait_for(reader.read(), 10)
            # Nothing but a frame that was cut short goes unanswered.
            assert reply == b"" or b'"type":"Refused"' in reply
            writer.close()
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(seeds[0])
        assert b"Status" in await asyncio.wait_for(reader.read(200), 10)
        writer.close()
        await server.stop()

    asyncio.run(run())
    assert answered > 1


@pytest.mark.soak
def test_mangled_attributes_end_and_never_loop(budget: Budget) -> None:
    chance, go_on = random.Random(4), rounds(budget(SECONDS))
    address = nested(1, u32(1, 0x0A000001), u32(2, 0x0A000002))
    flow = nested(1, address, nested(2, u32(1, 6))) + nested(2, address, nested(2, u32(1, 6))) + string(3, "x")
    while go_on():
        data = mangled(chance, flow)
        attribute_map(data)
        try:
            parse_flow(data)
        except (KeyError, ValueError, IndexError):
            continue  # the kernel does not send such; that it ends is what counts


@pytest.mark.soak
def test_mangled_words_are_addresses_or_refused(budget: Budget) -> None:
    chance, go_on = random.Random(5), rounds(budget(SECONDS))
    seeds = (
        b"192.0.2.1",
        b"10.0.0.0/8",
        b"2001:db8::1-2001:db8::9",
        b"::ffff:10.0.0.1",
        b"192.0.2.7 50022 10.0.0.1 22",
    )
    while go_on():
        words = mangled(chance, chance.choice(seeds)).decode(errors="replace")
        session_tuple(words)
        try:
            version, element = parse_address(words)
        except ElementError:
            continue
        assert 0 <= element.first <= element.last < 1 << (32 if version == 4 else 128)
