"""What a check holds in its hands: a way to ask the server, and completions of its own to ask for.

Every stored completion carries a mark in its metadata, so a check finds its own among other people's,
in any order and beside any other check; what was stored is deleted at the end.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from hansard.conformance import expect
from hansard.conformance.checks import Check, Operation
from hansard.conformance.outcome import Mismatch, NotApplicable
from hansard.conformance.wire import Address, Document, Exchange, Reply, Sent

COMPLETIONS = "/chat/completions"
MARK = "hansard-conformance"
UNKNOWN_ID = "chatcmpl-conformanceUnknown00000000000"

SHELF = 22
FIRST_HALF = 3

SETTLE_S = 5.0

ABSENT = (404, 405, 501)
REFUSED_BY_NAME = ("unsupported_parameter", "unsupported_value")

Query = Iterable[tuple[str, str]] | str


class NoReply(Exception):
    """The connection failed; ``exchange`` says at which request."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.trouble)
        self.exchange = exchange


class Session:
    """One run against one server: the model to ask, what the server has at all, and what is to be cleaned up.

    ``shelf`` is for runs that share one; else it is made when it is first asked for.
    """

    def __init__(self, address: Address, *, model: str, shelf: list[Document] | None = None) -> None:
        self.address = address
        self.model = model
        self.run_id = uuid.uuid4().hex
        self._stored: list[str] = []
        self._absent: dict[Operation, str] = {}
        self._shelf = shelf
        self._lock = threading.RLock()

    def probe(self, check: Check | None = None) -> Probe:
        """A fresh one, with a mark of its own."""
        return Probe(self, check)

    def remember(self, completion_id: str) -> None:
        """Delete this one at the end."""
        with self._lock:
            self._stored.append(completion_id)

    def clean_up(self) -> None:
        """Delete what was stored; a server that cannot keeps it."""
        stored, self._stored = self._stored, []
        with suppress(NoReply):
            if stored and self.absence("delete") is None:
                for completion_id in stored:
                    self.probe().delete(completion_id)

    def absence(self, operation: Operation) -> str | None:
        """Why this operation counts as absent, or None; tried once per run."""
        with self._lock:
            if operation not in self._absent:
                try:
                    self._absent[operation] = _absence(self.probe(), operation)
                except Mismatch as mismatch:
                    self._absent[operation] = str(mismatch)
            return self._absent[operation] or None

    def shelf(self) -> list[Document]:
        """Stored completions that checks may read and never change, oldest first; made once per run."""
        with self._lock:
            if self._shelf is None:
                self._shelf = _fill_shelf(self.probe())
            return self._shelf


class Probe:
    """Asks one server on behalf of one check, and keeps what was said for the report."""

    def __init__(self, session: Session, check: Check | None = None) -> None:
        self.session = session
        self.model = session.model
        self.mark = f"{session.run_id[:8]}-{uuid.uuid4().hex}"
        self.exchanges: list[Exchange] = []
        self._demands = check.demands if check else frozenset()

    # Requests

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
        query: Query = (),
        from_root: bool = False,
        leave_after: int | None = None,
    ) -> Reply:
        """One request, one reply, whatever its status.

        ``body`` is sent as it is when it is bytes, else as JSON; a string ``query`` is sent as it is, pairs are
        encoded. ``from_root`` takes the path from the host instead of the base address. ``leave_after`` closes
        the connection after so many events of a stream.
        """
        content = body if body is None or isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        sent = self.session.address.request(
            method, path, body=content, headers=headers or {}, query=query, from_root=from_root
        )
        try:
            reply = self.session.address.exchange(sent, leave_after=leave_after)
        except (OSError, http.client.HTTPException) as error:
            exchange = Exchange(sent=sent, reply=None, trouble=f"{type(error).__name__}: {error}")
            self.exchanges.append(exchange)
            raise NoReply(exchange) from error
        self.exchanges.append(Exchange(sent=sent, reply=reply))
        self._remember(sent, reply, body)
        return reply

    def create(self, *, headers: Mapping[str, str | None] | None = None, **fields: Any) -> Reply:
        """POST a create request: a short question to the run's model, and these fields over it. ``...`` drops one."""
        return self.send("POST", COMPLETIONS, body=self.question(**fields), headers=headers)

    def question(self, **fields: Any) -> Document:
        """The body that ``create`` sends."""
        ours = {"model": self.model, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}
        if "max_completion_tokens" in fields:
            del ours["max_tokens"]
        return {key: value for key, value in {**ours, **fields}.items() if value is not ...}

    def get(self, completion_id: str, path: str = "", *, query: Query = ()) -> Reply:
        """GET a stored completion, or what lies below it (``/messages``)."""
        return self.send("GET", f"{COMPLETIONS}/{quote(completion_id, safe='')}{path}", query=query)

    def list(self, query: Query = ()) -> Reply:
        """GET the list, with this query and no other."""
        return self.send("GET", COMPLETIONS, query=query)

    def update(self, completion_id: str, body: object) -> Reply:
        """POST to a stored completion."""
        return self.send("POST", f"{COMPLETIONS}/{quote(completion_id, safe='')}", body=body)

    def delete(self, completion_id: str) -> Reply:
        """DELETE a stored completion."""
        return self.send("DELETE", f"{COMPLETIONS}/{quote(completion_id, safe='')}")

    # Requests that must succeed

    def accept(self, reply: Reply) -> Reply:
        """The reply if it is a 200; not applicable if it refuses by name what the check demands; else a Mismatch."""
        self.excuse(reply)
        return expect.status(reply, 200)

    def excuse(self, reply: Reply) -> None:
        """Not applicable if the reply refuses by name what the check demands."""
        if reply.status == 400 and (refused := self._refused_by_name(reply)):
            raise NotApplicable(refused)

    def created(self, *, headers: Mapping[str, str | None] | None = None, **fields: Any) -> Document:
        """The completion that a create request makes."""
        return self.accept(self.create(headers=headers, **fields)).document

    def streamed(self, *, headers: Mapping[str, str | None] | None = None, **fields: Any) -> Reply:
        """The reply to a create request with ``stream: true``; see ``Reply.frames`` and ``Reply.chunks``."""
        return self.accept(self.create(headers=headers, stream=True, **fields))

    def stored(self, *, metadata: Mapping[str, str] | None = None, **fields: Any) -> Document:
        """The completion that a create request makes and stores, with the check's mark in its metadata.

        Waits a while until get knows it: that reads lag behind writes fails the checks on that alone.
        """
        made = self.created(store=True, metadata={MARK: self.mark, **(metadata or {})}, **fields)
        if self.session.absence("get") is None:
            late = time.monotonic() + SETTLE_S
            while self.get(str(made.get("id"))).status != 200 and time.monotonic() < late:
                time.sleep(0.1)
        return made

    def kept(self, completion_id: str) -> Document:
        """A stored completion as get tells it."""
        return self.accept(self.get(completion_id)).document

    def mine(self, *query: tuple[str, str]) -> Document:
        """A page of the list with this check's completions only, and this further query."""
        return self.accept(self.list([(f"metadata[{MARK}]", self.mark), *query])).document

    def on_shelf(self, *query: tuple[str, str]) -> Document:
        """A page of the list with the shelf's completions only, and this further query."""
        mark = self.session.shelf()[0]["metadata"][MARK]
        return self.accept(self.list([(f"metadata[{MARK}]", mark), *query])).document

    def _refused_by_name(self, reply: Reply) -> str | None:
        try:
            error = reply.error
        except Mismatch:
            return None
        named = str(error.get("param") or "").replace("[", ".").split(".")[0]
        if error.get("code") in REFUSED_BY_NAME and named in self._demands:
            return f"refused by name: {error.get('message')}"
        return None

    def _remember(self, sent: Sent, reply: Reply, body: object) -> None:
        is_create = sent.method == "POST" and sent.target.rstrip("/").endswith(COMPLETIONS)
        if not (is_create and reply.status == 200 and isinstance(body, dict) and body.get("store") is True):
            return
        with suppress(Mismatch, IndexError):
            first = reply.frames[0].document if body.get("stream") is True else reply.document
            if isinstance(first.get("id"), str):
                self.session.remember(first["id"])


def _absence(probe: Probe, operation: Operation) -> str:
    """Empty if the operation is there."""
    match operation:
        case "http" | "create":
            reply = probe.create()
        case "stream":
            reply = probe.create(stream=True)
            if not (reply.header("content-type") or "").startswith("text/event-stream"):
                return "stream is absent: no text/event-stream came"
        case "models":
            reply = probe.send("GET", "/models")
        case "list":
            reply = probe.list()
        case _:
            completion_id = str(probe.created(store=True).get("id"))
            reply = {
                "get": lambda: probe.get(completion_id),
                "messages": lambda: probe.get(completion_id, "/messages"),
                "update": lambda: probe.update(completion_id, {"metadata": {}}),
                "delete": lambda: probe.delete(completion_id),
            }[operation]()
    if reply.status in ABSENT:
        last = probe.exchanges[-1].sent
        return f"{operation} is absent: {last.method} {last.target} answered {reply.status}"
    return ""


def _fill_shelf(probe: Probe) -> list[Document]:
    """More than a default page of completions, over two seconds at least: ``half`` is one for three of them."""
    shelf = []
    for number in range(SHELF):
        if number == FIRST_HALF:
            time.sleep(1.1)  # created counts whole seconds
        metadata = {MARK: probe.mark, "half": "one" if number < FIRST_HALF else "two", "number": str(number)}
        shelf.append({**probe.stored(metadata=metadata, max_tokens=1), "metadata": metadata})
    return shelf
