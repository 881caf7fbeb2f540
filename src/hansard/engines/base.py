"""The seam between Hansard and whatever answers: what an engine is given and what it gives back.

An engine never sees the store or the project, nor a client's key unless it is told to pass it on.
It knows neither ids nor time: the caller stamps ``id``, ``object``, ``created`` and ``model`` on
whatever comes out of here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest
from hansard.core.spelled import Spelled
from hansard.errors import InvalidRequest

Chunks: TypeAlias = list[Document | Spelled]
"""Chunks that came together, in order; they may leave together. One that only passes through may stay as spelled.
Whoever takes them empties the list: a slow client keeps the engine waiting for long, and nothing is to wait twice."""


Taker: TypeAlias = Callable[[Chunks], bool]
"""Takes chunks, or says that it cannot just now and leaves them as they are."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request on its way to one engine.

    ``request`` is what was checked; ``document`` is the request as received, top-level values
    still in the client's own spelling. ``model`` is the name the engine itself goes by, and
    ``seed`` (an int64) is always set: the client's own, or one drawn for this call.
    ``authorization`` is the client's header, for engines that take it; ``headers`` are others for one elsewhere,
    none of them the client's. ``taken_up`` is to be called when it has waited for a place and the work
    on it begins, at each try if there are several.

    ``taker`` spares a task its turn for each chunk: chunks that come while the stream is waited for, behind its first,
    may be given to it where they come, and are not yielded if it takes them. What it raises ends the stream.
    """

    request: ChatRequest
    document: dict[str, msgspec.Raw]
    model: str
    seed: int
    authorization: str | None = None
    headers: Mapping[str, str] = {}
    taken_up: Callable[[], None] = lambda: None
    taker: Taker | None = None


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as ``GET /models`` shows it. ``created`` is unix seconds."""

    id: str
    created: int
    owned_by: str
    description: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an engine would take a call now, and in a line why not; ``elsewhere`` if it is not ours to keep up.

    ``state`` tells more, in a word: ``open`` and ``half-open`` are a breaker's, ``failing`` has not answered lately.
    """

    ready: bool
    reason: str = ""
    elsewhere: bool = False
    state: Literal["up", "failing", "half-open", "open"] = "up"


class Engine(Protocol):
    """Something that answers chat requests.

    Both ways give documents with their keys in wire order and without the four stamped keys.
    ``stream`` yields chunk documents (``{"service_tier", "system_fingerprint", "choices"}``)
    as they are born, those that come together as one sequence, and last, whether asked for or
    not, one with ``choices: []`` and ``usage`` where the engine can count. Closing the generator
    cancels the work. Failures are ``HansardError``. For greedy requests
    ``accumulate(stream(call)) == complete(call)``. An engine that knows the resolved name of the
    model, or the id that somebody else gave the completion, adds ``model`` or ``id``.
    """

    name: str
    takes_any_model: bool
    """Whether it answers for names it does not list."""
    takes_unknown_parameters: bool
    """Whether fields outside the contract mean something to it; elsewhere they are refused by name."""
    takes_client_key: bool
    """Whether it is given the client's Authorization; no other engine ever sees a key."""

    def models(self) -> Sequence[ServedModel]:
        """What it serves now. Never waits."""

    async def listed(self) -> Collection[str] | None:
        """The names it serves, found out anew; None if it has no list for us."""

    async def start(self) -> None:
        """Return once it can answer; raise ``StartupError`` if it never will."""

    async def stop(self) -> None:
        """Cancel what runs, then let go of every resource."""

    def health(self) -> Health:
        """Whether it would take a call now. Never waits."""

    def refusals(self, request: ChatRequest) -> Iterable[InvalidRequest]:
        """What it would refuse for a field it does not support, as far as it can say at once. Never waits.

        Asked of requests that have another mistake, to tell which comes first.
        """

    async def complete(self, call: Call) -> Document:
        """The whole completion, keys from ``choices`` on."""

    def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        """The completion chunk by chunk."""
