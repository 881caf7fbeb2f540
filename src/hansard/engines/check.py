"""Whether targets answer, found out anew: from what their engines list, or by asking each for the start of a reply.

A list costs nothing and proves little; a reply is the proof, and an upstream may charge for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Final, Literal, TypeAlias

import msgspec

from hansard.core.quota import Demand, demand
from hansard.core.validate import Received, parse_create
from hansard.engines.base import Call, Engine
from hansard.engines.router import Target
from hansard.errors import HansardError

LIST_S: Final = 10.0
REPLY_S: Final = 60.0  # some servers load a model first
AT_ONCE: Final = 8

Answers: TypeAlias = Literal["yes", "no", "unknown"]

NO_LIST: Final = "it has no list of models for this server, so only asking it for a completion can tell"
NOT_LISTED: Final = "its list of models does not have this name"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a target answers, and in a line why it does not, or why that cannot be said."""

    answers: Answers
    reason: str = ""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The names that an engine lists now, None if it has no list; with ``trouble`` it would take no call."""

    names: Collection[str] | None = None
    trouble: str = ""


async def lists(engines: Sequence[Engine]) -> Mapping[Engine, Listed]:
    """What each lists, all asked side by side."""
    found = await asyncio.gather(*(_listed(engine) for engine in engines))
    return dict(zip(engines, found, strict=True))


def by_list(target: Target, listed: Listed) -> Finding:
    """What the list of the target's engine says of it."""
    if listed.trouble:
        return Finding(answers="no", reason=listed.trouble)
    if listed.names is None:
        return Finding(answers="unknown", reason=NO_LIST)
    # Ollama lists tags, and a name without one means this tag: https://github.com/ollama/ollama/blob/main/docs/api.md
    if target.model in listed.names or f"{target.model}:latest" in listed.names:
        return Finding(answers="yes")
    return Finding(answers="no", reason=NOT_LISTED)


async def by_reply(targets: Sequence[Target], *, authorization: str | None) -> list[Finding]:
    """Whether each begins to answer a short question; what it then still says is not waited for.

    ``authorization`` goes to those that take the client's key.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def find(target: Target) -> Finding:
        async with turns:
            return await _replied(target, authorization)

    return await asyncio.gather(*(find(target) for target in targets))


async def _listed(engine: Engine) -> Listed:
    try:
        async with asyncio.timeout(LIST_S):
            names = await engine.listed()
    except HansardError as error:
        return Listed(trouble=error.message)
    except TimeoutError:
        return Listed(trouble=f"it did not list its models within {LIST_S:g} seconds")
    health = engine.health()
    return Listed(names=names, trouble="" if health.ready else health.reason)


async def _replied(target: Target, authorization: str | None) -> Finding:
    try:
        # A stream that is left at its first chunk: a limit on the tokens would be refused by models that think first.
        async with asyncio.timeout(REPLY_S), aclosing(target.engine.stream(_question(target, authorization))) as stream:
            if await anext(stream, None) is not None:
                return Finding(answers="yes")
    except HansardError as error:
        return Finding(answers="no", reason=error.message)
    except TimeoutError:
        return Finding(answers="no", reason=f"it did not begin to answer within {REPLY_S:g} seconds")
    return Finding(answers="no", reason="its reply ended before it began")


def demand_of(target: Target) -> Demand:
    """What asking it may come to, for the limits of whoever has it asked."""
    received = _asked(target)
    return demand(received.request, body_bytes=len(received.body))


def _asked(target: Target) -> Received:
    asked = {"model": target.model, "messages": [{"role": "user", "content": "Say yes."}], "stream": True}
    return parse_create(msgspec.json.encode(asked))


def _question(target: Target, authorization: str | None) -> Call:
    received = _asked(target)
    return Call(
        request=received.request,
        document=received.document,
        model=target.model,
        seed=0,
        authorization=authorization if target.engine.takes_client_key else None,
    )
