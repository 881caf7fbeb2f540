"""A load of concurrent streams over raw sockets, light enough to share two cores with what it measures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Target:
    """A chat server: its address and the body to send, complete but for the prompt."""

    url: str
    body: dict[str, object]


@dataclass
class Outcome:
    """What one round measured: tokens in all, seconds, and per stream the seconds to its first token."""

    tokens: int = 0
    seconds: float = 0.0
    first_token_s: list[float] = field(default_factory=list)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds


def quantile(numbers: Sequence[float], share: float) -> float:
    """The number below which ``share`` of them lie."""
    return sorted(numbers)[min(len(numbers) - 1, int(share * len(numbers)))]


async def play(target: Target, *, streams: int, requests: int) -> Outcome:
    """Keep ``streams`` requests in flight until ``requests`` are done."""
    outcome = Outcome()
    prompts = iter(range(requests))
    started = time.perf_counter()

    async def worker() -> None:
        for number in prompts:
            await _stream(target, number, outcome)

    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(worker())
    outcome.seconds = time.perf_counter() - started
    return outcome


async def _stream(target: Target, number: int, outcome: Outcome) -> None:
    parts = urlsplit(target.url)
    prompt = {"role": "user", "content": f"Tell me about number {number}."}
    body = json.dumps({**target.body, "messages": [prompt]}).encode()
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        started = time.perf_counter()
        writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        status = await reader.readline()
        assert b" 200 " in status, status
        while await reader.readline() != b"\r\n":
            pass
        await _read_events(reader, started, outcome)
    finally:
        writer.close()


async def _read_events(reader: asyncio.StreamReader, started: float, outcome: Outcome) -> None:
    last = tail = b""
    begun = False
    while piece := await reader.read(65536):
        if not begun and b'"content":"' in (tail + piece).replace(b'"content":""', b""):
            outcome.first_token_s.append(time.perf_counter() - started)
            begun = True
        tail = piece[-64:]
        last = (last + piece)[-4096:]
    # The last event but [DONE] carries usage.
    assert b"data: [DONE]" in last, last
    outcome.tokens += int(last.split(b'"completion_tokens":')[1].split(b",")[0].strip(b" }"))
