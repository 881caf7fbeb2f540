"""The client commands' only way to a server: HTTP as the API speaks it, with the standard library.

Whatever can go wrong on the way becomes one ``CommandError`` with what to do about it.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from hansard import __version__
from hansard.cli.exits import FAILED, NOT_AUTHORISED, NOT_FOUND, USAGE, CommandError
from hansard.printable import address, printable

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 600
PAGE = 100

EXIT_CODES = {401: NOT_AUTHORISED, 403: NOT_AUTHORISED, 404: NOT_FOUND}


class Server:
    """A chat completions server. ``base_url`` ends where ``/chat/completions`` begins."""

    def __init__(self, base_url: str, *, key: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._parts = urlsplit(self.base_url)
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise CommandError(
                f"{address(base_url)} is not an address; write one like http://127.0.0.1:8000/v1",
                exit_code=USAGE,
            )
        self._headers = _headers(key)

    def get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
        """The JSON object at ``path``."""
        return self._ask("GET", _asked(path, query))

    def post(self, path: str, document: Mapping[str, Any], query: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
        """What the server answers to ``document``."""
        return self._ask("POST", _asked(path, query), document)

    def delete(self, path: str) -> dict[str, Any]:
        """What the server says after deleting."""
        return self._ask("DELETE", path)

    def stream(self, path: str, document: Mapping[str, Any]) -> Generator[dict[str, Any], None, None]:
        """The chunks of a streamed answer. Closing the iterator leaves the server, which may then stop."""
        from hansard.core.sse import Decoder

        with self._reply("POST", path, document) as reply:
            decoder = Decoder()
            while read := reply.read1(65536):
                for payload in decoder.feed(read):
                    if payload == b"[DONE]":
                        return
                    yield _chunk(payload)
        raise CommandError("The answer broke off: the server ended the stream without [DONE].")

    def lines(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Iterator[bytes]:
        """The lines at ``path``, each with its end; CommandError if they break off."""
        pieces: list[bytes] = []
        with self._reply("GET", _asked(path, query)) as reply:
            while read := reply.read1(65536):
                for piece in read.splitlines(keepends=True):
                    pieces.append(piece)
                    if piece.endswith(b"\n"):
                        yield b"".join(pieces)
                        pieces.clear()
        if pieces:
            raise CommandError("The answer broke off in the middle of a line.")

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self._reply(method, path, document) as reply:
            return self._object(reply.read())

    @contextmanager
    def _reply(
        self, method: str, path: str, document: Mapping[str, Any] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        body = None if document is None else json.dumps(document, ensure_ascii=False).encode()
        connection = self._connection()
        try:
            connection.connect()
            connection.sock.settimeout(READ_TIMEOUT_S)
            connection.request(method, self._parts.path + path, body=body, headers=self._headers)
            with connection.getresponse() as reply:
                if reply.status >= 300:
                    raise _refusal(reply)
                yield reply
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(self._no_answer(error)) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT_S)
        return http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_S)

    def _object(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CommandError(f"{self.base_url} answers, but not with the API's JSON. Is this its address?")
        return found

    def _no_answer(self, error: Exception) -> str:
        match error:
            case ConnectionRefusedError():
                return f"Nothing answers at {self.base_url}. Is `hansard serve` running?"
            case socket.gaierror():
                return f"No machine is called {self._parts.hostname}; check --base-url and OPENAI_BASE_URL."
            case TimeoutError():
                return f"{self.base_url} did not answer in time."
            case ssl.SSLError():
                return f"No secure connection to {self.base_url}: {error.reason}"
            case http.client.HTTPException() | ConnectionError():
                return f"{self.base_url} broke the connection off."
        return f"Cannot talk to {self.base_url}: {error}"


def connect(base_url: str, key_file: str | None) -> Server:
    """The server these options and OPENAI_API_KEY speak of."""
    if key_file is None:
        return Server(base_url, key=os.environ.get("OPENAI_API_KEY"))
    try:
        with open(key_file, encoding="utf-8") as file:
            return Server(base_url, key=file.read().strip())
    except OSError as error:
        raise CommandError(f"--api-key-file: cannot read {key_file}: {error.strerror}.") from error


class Listing:
    """The objects of a list, page after page, at most ``limit`` of them; afterwards it knows what it gave."""

    def __init__(
        self, server: Server, path: str, query: Iterable[tuple[str, str]], *, after: str | None, limit: int | None
    ) -> None:
        self._server = server
        self._path = path
        self._query = list(query)
        self._after = after
        self._left = limit
        self.first_id: str | None = None
        self.last_id: str | None = None
        self.more = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            page = self._page()
            for found in page:
                self.first_id = self.first_id or found["id"]
                self.last_id = self._after = found["id"]
                yield found
            if not self.more or self._left == 0:
                return

    def document(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        """What was given, in the form of one page."""
        ids = {"first_id": self.first_id, "last_id": self.last_id}
        return {"object": "list", "data": found, **ids, "has_more": self.more}

    def _page(self) -> list[dict[str, Any]]:
        size = PAGE if self._left is None else min(PAGE, self._left)
        after = [("after", self._after)] if self._after else []
        page = self._server.get(self._path, [*self._query, *after, ("limit", str(size))])
        found: list[dict[str, Any]] = page.get("data") or []
        self.more = bool(page.get("has_more")) and bool(found)
        if self._left is not None:
            self._left = max(0, self._left - len(found))
        return found


def segment(word: str) -> str:
    """One segment of a path, whatever the id looks like."""
    return quote(word, safe="")


def _asked(path: str, query: Iterable[tuple[str, str]]) -> str:
    question = urlencode(list(query))
    return f"{path}?{question}" if question else path


def _headers(key: str | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"hansard/{__version__}",
        "Connection": "close",
    }
    if key:
        headers["Authorization"] = f"Bearer {key}"
    for name, variable in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
        if value := os.environ.get(variable):
            headers[name] = value
    return headers


def _chunk(payload: bytes) -> dict[str, Any]:
    try:
        chunk = json.loads(payload)
    except ValueError as error:
        raise CommandError("The answer broke off: the server sent something that is not JSON.") from error
    if isinstance(chunk, dict) and "error" not in chunk:
        return chunk
    raise CommandError(_message(chunk) or "The server reported an error without saying which.")


def _refusal(reply: http.client.HTTPResponse) -> CommandError:
    try:
        envelope = json.loads(reply.read())
    except ValueError:
        envelope = None
    message = _message(envelope) or f"The server answered {reply.status} {reply.reason}."
    request_id = reply.headers.get("x-request-id")
    trace = f"\nStatus {reply.status}" + (f", request {request_id}" if request_id else "")
    return CommandError(message + trace, exit_code=EXIT_CODES.get(reply.status, FAILED))


def error_in(line: bytes) -> str | None:
    """What a line says that is an error envelope and none of those that were asked for."""
    if not line.startswith(b'{"error":'):
        return None
    return _message(json.loads(line)) or "The server reported an error without saying which."


def _message(envelope: object) -> str | None:
    """The text of an error envelope; upstreams may send the error as a mere string."""
    error = envelope.get("error") if isinstance(envelope, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return printable(message) if isinstance(message, str) and message else None
