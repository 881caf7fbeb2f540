"""api/upgrades.py: over a real socket, since it is about bytes on it."""

from __future__ import annotations

import json

import pytest
from starlette.types import Receive, Scope, Send

from tests.api.test_garbled import answer, listening, parted

pytestmark = pytest.mark.anyio

# What java.net.http.HttpClient sends with its first request to any http:// address, unless told not to.
JAVA = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
WEBSOCKET = b"Connection: upgrade\r\nUpgrade: websocket\r\n"
BODY = b'{"model":"echo"}'
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what was asked."""
    body = b""
    while (message := await receive())["type"] != "http.disconnect":
        body += message["body"]
        if not message.get("more_body"):
            break
    told = json.dumps([scope["method"], scope["path"], body.decode()]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})


def asked(upgrade: bytes, body: bytes, *more: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /a?b=c HTTP/1.1\r\nHost: h\r\n" + upgrade + length + b"".join(more) + b"\r\n" + body


LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("upgrade", [JAVA, WEBSOCKET])
@pytest.mark.parametrize("cut", [0, 1, 40, -len(BODY), -1])
async def test_the_body_of_who_would_rather_upgrade_is_read(upgrade: bytes, cut: int) -> None:
    """An upgrade may be ignored, and then the request is one like any other (RFC 9110, 7.8)."""
    sent = asked(upgrade, BODY)
    async with listening(tell) as port:
        replies = await answer(port, sent[:cut], sent[cut:] + LAST)

    assert told(replies) == [["POST", "/a", BODY.decode()], ["GET", "/last", ""]]


async def test_a_body_behind_an_upgrade_is_no_request() -> None:
    """Whoever stands before us takes it for a body, and may have let it pass for one."""
    async with listening(tell) as port:
        replies = await answer(port, asked(WEBSOCKET, SMUGGLED), LAST)

    assert told(replies) == [["POST", "/a", SMUGGLED.decode()], ["GET", "/last", ""]]


@pytest.mark.parametrize("upgrade", [JAVA, b""])
async def test_many_requests_at_once_are_no_long_head(upgrade: bytes) -> None:
    """Wherever they are cut while they are read."""
    async with listening(tell) as port:
        replies = await answer(port, asked(upgrade, BODY) * 2000 + LAST)

    assert len(told(replies)) == 2001


async def test_an_upgrade_in_chunks_is_read() -> None:
    sent = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + JAVA + b"\r\n3\r\nabc\r\n0\r\n\r\n"
    async with listening(tell) as port:
        assert told(await answer(port, sent + LAST)) == [["POST", "/a", "abc"], ["GET", "/last", ""]]


async def test_an_upgrade_with_two_lengths_is_refused() -> None:
    sent = asked(JAVA, BODY, b"Transfer-Encoding: chunked\r\n")
    async with listening(tell) as port:
        status, _, _ = parted(await answer(port, sent))

    assert status == "HTTP/1.1 400 Bad Request"


def told(replies: bytes) -> list[list[str]]:
    """What the application was asked, of each reply."""
    return [json.loads(reply[: reply.index(b"]") + 1]) for reply in replies.split(b"\r\n\r\n")[1:]]
