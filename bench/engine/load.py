"""A load of concurrent token streams over raw sockets, light enough to share two cores with what it measures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.processes import CannotRun

ROUND_S = 300.0
CONTENT = b'"content":"'
EMPTY = b'"content":""'


@dataclass(frozen=True)
class Target:
    """A chat server: its address, its key if it has one, and the body to send, complete but for the prompt."""

    url: str
    body: Mapping[str, object]
    key: str = ""


@dataclass
class Outcome:
    """What one round measured: tokens in all, seconds, and per stream the seconds to its first token."""

    tokens: int = 0
    seconds: float = 0.0
    first_token_s: list[float] = field(default_factory=list)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds


async def play(target: Target, *, streams: int, requests: int) -> Outcome:
    """Keep ``streams`` requests in flight until ``requests`` are done."""
    outcome = Outcome()
    prompts = iter(range(requests))
    started = time.perf_counter()

    async def worker() -> None:
        for number in prompts:
            await _stream(target, _prompt(number), outcome)

    async with asyncio.timeout(ROUND_S), asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(worker())
    outcome.seconds = time.perf_counter() - started
    return outcome


async def said(target: Target) -> str:
    """The whole text of one stream, to compare what two servers say."""
    events = await _stream(target, _prompt(0), Outcome())
    chunks = [json.loads(line[6:]) for line in events.splitlines() if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def _prompt(number: int) -> str:
    return f"Tell me about number {number}."


async def _stream(target: Target, prompt: str, outcome: Outcome) -> bytes:
    parts = urlsplit(target.url)
    body = json.dumps({**target.body, "messages": [{"role": "user", "content": prompt}]}).encode()
    head = [
        f"POST {parts.path} HTTP/1.1",
        f"host: {parts.netloc}",
        f"authorization: Bearer {target.key or 'none'}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        started = time.perf_counter()
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        status = await reader.readline()
        if b" 200 " not in status:
            raise CannotRun(f"{target.url}: {status!r} {await reader.read()!r}")
        while await reader.readline() != b"\r\n":
            pass
        return await _read_events(reader, started, outcome)
    finally:
        writer.close()


async def _read_events(reader: asyncio.StreamReader, started: float, outcome: Outcome) -> bytes:
    pieces: list[bytes] = []
    begun = False
    while piece := await reader.read(65536):
        pieces.append(piece)
        if not begun and CONTENT in b"".join(pieces).replace(EMPTY, b""):
            outcome.first_token_s.append(time.perf_counter() - started)
            begun = True
    events = b"".join(pieces)
    if b"data: [DONE]" not in events[-64:]:
        raise CannotRun(f"a stream ended early: {events[-200:]!r}")
    # The last event but [DONE] carries usage.
    outcome.tokens += int(events.rpartition(b'"completion_tokens":')[2].split(b",")[0].strip(b" }"))
    return events
