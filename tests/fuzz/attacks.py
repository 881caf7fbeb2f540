"""Requests that no honest client sends, each made from a seed and a number alone: any of them can be sent again.

Half of them are made-up bodies and queries for the operations; the others go for what is below: the parser of HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from tests.fuzz import bodies

KEY: Final = "sk-made-up-for-this-run"
SILENCE_S: Final = 0.3
"""How long the server that is sent these waits for the rest of a request."""


class Attack(NamedTuple):
    """What goes over one connection, piece by piece; and what may come back."""

    name: str
    pieces: tuple[bytes, ...]
    pause_s: float = 0.0  # between two pieces
    replies: int = 1
    """So many come, and then the connection may go on; fewer, and the server has to close it."""
    statuses: frozenset[int] | None = None
    """What the first reply has to be, where a standard says it."""
    is_head: bool = False
    then: str = "wait"  # or "leave": abort at once; or "finish": close our side and wait


def attack(seed: int, number: int) -> Attack:
    """The attack of that number."""
    chance = Random(f"{seed}:{number}")
    return chance.choices(_KINDS, _WEIGHTS)[0](chance)


# -- HTTP that is right ------------------------------------------------------------------------------------------------

ROUTES: Final = (
    *(("POST", "/v1/chat/completions"), ("GET", "/v1/chat/completions")),
    *((method, "/v1/chat/completions/{id}") for method in ("GET", "POST", "DELETE")),
    ("GET", "/v1/chat/completions/{id}/messages"),
    *(("POST", "/v1/check"), ("GET", "/v1/hansard/v1/search"), ("GET", "/v1/hansard/v1/facets")),
    *(("GET", "/hansard/v1/projects"), ("POST", "/hansard/v1/projects"), ("GET", "/hansard/v1/projects/{id}")),
    *(("GET", "/hansard/v1/projects/{id}/export"), ("GET", "/hansard/v1/projects/{id}/deletion")),
    *(("POST", "/hansard/v1/projects/{id}"), ("GET", "/hansard/v1/keys"), ("POST", "/hansard/v1/keys")),
    *(("GET", "/hansard/v1/keys/{id}"), ("DELETE", "/hansard/v1/keys/{id}"), ("POST", "/hansard/v1/keys/{id}/rotate")),
    *(("GET", "/hansard/v1/audit"), ("GET", "/v1/models"), ("GET", "/v1/models/{id}"), ("GET", "/metrics")),
    *(("GET", "/openapi.json"), ("GET", "/health"), ("GET", "/readyz"), ("GET", "/openai/v1/models")),
)
STORED: Final = "STORED"  # in the place of an id: one that was stored by an earlier request, if there is one

_ID = (
    *(
        STORED,
        STORED,
        STORED,
        "chatcmpl-nobody",
        "proj_nobody",
        "key_nobody",
        "%00",
        "%ff%fe",
        "..",
        "%2e%2e%2f",
        "%2F",
    ),
    *("'%20OR%20'1'='1", "a" * 3000, "%F0%9F%92%A9", "%ED%A0%80", "-1", "null", "%25%25%6e", "{id}", "echo", "*"),
)
_QUERY = (
    *("limit=1", "limit=100", "limit=0", "limit=-1", "limit=99999999999999999999", "limit=1e3", "limit=%00"),
    *("limit=%D9%A1", "after=STORED", "after=nobody", "after=%ff", "order=desc", "order=sideways", "model=echo"),
    *("metadata[a]=b", "metadata[]=b", "metadata[a][b]=c", "metadata=x", "metadata[%00]=%00", "metadata[%ff]=%ff"),
    *("q=order", "q=%22", "q=%22%22%22", "q=*", "q=a+OR+b+AND+NOT+(", "q=" + "a" * 5000, "q=%00", "q=%ED%A0%80"),
    *(
        "by=model",
        "by=metadata",
        "field=model",
        "project=default",
        "project=%00",
        "created_after=1e400",
        "&&&",
        "=",
        "?",
    ),
    *("created_after=-9223372036854775809", "created_before=9223372036854775808", "a=" * 300, "%", "%zz", ";"),
)
_HEADERS = (
    *(b"Content-Type: text/plain", b"Content-Type: application/json; charset=utf-7", b"Content-Encoding: gzip"),
    *(b"Host: ", b"Host: evil.example", b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Host: evil", b"Forwarded: for=_x"),
    *(
        b"OpenAI-Project: default",
        b"OpenAI-Project: nobody",
        b"OpenAI-Organization: \xff",
        b"Idempotency-Key: \xff\xfe",
    ),
    *(b"Idempotency-Key: " + b"k" * 3000, b"Idempotency-Key: 1", b"X-Client-Request-Id: " + b"\xc3\xa9" * 400),
    *(b"Expect: 100-continue", b"Expect: nonsense", b"Upgrade: websocket", b"Upgrade: h2c", b"Connection: upgrade"),
    *(b"Connection: close", b"Connection: keep-alive, transfer-encoding", b"Range: bytes=0-", b"Accept: \xff"),
    *(b"Traceparent: 00-" + b"f" * 400, b"Cookie: " + b"a=b;" * 900, b"Origin: null", b"Accept-Encoding: gzip;q=nan"),
    *(b"X-HTTP-Method-Override: DELETE", b"Content-MD5: x", b"TE: trailers", b"Trailer: Content-Length", b"X: "),
)
_KEYS = (
    *(b"Bearer ' OR '1'='1", b"Bearer", b"Bearer ", b"Bearer \xff\xfe", b"Basic !!!!", b"Digest username=a", b"\xff"),
    *(
        b"Basic " + base64.b64encode(b":" + bytes(range(256))),
        b"Bearer " + b"x" * 9000,
        b"Bearer sk-hansard-" + b"A" * 43,
    ),
)


def _head(chance: Random, method: str, target: str, *more: bytes, hostile: bool | None = None) -> bytes:
    """A request line and headers, without the empty line behind them."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: h"]
    hostile = chance.random() < 0.3 if hostile is None else hostile
    refused = hostile and chance.random() < 0.2
    lines.append(b"Authorization: " + (chance.choice(_KEYS) if refused else b"Bearer " + KEY.encode()))
    if hostile:
        lines += chance.sample(_HEADERS, chance.randint(1, 5))
    return b"\r\n".join([*lines, *more, b""])


def _request(chance: Random, method: str, target: str, body: bytes | None, *, hostile: bool | None = None) -> bytes:
    """One that HTTP has nothing against."""
    if body is None:
        return _head(chance, method, target, hostile=hostile) + b"\r\n"
    if chance.random() < 0.2:
        head = _head(chance, method, target, b"Transfer-Encoding: chunked", hostile=hostile)
        return head + b"\r\n" + _chunked(chance, body)
    return _head(chance, method, target, b"Content-Length: %d" % len(body), hostile=hostile) + b"\r\n" + body


def _chunked(chance: Random, body: bytes) -> bytes:
    cuts = sorted(chance.randint(0, len(body)) for _ in range(chance.randint(0, 5)))
    parts = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    extension = chance.choice([b"", b";x=y", b';x="\xff"'])
    return b"".join(b"%X%s\r\n%s\r\n" % (len(part), extension, part) for part in parts if part) + b"0\r\n\r\n"


def _made_up(chance: Random) -> tuple[str, str, bytes | None]:
    """A method, a target and a body for some operation."""
    method, path = chance.choice(ROUTES) if chance.random() < 0.6 else ROUTES[0]
    target = path.replace("{id}", chance.choice(_ID))
    if method == "GET":
        query = "&".join(chance.choices(_QUERY, k=chance.randint(0, 4)))
        return method, f"{target}?{query}" if query else target, None
    if method == "DELETE":
        return method, target, None
    return method, target, bodies.body(chance, path)


# -- the kinds ---------------------------------------------------------------------------------------------------------


def _operation(chance: Random) -> Attack:
    method, target, body = _made_up(chance)
    return Attack("operation", (_request(chance, method, target, body),))


def _slow(chance: Random) -> Attack:
    """In many pieces, cut anywhere; now and then so slowly that the server has to give up."""
    method, target, body = _made_up(chance)
    whole = _request(chance, method, target, body, hostile=False)
    cuts = sorted({chance.randint(1, len(whole)) for _ in range(chance.randint(1, 12))})
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    pause_s = SILENCE_S * 2 if len(pieces) < 4 and chance.random() < 0.1 else chance.choice([0.0, 0.001, 0.004])
    return Attack("slow", tuple(pieces), pause_s=pause_s)


def _cut(chance: Random) -> Attack:
    """One whose end never comes."""
    method, target, body = _made_up(chance)
    whole = _request(chance, method, target, body)
    then = chance.choice(["leave", "leave", "leave", "finish", "finish", "wait"])
    return Attack("cut", (whole[: chance.randint(0, len(whole) - 1)],), then=then)


def _leaving(chance: Random) -> Attack:
    """Whole, but nobody waits for the reply."""
    method, target, body = _made_up(chance)
    return Attack("leaving", (_request(chance, method, target, body),), then="leave")


def _pipelined(chance: Random) -> Attack:
    """Several at once, some of them behind one that closes the connection."""
    several = [_made_up(chance) for _ in range(chance.randint(2, 6))]
    sent = b"".join(_request(chance, *each) for each in several)
    return Attack("pipelined", (sent,), replies=len(several))


_SHORT = ("/health", "/readyz", "/v1/models", "/v1/models/nobody")


def _burst(chance: Random) -> Attack:
    """More than is made at once, in one write or two. With short replies: who reads them keeps the others waiting."""
    several = [
        _request(chance, "GET", chance.choice(_SHORT), None, hostile=False) for _ in range(chance.randint(20, 100))
    ]
    sent = b"".join(several)
    cut = chance.randint(1, len(sent) - 1)
    pieces = chance.choice([(sent,), (sent[:cut], sent[cut:])])
    return Attack("burst", pieces, replies=len(several), then=chance.choice(["wait", "wait", "leave"]))


_METHODS = (
    *("HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "PRI", "M-SEARCH", "PROPFIND", "QUERY", "SOURCE", "get"),
    *("Get", "POSTT", "GE", "G" * 5000, "", " ", "G\0T", "\xff", "GET\t", "!#$%", "*"),
)
_TARGETS = (
    *(
        "*",
        "/",
        "//",
        "",
        "x",
        "h:443",
        "http://evil.example/v1/models",
        "http://",
        "/v1/../../etc/passwd",
        "/%",
        "/%zz",
    ),
    *(
        "/v1//models",
        "/v1/models/",
        "/v1/models#x",
        "/v1/models?" + "a" * 9000,
        "/" + "a/" * 4000,
        "/\xff\xfe",
        "/\0",
        "/ x",
    ),
    *(
        "/v1/chat/completions/",
        "/v1/chat/completions/%2F",
        "/v1/chat/completions//messages",
        "\\",
        "/;/",
        "/v1/models\t",
    ),
    *("/v1/models\r", "http://[::1/", "http://h:99999999/v1/models", "/" + "%2e%2e/" * 50, "/" + "\xe9" * 200),
)
_VERSIONS = (
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/0.9",
    "HTTP/1.9",
    "HTTP/9.9",
    "http/1.1",
    "HTTP/1.",
    "",
)


def _odd_line(chance: Random) -> Attack:
    method = chance.choice(_METHODS if chance.random() < 0.6 else ("GET", "POST", "DELETE"))
    target = chance.choice(_TARGETS if chance.random() < 0.6 else ("/v1/models", "/v1/chat/completions"))
    line = f"{method} {target} {chance.choice(_VERSIONS)}\r\n".encode("latin-1")
    rest = b"Host: h\r\nConnection: close\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n"
    return Attack("line", (line + rest,), is_head=method == "HEAD", then=chance.choice(["wait", "finish"]))


def _odd_headers(chance: Random) -> Attack:
    """Some are no headers, too many, or too long."""
    bad = chance.choice(
        [
            b"A" * 70000 + b": b",
            b"a: " + b"b" * 70000,
            b"\r\n".join([b"a: b"] * 300),
            b"\r\n".join([b"a: " + b"b" * 400] * 200),
            b"no colon",
            b": no name",
            b"sp ace: x",
            b"nul: \x00",
            b"\x00: x",
            b"\xff\xfe: x",
            b"ctl: \x01\x02",
            b"x: \x7f",
            b"Content-Length: -1",
            b"Content-Length: 1e3",
            b"Content-Length: +4",
            b"Content-Length: 0x4",
            b"Content-Length: ",
            b"Content-Length: " + b"9" * 30,
            b"Content-Length: 4,4",
            b"Content-Length: 4 4",
            b"Host: a\r\nHost: b",
            b"Authorization: Bearer " + b"x" * 66000,
            b"Authorization: a\r\nAuthorization: b",
            b"api-key: \xff\r\napi-key: b",
        ]
    )
    return Attack("headers", (_head(chance, "POST", "/v1/check", bad, hostile=True) + b"\r\n",))


# A server behind another one must not see a second request where that one saw a body: RFC 9112, 6.3 and 11.2.
_SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
_FRAMINGS = (
    b"Content-Length: %d\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: %d",
    b"Content-Length: 5\r\nContent-Length: %d",
    b"Content-Length: %d\r\nContent-Length: 5",
    b"Content-Length: 5, %d",
    b"Transfer-Encoding: xchunked\r\nContent-Length: %d",
    b"Transfer-Encoding : chunked\r\nContent-Length: %d",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: %d",
    b"Transfer-Encoding: identity, chunked, identity\r\nContent-Length: %d",
    b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d",
    b"Transfer-Encoding: chunked\x00\r\nContent-Length: %d",
    b"X: x\nTransfer-Encoding: chunked\r\nContent-Length: %d",
    b"X: x\rTransfer-Encoding: chunked\r\nContent-Length: %d",
    b" Transfer-Encoding: chunked\r\nContent-Length: %d",
    b"Content-Length : %d",
    b"Content-Length: \x0b%d",
)
_BAD_CHUNKS = (
    *(
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"g\r\n\r\n",
    ),
    *(
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nx",
    ),
    *(
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5;\nx\r\nhello\r\n0\r\n\r\n",
        b"5\rX\nhello\r\n0\r\n\r\n",
    ),
)
REFUSED: Final = frozenset({400})


def _smuggling(chance: Random) -> Attack:
    """Two lengths in one head. Whatever a first reader took them for, we take neither."""
    body = b"0\r\n\r\n" + _SMUGGLED
    framing = chance.choice(_FRAMINGS)
    framing = framing % len(body)
    head = _head(chance, "POST", "/v1/check", framing, hostile=False)
    return Attack("smuggling", (head + b"\r\n" + body,), replies=2, statuses=REFUSED)


def _bad_chunks(chance: Random) -> Attack:
    head = _head(chance, "POST", "/v1/check", b"Transfer-Encoding: chunked", hostile=False)
    # What the body says is no JSON either, so it is a 400 from whoever reads it.
    return Attack("chunks", (head + b"\r\n" + chance.choice(_BAD_CHUNKS) + _SMUGGLED,), replies=2, statuses=REFUSED)


def _long_trailers(chance: Random) -> Attack:
    """Behind the last chunk something that goes on for longer than anything may."""
    head = _head(chance, "POST", "/v1/check", b"Transfer-Encoding: chunked", hostile=False)
    begun, more = chance.choice(
        [(b"0\r\nX: ", b"a"), (b"0\r\n", b"a"), (b"0\r\n", b"X: a\r\n"), (b"0;", b"a"), (b"", b"0")]
    )
    pieces = (head + b"\r\n2\r\n{}\r\n" + begun, *[more * (16_384 // len(more))] * 12)
    # One that is not read in time for it may be told that first.
    return Attack("trailers", pieces, pause_s=chance.choice([0.0, 0.001]), statuses=frozenset({431, 408}))


def _odd_ends(chance: Random) -> Attack:
    """Lines that end, or go on, in other ways."""
    method, target, body = _made_up(chance)
    whole = _request(chance, method, target, body, hostile=False)
    odd = chance.choice(
        [
            whole.replace(b"\r\n", b"\n"),
            whole.replace(b"\r\n", b"\r"),
            whole.replace(b"\r\n", b"\n\r"),
            b"\r\n" * 9 + whole,
            whole.replace(b"\r\n", b"\r\n \r\n", 1),
            whole.replace(b"\r\nHost: h", b"\r\nHost: h\r\n folded: x", 1),
            whole.replace(b"Bearer ", b"Bearer\r\n\t", 1),
            b"\n" + whole,
            whole.replace(b"\r\n", b"\r\r\n", 1),
        ]
    )
    return Attack("ends", (odd,), then=chance.choice(["wait", "finish"]))


def _noise(chance: Random) -> Attack:
    """Other protocols, and none."""
    sent = chance.choice(
        [
            chance.randbytes(chance.randint(1, 2000)),
            b"\x00" * 500,
            b"\r\n" * 500,
            b"\n",
            b" ",
            b"A" * 70000,
            b"SSH-2.0-x\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"EHLO x\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"GET /\r\n",
            b"GET /\r\n\r\n",
        ]
    )
    return Attack("noise", (sent,), then=chance.choice(["wait", "finish", "leave"]))


_KINDS: Final[tuple[Callable[[Random], Attack], ...]] = (
    *(
        _operation,
        _slow,
        _cut,
        _leaving,
        _pipelined,
        _burst,
        _odd_line,
        _odd_headers,
        _smuggling,
        _bad_chunks,
        _long_trailers,
        _odd_ends,
        _noise,
    ),
)
_WEIGHTS: Final = (40, 6, 10, 6, 5, 1, 10, 8, 6, 3, 1, 3, 3)
