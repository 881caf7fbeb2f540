import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.proxy.load import Reply, Target, play, problem

WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"content":"Aye"}'
IN_CHUNKS = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b'1a\r\ndata: {"content":"\\r\\n0"}\n\n\r\n0e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n'
)


@given(st.sampled_from([WHOLE, IN_CHUNKS]), st.data())
def test_a_reply_ends_where_it_ends_however_it_is_cut(reply: bytes, data: st.DataObject):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(reply) - 1), max_size=6)))
    pieces = [reply[start:end] for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    reader = Reply()

    ends = [reader.feed(piece) for piece in pieces]

    assert ends == [False] * (len(pieces) - 1) + [True]
    assert reader.bytes() == reply


def test_a_right_reply_has_no_problem():
    assert problem(WHOLE, 1) is None


def test_another_status_is_a_problem():
    assert problem(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 1) == "HTTP/1.1 502 Bad Gateway\r\n\r\n"


def test_a_stream_with_too_few_chunks_is_a_problem():
    assert problem(IN_CHUNKS, 2) is not None


def test_a_request_is_rendered_whole():
    target = Target.chat(81, {"model": "mock"}, {"x-key": "k"}, contents=1)

    assert target.request == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:81\r\ncontent-type: application/json\r\n"
        b'content-length: 17\r\nx-key: k\r\n\r\n{"model": "mock"}'
    )


@pytest.mark.anyio
async def test_a_reply_that_is_cut_off_is_a_failure():
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE if not answered else WHOLE[:-1])
        answered.append(1)
        writer.close()

    answered: list[int] = []
    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        target = Target.chat(server.sockets[0].getsockname()[1], {}, {}, contents=1)
        outcome = await play(target, connections=1, seconds=0.05)

    assert len(outcome.latencies_s) == 1
    assert outcome.failures
    assert all(failure.startswith("a reply cut off") for failure in outcome.failures)
