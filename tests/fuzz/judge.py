"""What a server may answer to anything: whole HTTP, an envelope where it refuses, and never a failure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from tests.fuzz.attacks import Attack

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [A-Za-z' -]+\Z")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\x20-\x7e]*\Z")
_TRACES = (b"Traceback (most recent", b'File "/', b"site-packages", b"sqlite3.", b"msgspec.")


class Reply(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get(b"connection", b"").lower() == b"close"


class NotHttp(Exception):
    """What came is no reply."""


def replies(data: bytes, *, is_head: bool = False) -> tuple[list[Reply], bytes]:
    """The whole replies in these bytes, but for those of the 100s, and what is behind them; or NotHttp."""
    found = []
    while (parsed := _first(data, is_head=is_head)) is not None:
        reply, data = parsed
        if reply.status >= 200:
            found.append(reply)
    return found, data


def _first(data: bytes, *, is_head: bool) -> tuple[Reply, bytes] | None:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        if data and not data.startswith(b"HTTP/1.1 "[: len(data)]):
            raise NotHttp(data[:200])
        return None
    first, *lines = head.split(b"\r\n")
    status = _STATUS.match(first)
    if status is None or not all(_HEADER.match(line) for line in lines):
        raise NotHttp(head[:500])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    code = int(status[1])
    # Of a line that it could not read the server does not know that it asked for a head only.
    if (is_head and not rest) or code < 200 or code in (204, 304):
        return Reply(code, headers, b""), rest
    if headers.get(b"transfer-encoding") == b"chunked":
        unchunked = _unchunked(rest)
        return None if unchunked is None else (Reply(code, headers, unchunked[0]), unchunked[1])
    if not headers.get(b"content-length", b"").isdigit():
        raise NotHttp(b"neither a length nor chunks: " + head[:500])
    length = int(headers[b"content-length"])
    return None if len(rest) < length else (Reply(code, headers, rest[:length]), rest[length:])


def _unchunked(data: bytes) -> tuple[bytes, bytes] | None:
    parts = []
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end:
            return None
        try:
            length = int(size, 16)
        except ValueError:
            raise NotHttp(b"no chunk: " + size[:100]) from None
        if len(rest) < length + 2:
            return None
        if rest[length : length + 2] != b"\r\n":
            raise NotHttp(b"a chunk without an end")
        if not length:
            return b"".join(parts), rest[2:]
        parts.append(rest[:length])
        data = rest[length + 2 :]


def complaints(attack: Attack, got: list[Reply], rest: bytes) -> list[str]:
    """What is wrong with all that came over the connection; ``rest`` is what came behind the last whole reply."""
    wrong = [problem for reply in got for problem in _of_reply(reply, is_head=attack.is_head)]
    if rest and attack.then == "wait":
        wrong.append(f"half a reply: {rest[:200]!r}")
    if len(got) > attack.replies:
        wrong.append(f"{len(got)} replies to {attack.replies} requests")
    if any(reply.closes for reply in got[:-1]):
        wrong.append("a reply behind the last one")
    if attack.statuses is not None:
        statuses = [reply.status for reply in got]
        if not statuses or statuses[0] not in attack.statuses or any(b"smuggled" in reply.body for reply in got):
            wrong.append(f"statuses {statuses} where {sorted(attack.statuses)} is due")
    return wrong


def _of_reply(reply: Reply, *, is_head: bool) -> list[str]:
    wrong = [f"{trace!r} in the reply" for trace in _TRACES if trace in reply.body]
    if reply.status >= 500 and not (reply.status == 503 and b"retry-after" in reply.headers):
        wrong.append(f"status {reply.status}: {reply.body[:300]!r}")
    if reply.status >= 400 and not is_head and not _is_envelope(reply):
        wrong.append(f"status {reply.status} without an envelope: {reply.body[:300]!r}")
    if reply.status < 400 and reply.headers.get(b"content-type", b"").startswith(b"application/json"):
        try:
            json.loads(reply.body or b"{}")
        except ValueError:
            wrong.append(f"no JSON: {reply.body[:300]!r}")
    if reply.headers.get(b"content-type", b"").startswith(b"text/event-stream") and not reply.body.endswith(b"\n\n"):
        wrong.append(f"half an event: {reply.body[-200:]!r}")
    return wrong


def _is_envelope(reply: Reply) -> bool:
    try:
        document: Any = json.loads(reply.body)
        return list(document) == ["error"] and list(document["error"]) == ["message", "type", "param", "code"]
    except (ValueError, TypeError):
        return False
