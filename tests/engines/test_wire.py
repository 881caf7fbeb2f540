"""engines/wire.py: one connection, every byte of the other end decided here; and the pool."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest

from hansard.engines.wire import (
    HEAD_BYTES,
    IDLE_S,
    READ_AHEAD_BYTES,
    Broken,
    Connection,
    Full,
    Head,
    Pool,
    Unreadable,
)

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\n"


class Far:
    """The other end of a connection, without a network between."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.wire = Wire()
        self.connection.connection_made(self.wire)

    def ask(self, *pieces: bytes) -> Connection:
        """Send a request and let these bytes come back."""
        self.connection.send(b"GET / HTTP/1.1\r\n\r\n")
        for piece in pieces:
            receive(self.connection, piece)
        return self.connection


def receive(connection: Connection, data: bytes) -> None:
    """Let these bytes arrive, as many at once as there is room for."""
    while data:
        room = connection.get_buffer(-1)
        piece, data = data[: len(room)], data[len(room) :]
        room[: len(piece)] = piece
        connection.buffer_updated(len(piece))


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def whole(connection: Connection) -> bytes:
    body = b""
    while data := await connection.read():
        body += data
    return body


@pytest.mark.parametrize(
    "reply",
    [
        OK + b"Content-Length: 5\r\n\r\nHello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nHe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nHello",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nHello",
    ],
    ids=["length", "chunked", "continue", "hints"],
)
async def test_a_reply_is_the_same_however_it_is_cut(reply: bytes) -> None:
    for size in range(1, len(reply) + 1):
        connection = Far().ask(*(reply[at : at + size] for at in range(0, len(reply), size)))
        head = await connection.head()
        assert (head.status, await whole(connection), connection.is_reusable) == (200, b"Hello", True)
        assert "link" not in head.headers


async def test_names_of_headers_are_in_lower_case() -> None:
    head = await Far().ask(OK + b"X-Own: A b\r\nContent-Length: 0\r\n\r\n").head()

    assert head.headers == {"x-own": "A b", "content-length": "0"}


async def test_a_body_may_end_with_the_connection() -> None:
    far = Far()
    connection = far.ask(OK + b"\r\nHello")
    connection.connection_lost(None)

    assert (await whole(connection), connection.is_reusable) == (b"Hello", False)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 2", OK, OK + b"Content-Length: 9\r\n\r\nHello"])
async def test_a_connection_that_ends_early_is_broken(reply: bytes) -> None:
    connection = Far().ask(*([reply] if reply else []))
    connection.connection_lost(None)

    with pytest.raises(Broken):
        await connection.head()
        await whole(connection)


@pytest.mark.parametrize("coding", [b"identity", b"Identity", b""])
async def test_a_reply_that_says_it_is_not_compressed_is_read(coding: bytes) -> None:
    connection = Far().ask(OK + b"Content-Encoding: " + coding + b"\r\nContent-Length: 2\r\n\r\nab")

    assert await whole(connection) == b"ab"


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        OK + b"Content-Length: x\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["no HTTP", "no length", "two lengths", "compressed", "no chunk", "upgrade"],
)
async def test_what_is_no_reply_is_unreadable(reply: bytes) -> None:
    connection = Far().ask(reply)

    with pytest.raises(Unreadable):
        await connection.head()
        await whole(connection)
    assert not connection.is_reusable


async def test_what_came_before_a_failure_is_still_read() -> None:
    connection = Far().ask(OK + b"Content-Length: 9\r\n\r\nHello")
    connection.fail(TimeoutError())

    assert await connection.read() == b"Hello"
    with pytest.raises(TimeoutError):
        await connection.read()


@pytest.mark.parametrize("header", [b"Connection: close\r\n", b""])
async def test_who_says_close_is_not_asked_again(header: bytes) -> None:
    connection = Far().ask(OK + header + b"Content-Length: 1\r\n\r\na")

    assert await whole(connection) == b"a"
    assert connection.is_reusable is (header == b"")


async def test_a_second_reply_that_nobody_asked_for_is_not_the_next_ones() -> None:
    one = OK + b"Content-Length: 1\r\n\r\na"

    together = Far().ask(one + one)
    later = Far()
    later.ask(one)
    receive(later.connection, one)

    assert not together.is_reusable
    assert later.wire.aborted


async def test_what_nobody_read_of_one_reply_is_no_part_of_the_next() -> None:
    far = Far()
    far.ask(OK + b"X-Old: 1\r\nContent-Length: 6\r\n\r\nsecret")
    connection = far.ask(OK + b"Content-Length: 1\r\n\r\na")

    assert await connection.head() == Head(200, {"content-length": "1"})
    assert await whole(connection) == b"a"


async def test_one_that_was_made_to_wait_is_not_asked_again() -> None:
    size = READ_AHEAD_BYTES + 1
    connection = Far().ask(OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)

    assert not connection.is_reusable
    assert len(await whole(connection)) == size
    assert connection.is_reusable


async def test_a_slow_reader_stops_the_reading() -> None:
    far = Far()
    connection = far.ask(OK + b"Content-Length: 100000\r\n\r\n", b"x" * (READ_AHEAD_BYTES + 1))

    assert not far.wire.reading
    await connection.read()
    assert far.wire.reading


async def test_a_taker_is_asked_only_while_somebody_waits_who_then_waits_on() -> None:
    far = Far()
    connection = far.ask(OK + b"Content-Length: 5\r\n\r\n")
    taken: list[bytes | None] = []

    def take() -> bool:
        taken.append(connection.taken())
        return len(taken) < 2

    connection.taker = take
    receive(connection, b"a")
    assert (taken, await connection.read()) == ([], b"a")

    news = connection.news()
    receive(connection, b"b")
    assert (taken, news.done()) == ([b"b"], False)
    receive(connection, b"c")
    assert (taken, news.done()) == ([b"b", b"c"], True)
    receive(connection, b"de")
    assert (taken, await whole(connection)) == ([b"b", b"c"], b"de")


@contextmanager
def nothing_collected() -> Iterator[None]:
    """What goes meanwhile has gone by itself."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_a_connection_that_failed_is_let_go_of_at_once() -> None:
    """With the traceback of its failure it would lead to whoever waited, and to all that one holds."""
    with nothing_collected():
        far = Far()
        connection = far.ask(OK)
        connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        for _ in range(2):
            with suppress(ConnectionResetError):
                await connection.head()
        last = weakref.ref(connection)
        del far, connection

        assert last() is None


LARGE = b"x" * (HEAD_BYTES // 2 + 1)


@pytest.mark.parametrize(
    "reply",
    [
        OK + b"X-One: " + LARGE + LARGE,
        OK + b"X-One: " + LARGE + b"\r\nX-Two: " + LARGE + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-One: " + LARGE * 3,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;x=" + LARGE + LARGE,
    ],
    ids=["one header", "two headers", "hints", "trailer", "extension"],
)
async def test_a_head_without_end_is_unreadable(reply: bytes) -> None:
    connection = Far().ask(*(reply[at : at + 8000] for at in range(0, len(reply), 8000)))

    with pytest.raises(Unreadable):
        await connection.head()
        await whole(connection)
    assert not connection.is_reusable


async def test_many_small_chunks_are_no_head() -> None:
    chunks = b"1\r\na\r\n" * HEAD_BYTES
    connection = Far().ask(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")

    assert len(await whole(connection)) == HEAD_BYTES


async def test_a_body_that_we_ended_is_not_whole() -> None:
    far = Far()
    connection = far.ask(OK + b"\r\nHello")
    connection.close()
    connection.connection_lost(None)

    assert await connection.read() == b"Hello"
    with pytest.raises(Broken):
        await connection.read()


# The pool


@asynccontextmanager
async def pooled(*, limit: int = 0, keep: bool = True, idle_s: float = IDLE_S) -> AsyncIterator[tuple[Pool, list[Far]]]:
    made: list[Far] = []

    async def connect() -> Connection:
        await asyncio.sleep(0)
        made.append(Far())
        return made[-1].connection

    pool = Pool(connect, limit=limit, keep=keep, idle_s=idle_s)
    yield pool, made
    pool.close()


def answered(connection: Connection) -> Connection:
    connection.send(b"")
    receive(connection, OK + b"Content-Length: 0\r\n\r\n")
    return connection


async def test_a_connection_whose_reply_is_whole_serves_again() -> None:
    async with pooled() as (pool, made):
        first = answered(await pool.take())
        pool.give_back(first)

        assert await pool.take() is first
        assert len(made) == 1


@pytest.mark.parametrize("keep", [True, False])
async def test_one_whose_reply_is_not_is_closed(keep: bool) -> None:
    async with pooled(keep=keep) as (pool, made):
        connection = await pool.take()
        if not keep:
            answered(connection)
        pool.give_back(connection)

        assert made[0].wire.aborted
        assert await pool.take() is not connection


async def test_one_that_was_idle_for_long_or_is_closed_is_let_go() -> None:
    async with pooled() as (pool, made):
        old, gone = answered(await pool.take()), answered(await pool.take())
        pool.give_back(old)
        pool.give_back(gone)
        old.idle_since -= 3600
        gone.connection_lost(None)

        assert await pool.take() not in (old, gone)
        assert made[0].wire.aborted


async def test_what_a_rush_has_opened_is_closed_though_some_go_on_being_used() -> None:
    """Those were never looked at: the last one given back is the first one taken."""
    async with pooled(idle_s=0.05) as (pool, made):
        rush = [answered(await pool.take()) for _ in range(3)]
        for connection in rush:
            pool.give_back(connection)
        async with asyncio.timeout(5):
            while not (made[0].wire.aborted and made[1].wire.aborted):
                pool.give_back(answered(await pool.take()))
                await asyncio.sleep(0)

        assert len(made) == 3
        assert not made[2].wire.aborted


async def test_one_that_nobody_wants_any_more_is_closed() -> None:
    async with pooled(idle_s=0.05) as (pool, made):
        pool.give_back(answered(await pool.take()))
        async with asyncio.timeout(5):
            while not made[0].wire.aborted:
                await asyncio.sleep(0)


async def test_beyond_the_limit_they_wait_in_order() -> None:
    async with pooled(limit=1) as (pool, made):
        first = answered(await pool.take())
        order: list[int] = []

        async def use(number: int) -> None:
            connection = await pool.take()
            order.append(number)
            pool.give_back(answered(connection))

        waiting = [asyncio.create_task(use(number)) for number in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        assert order == []
        pool.give_back(first)
        await asyncio.gather(*waiting, return_exceptions=True)

        assert order == [0, 2]
        assert len(made) == 1


async def test_who_leaves_with_the_turn_in_hand_passes_it_on() -> None:
    async with pooled(limit=1) as (pool, _):
        first = answered(await pool.take())
        leaving, staying = (asyncio.create_task(pool.take()) for _ in range(2))
        await asyncio.sleep(0)
        pool.give_back(first)
        leaving.cancel()

        async with asyncio.timeout(1):
            assert await staying is first


async def test_a_connection_that_cannot_be_had_makes_room_for_the_next() -> None:
    async def refused() -> Connection:
        await asyncio.sleep(0)
        raise ConnectionRefusedError

    pool = Pool(refused, limit=1, keep=True)
    async with asyncio.timeout(1):
        outcomes = await asyncio.gather(*(pool.take() for _ in range(3)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ConnectionRefusedError] * 3


async def test_who_waits_too_long_for_a_connection_is_told_so_and_takes_none() -> None:
    async with pooled(limit=1) as (pool, made):
        first = answered(await pool.take())
        with pytest.raises(Full):
            await pool.room(0.001)
        pool.give_back(first)
        await pool.room(0.001)

        assert await pool.take() is first
        assert len(made) == 1


async def test_one_given_back_twice_is_one() -> None:
    async with pooled(limit=1) as (pool, _):
        first = answered(await pool.take())
        pool.give_back(first)
        pool.give_back(first)
        assert await pool.take() is first

        with pytest.raises(Full):
            await pool.room(0.001)
