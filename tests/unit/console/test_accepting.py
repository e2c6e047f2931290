"""Places for connections: who comes has one, as long as strangers hold some; and whom one knows keeps theirs."""

from __future__ import annotations

import asyncio

from appliance.serving.accepting import Place, Room
from appliance.serving.listening import Limits
from tests.unit.console.serving import MINE, serving
from tests.unit.console.test_serving import THINGS

REQUEST = b"GET /api/v1/things/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer amara\r\n\r\n"


class Connection:
    """Holds a place, and hears when it is cut."""

    def __init__(self, known: bool = False, at_rest: bool = True) -> None:
        self.known = known
        self.at_rest = at_rest
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


def held(room: Room, address: str, connection: Connection) -> Place:
    place = room.place(address)
    assert place is not None
    place.by = connection
    return place


def test_the_oldest_stranger_at_rest_makes_room() -> None:
    room = Room(4, 4)
    answered, first, second, known = Connection(at_rest=False), Connection(), Connection(), Connection(known=True)
    for number, one in enumerate((answered, known, first, second)):
        held(room, f"192.0.2.{number}", one)
    held(room, "192.0.2.9", Connection(known=True))
    assert [one.is_cut for one in (answered, known, first, second)] == [False, False, True, False]
    held(room, "192.0.2.9", Connection(known=True))
    held(room, "192.0.2.9", Connection(known=True))
    assert [one.is_cut for one in (answered, known, first, second)] == [True, False, True, True]
    assert len(room) == 4
    assert room.place("192.0.2.10") is None, "whom one knows makes room for nobody"


def test_an_address_makes_room_among_its_own() -> None:
    room = Room(100, 2)
    mine, other = [Connection(), Connection()], Connection()
    held(room, "192.0.2.1", other)
    for one in (*mine, Connection()):
        held(room, "192.0.2.2", one)
    assert [one.is_cut for one in (*mine, other)] == [True, False, False]


def test_a_place_is_given_back_once() -> None:
    room = Room(2, 2)
    places = [held(room, "192.0.2.1", Connection(known=True)) for _ in range(2)]
    assert room.place("192.0.2.1") is None
    room.free(places[0])
    room.free(places[0])
    assert len(room) == 1
    assert room.place("192.0.2.1") is not None
    assert room.place("192.0.2.1") is None


def test_who_is_known_keeps_their_connection_when_strangers_take_all_others() -> None:
    async def story() -> None:
        async with serving([THINGS], limits=Limits(connections=8, of_address=8)) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            for _ in range(2):
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.split()[1] == b"200"
                await reader.readexactly(len(b'{"words":"Amara Diaz: 1"}'))
                strangers = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(20)]
                async with served.session.get(f"{served.url}/api/v1/things/1", headers=MINE) as answer:
                    assert answer.status == 200
                for _, other in strangers:
                    other.close()
            assert len(served.connections) <= 8
            writer.close()

    asyncio.run(asyncio.wait_for(story(), 50))
