"""HTTP as it is: every byte, header and moment of a reply, with nothing retried, decoded or forgiven."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from hansard.conformance.outcome import Mismatch

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as it was sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One event of a stream without its blank line; ``at_s`` is when its last byte came, after the request."""

    raw: bytes
    at_s: float

    @property
    def payload(self) -> bytes:
        """What stands after ``data: ``; a Mismatch where the event is anything but such a line."""
        if not self.raw.startswith(b"data: ") or b"\n" in self.raw:
            raise Mismatch(expected="an event of one line, 'data: ...'", got=repr(self.raw))
        return self.raw.removeprefix(b"data: ")

    @property
    def is_done(self) -> bool:
        return self.raw == b"data: [DONE]"

    @cached_property
    def document(self) -> Document:
        return _object(self.payload, "an event with a JSON object")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back. ``arrived`` pairs seconds after the request with how many bytes had come by then.

    ``whole`` is False when the connection was cut, by either side, before the body had ended.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    arrived: tuple[tuple[float, int], ...] = ()
    whole: bool = True

    def header(self, name: str) -> str | None:
        """The first header of this name, in whatever case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @cached_property
    def document(self) -> Document:
        """The JSON object; keys in the order of the wire. A Mismatch where the body is no such thing."""
        return _object(self.body, "a JSON object")

    @property
    def error(self) -> Document:
        """What stands under ``error``; a Mismatch where that is no object."""
        error = self.document.get("error")
        if not isinstance(error, dict):
            raise Mismatch(expected='an envelope {"error": {...}}', got=self.body.decode(errors="replace"))
        return error

    @cached_property
    def frames(self) -> list[Frame]:
        """The events of a stream, ``[DONE]`` included; what stands after the last blank line is one, too."""
        found, begin = [], 0
        while begin < len(self.body):
            end = self.body.find(b"\n\n", begin)
            end = len(self.body) if end < 0 else end
            found.append(Frame(raw=self.body[begin:end], at_s=self._when(min(end + 2, len(self.body)))))
            begin = end + 2
        return found

    @property
    def chunks(self) -> list[Document]:
        """The documents of a stream, without ``[DONE]``."""
        return [frame.document for frame in self.frames if not frame.is_done]

    def _when(self, count: int) -> float:
        return next((at_s for at_s, come in self.arrived if come >= count), 0.0)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and what came of it; ``trouble`` where that was not a reply."""

    sent: Sent
    reply: Reply | None
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is. ``base_url`` ends where ``/chat/completions`` begins."""

    base_url: str
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("--base-url is not an address; write one like http://127.0.0.1:8000/v1")

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str | None],
        query: Iterable[tuple[str, str]] | str = (),
        from_root: bool = False,
    ) -> Sent:
        """A request to ``path`` below the base address; a header that is None is not sent."""
        given = {"Accept": "application/json", "User-Agent": "hansard-conformance", "Connection": "close"}
        if body is not None:
            given["Content-Type"] = "application/json"
        if self.key is not None:
            given["Authorization"] = f"Bearer {self.key}"
        merged = {**given, **headers}
        question = query if isinstance(query, str) else urlencode(list(query))
        prefix = "" if from_root else urlsplit(self.base_url).path.rstrip("/")
        return Sent(
            method=method,
            target=prefix + path + (f"?{question}" if question else ""),
            headers={name: value for name, value in merged.items() if value is not None},
            body=body,
        )

    def exchange(self, sent: Sent, *, leave_after: int | None = None) -> Reply:
        """Send it and read all that comes; ``leave_after`` closes the connection after that many events.

        Raises OSError or http.client.HTTPException where no reply comes.
        """
        connection = self._connection()
        try:
            begun = time.monotonic()
            connection.request(sent.method, sent.target, body=sent.body, headers=dict(sent.headers))
            with connection.getresponse() as response:
                return _read(response, begun, leave_after)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.base_url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=self.timeout_s)


def _read(response: http.client.HTTPResponse, begun: float, leave_after: int | None) -> Reply:
    body, arrived, whole = bytearray(), [], True
    try:
        while piece := response.read1(65536):
            body += piece
            arrived.append((time.monotonic() - begun, len(body)))
            if leave_after is not None and body.count(b"\n\n") >= leave_after:
                whole = False
                break
        whole = whole and not response.length  # a body shorter than announced ends without a word
    except (OSError, http.client.HTTPException):
        whole = False
    return Reply(
        status=response.status,
        headers=tuple(response.getheaders()),
        body=bytes(body),
        arrived=tuple(arrived),
        whole=whole,
    )


def _object(text: bytes, wanted: str) -> Document:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Mismatch(expected=wanted, got=repr(text[:500])[1:])
    return found
