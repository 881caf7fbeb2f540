"""A chat server with no model: fast, and able to delay, fragment, cut and repeat ids. A process of its own.

What it does is said by the model's name, ``mock`` and words like ``chunks=64`` behind it (see ``Behaviour``):
``mock,chunks=64,gap_ms=50``. Everything is rendered once per behaviour, so that it costs next to nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache, partial
from itertools import count
from typing import Any, cast

import uvloop

NAME = "mock"
USAGE = {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73}
# The text of a timed chunk: nanoseconds of the machine's monotonic clock, always this long.
TIME = b"@%019d"
NO_TIME = TIME % 0
# And the id of a completion with one of its own.
ID = b"chatcmpl-%012d"
NO_ID = ID % 0
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"query":"order"}'}}
WORDS = ("Order", ", order", " in", " the", " house", ".", " The", " ayes")


@dataclass(frozen=True)
class Behaviour:
    """``chunks`` of text a stream has; ``delay_ms`` before the first byte, ``gap_ms`` between events.

    Without a gap the events of other streams come between: each is written by itself, as one from a model is.
    ``piece_bytes`` cuts what is written into pieces of that size, ``cut_after`` so many events closes the
    connection, ``together=1`` writes all events at once, ``timed=1`` makes each text the moment it is written
    (``TIME``), ``calls=1`` calls the tool ``look_up`` in place of all text, ``status`` is answered in place of a reply.
    Every completion has the same id, as some upstreams do, unless ``fresh_ids=1``.
    """

    chunks: int = 64
    delay_ms: float = 0.0
    gap_ms: float = 0.0
    piece_bytes: int = 0
    cut_after: int = 0
    together: int = 0
    timed: int = 0
    fresh_ids: int = 0
    calls: int = 0
    status: int = 200

    @classmethod
    @cache
    def named(cls, model: str) -> Behaviour:
        """What the words of the name say."""
        words = dict(word.split("=", 1) for word in model.split(",")[1:])
        known = {field.name for field in fields(cls)}
        return cls(**{name: type(getattr(cls, name))(value) for name, value in words.items() if name in known})


class Connection(asyncio.Protocol):
    """One connection, kept alive; requests are answered one after the other."""

    def __init__(self, live: set[Connection], numbers: Iterator[int], usual: str) -> None:
        self._live = live
        self._numbers = numbers
        self._usual = usual
        self._received = b""
        self._next: asyncio.Handle | None = None
        self._idle_since: float | None = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return self._idle_since is not None

    def close_if_idle(self, since: float) -> None:
        """As most servers do with a connection that was not used since then (monotonic seconds)."""
        if self._idle_since is not None and self._idle_since < since:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._live.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._live.discard(self)
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(_header(head, b"content-length") or 0)
        if len(rest) >= length:
            self._received = rest[length:]
            self._idle_since = None
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            live = len(self._live)
            listing = [{"id": NAME, "object": "model", "created": 1, "owned_by": "mock"}]
            self._write_last(_reply(200, {"object": "list", "data": listing, "live_connections": live}))
            return
        asked = json.loads(body)
        behaviour = Behaviour.named(self._usual if asked["model"] == NAME else asked["model"])
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        if asked.get("stream") and behaviour.status == 200:
            answer: Callable[[], None] = partial(self._stream, behaviour, usage=usage)
        else:
            answer = partial(self._write_last, _whole(behaviour).replace(NO_ID, self._id()))
        if behaviour.delay_ms:
            self._later(behaviour.delay_ms, answer)
        else:
            answer()

    def _stream(self, behaviour: Behaviour, *, usage: bool) -> None:
        head, events = _events(behaviour, usage=usage)
        pieces = [head, *events]
        if behaviour.fresh_ids:
            own = self._id()
            pieces = [piece.replace(NO_ID, own) for piece in pieces]
        if behaviour.together:
            pieces = [b"".join(pieces)]
        if behaviour.piece_bytes:
            text, size = b"".join(pieces), behaviour.piece_bytes
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
        self._write_on(pieces, 0, behaviour)

    def _id(self) -> bytes:
        return ID % next(self._numbers)

    def _write_on(self, pieces: list[bytes], at: int, behaviour: Behaviour) -> None:
        piece = pieces[at]
        if behaviour.timed:
            piece = piece.replace(NO_TIME, TIME % time.monotonic_ns())
        if at + 1 < len(pieces):
            self._transport.write(piece)
            self._later(behaviour.gap_ms, partial(self._write_on, pieces, at + 1, behaviour))
            return
        self._write_last(piece)
        if behaviour.cut_after:
            self._transport.close()

    def _write_last(self, piece: bytes) -> None:
        self._transport.write(piece)
        self._idle_since = time.monotonic()

    def _later(self, ms: float, step: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(ms / 1000, step) if ms else loop.call_soon(step)


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


def _reply(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@cache
def _whole(behaviour: Behaviour) -> bytes:
    if behaviour.status != 200:
        return _reply(behaviour.status, {"error": {"message": "As told.", "type": "server_error", "code": None}})
    text = "".join(WORDS[at % len(WORDS)] for at in range(behaviour.chunks))
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if behaviour.calls:
        message |= {"content": None, "tool_calls": [CALL]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _end(behaviour)}
    return _reply(200, {**_stamp("chat.completion", behaviour), "choices": [choice], "usage": USAGE})


@cache
def _events(behaviour: Behaviour, *, usage: bool) -> tuple[bytes, list[bytes]]:
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}]
    words = (NO_TIME.decode(),) if behaviour.timed else WORDS
    if behaviour.calls:
        deltas.append({"tool_calls": [{"index": 0, **CALL}]})
    else:
        deltas += [{"content": words[at % len(words)]} for at in range(behaviour.chunks)]
    ends: list[str | None] = [None] * len(deltas)
    chunks: list[dict[str, object]] = [
        {**_stamp("chat.completion.chunk", behaviour), "choices": [_choice(delta, end)]}
        for delta, end in zip([*deltas, {}], [*ends, _end(behaviour)], strict=True)
    ]
    if usage:
        chunks.append({**_stamp("chat.completion.chunk", behaviour), "choices": [], "usage": USAGE})
    payloads = [json.dumps(chunk, separators=(",", ":")) for chunk in chunks] + ["[DONE]"]
    events = [_framed(f"data: {payload}\n\n".encode()) for payload in payloads]
    if behaviour.cut_after:
        events = events[: behaviour.cut_after]
    else:
        events.append(b"0\r\n\r\n")
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n", events


def _end(behaviour: Behaviour) -> str:
    return "tool_calls" if behaviour.calls else "stop"


def _choice(delta: dict[str, object], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _stamp(kind: str, behaviour: Behaviour) -> dict[str, Any]:
    completion_id = NO_ID.decode() if behaviour.fresh_ids else "chatcmpl-1"
    return {"id": completion_id, "object": kind, "created": 1, "model": "mock-2026-01-01"}


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


async def serve(port: int, unix_socket: str | None, *, usual: str = NAME, idle_s: float = 0.0) -> None:
    """Serve until terminated. ``usual`` is what the name without any words stands for.

    Connections that nobody uses for ``idle_s`` are closed; 0 keeps them.
    """
    loop = asyncio.get_running_loop()
    live: set[Connection] = set()
    numbers = count(1)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if unix_socket is not None:
        server = await loop.create_unix_server(lambda: Connection(live, numbers, usual), unix_socket)
    else:
        server = await loop.create_server(lambda: Connection(live, numbers, usual), "127.0.0.1", port, backlog=4096)
    sweeping = asyncio.create_task(_sweep(live, idle_s)) if idle_s else None
    await stop.wait()
    if sweeping is not None:
        sweeping.cancel()
    server.close()


async def _sweep(live: set[Connection], idle_s: float) -> None:
    while True:
        await asyncio.sleep(idle_s / 4)
        since = time.monotonic() - idle_s
        for connection in [*live]:
            connection.close_if_idle(since)


def main() -> None:
    """Serve on a port or a Unix socket."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix-socket")
    parser.add_argument("--usual", default=NAME, help="what the name 'mock' alone stands for")
    parser.add_argument("--idle-s", type=float, default=0.0, help="close connections that nobody uses for so long")
    asked = parser.parse_args()
    uvloop.run(serve(asked.port, asked.unix_socket, usual=asked.usual, idle_s=asked.idle_s))


if __name__ == "__main__":
    main()
