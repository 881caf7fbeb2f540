"""The bench of a thousand streams: a stream that breaks is counted, and is a miss."""

from __future__ import annotations

import asyncio

import pytest

from bench.proxy.load import Target
from bench.proxy.many_streams import Listening, Sample, Tally, bars

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = HEAD + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def sample(server: str, per_s: int, broken: int) -> Sample:
    return Sample(server, per_s, chunks=1, p50_ms=1, p99_ms=1, cpu_us=1, kb_per_stream=1, broken=broken)


@pytest.mark.parametrize(("ours", "met"), [(0, True), (1, False)])
def test_broken_streams_of_ours_are_a_miss(ours: int, met: bool) -> None:
    held = {bar["what"]: bar for bar in bars([sample("Hansard", 20, ours), sample("nginx", 20, 5)], None)}

    assert (held["broken streams"]["measured"], held["broken streams"]["met"]) == (ours, met)


@pytest.mark.anyio
@pytest.mark.parametrize(("reply", "broken"), [(WHOLE, 0), (WHOLE[:-5], 1), (b"", 1)])
async def test_a_stream_that_is_cut_off_is_broken(reply: bytes, broken: int) -> None:
    tally = Tally([])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = Target.chat(port, {}, {}, contents=1)
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: Listening(target, tally), "127.0.0.1", port
        )
        async with asyncio.timeout(5):
            await stream.done

    assert (tally.broken, tally.running) == (broken, 0)
