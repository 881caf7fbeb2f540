"""What whoever runs the server asks of projects, keys and the audit log: parse, call, render."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from hansard.administration import NOBODY, Actor, Administration, logged
from hansard.api.exchange import LINES, Exchange
from hansard.api.front import Handler
from hansard.core.admin import KeyWanted, ProjectChange, ProjectWanted, Rotation
from hansard.departure import Departure
from hansard.errors import Forbidden, InvalidRequest
from hansard.store.base import line
from hansard.store.tenants import Entry

W = TypeVar("W")

DEFAULT_ENTRIES: Final = 100
MAX_ENTRIES: Final = 1000

# No cache on the way keeps a key.
_UNKEPT: Final = {b"cache-control": b"no-store"}

# Any page in a browser can send this server a request, and the first key shuts out everyone without one.
_OPEN: Final = (
    "This server asks for no key, so it cannot tell who may do this. Make the first key with `hansard keys create`, "
    "or set HANSARD_API_KEY."
)


def projects(administration: Administration) -> Mapping[str, Handler]:
    """/hansard/v1/projects."""

    async def create(exchange: Exchange) -> object:
        return await administration.create_project(_one_who_may(exchange), await _wanted(exchange, ProjectWanted))

    return {"GET": _answered(lambda _: administration.projects()), "POST": _answered(create)}


def project(administration: Administration, departure: Departure) -> Mapping[str, Handler]:
    """/hansard/v1/projects/{id}: DELETE closes it, and it is cleared from then on."""

    async def update(exchange: Exchange) -> object:
        change = await _wanted(exchange, ProjectChange)
        return await administration.update_project(_one_who_may(exchange), exchange.param("id"), change)

    return {
        "GET": _answered(lambda exchange: administration.project(exchange.param("id"))),
        "POST": _answered(update),
        "DELETE": _answered(lambda exchange: departure.delete(_one_who_may(exchange), exchange.param("id"))),
    }


def deletion(departure: Departure) -> Mapping[str, Handler]:
    """/hansard/v1/projects/{id}/deletion: how far it is."""
    return {"GET": _answered(lambda exchange: departure.deletion(exchange.param("id")))}


def export(departure: Departure) -> Mapping[str, Handler]:
    """/hansard/v1/projects/{id}/export: a JSON object a line, at the pace of whoever reads."""

    async def handle(exchange: Exchange) -> None:
        after = _asked(exchange).get("after")
        async with exchange.while_connected():
            records = await departure.records(_one_who_may(exchange), exchange.param("id"), after=after)
            await exchange.start_stream(LINES)
            async with aclosing(records):
                if exchange.method != "HEAD":  # whose reply has no lines
                    async for record in records:
                        await exchange.write(line(record))
            await exchange.end(b"")

    return {"GET": handle}


def keys(administration: Administration) -> Mapping[str, Handler]:
    """/hansard/v1/keys."""

    async def create(exchange: Exchange) -> object:
        return await administration.create_key(_one_who_may(exchange), await _wanted(exchange, KeyWanted))

    return {
        "GET": _answered(lambda exchange: administration.keys(_asked(exchange).get("project"))),
        "POST": _answered(create),
    }


def key(administration: Administration) -> Mapping[str, Handler]:
    """/hansard/v1/keys/{id}: DELETE revokes it; its row stays."""
    return {
        "GET": _answered(lambda exchange: administration.key(exchange.param("id"))),
        "DELETE": _answered(lambda exchange: administration.revoke_key(_one_who_may(exchange), exchange.param("id"))),
    }


def rotate(administration: Administration) -> Mapping[str, Handler]:
    """/hansard/v1/keys/{id}/rotate."""

    async def handle(exchange: Exchange) -> object:
        rotation = await _wanted(exchange, Rotation)
        return await administration.rotate_key(_one_who_may(exchange), exchange.param("id"), rotation)

    return {"POST": _answered(handle)}


def audit(administration: Administration) -> Mapping[str, Handler]:
    """/hansard/v1/audit."""

    async def handle(exchange: Exchange) -> object:
        asked = _asked(exchange)
        return await administration.audit(
            project=asked.get("project"), after=asked.get("after"), limit=_limit(asked.get("limit"))
        )

    return {"GET": _answered(handle)}


def noted(handler: Handler, act: str, administration: Administration | None) -> Handler:
    """The same handler; who reads is in the audit log before. Where no key is asked for, nobody is."""
    if administration is None:
        return handler

    async def handle(exchange: Exchange) -> None:
        if exchange.principal.key is not None:
            target = exchange.param_or("id", "")
            await administration.note_read(
                actor(exchange), act, project=exchange.principal.project, target=target[:200]
            )
        await handler(exchange)

    return handle


def entry(act: str, administration: Administration | None) -> Callable[[Exchange], Entry | None]:
    """What the audit log is to say of an act on the completion that is asked for, once it is done; or nothing."""

    def of(exchange: Exchange) -> Entry | None:
        if administration is None or exchange.principal.key is None:
            return None
        project, target = exchange.principal.project, exchange.param("id")
        return logged(actor(exchange), act, project=project, target=target, details={})

    return of


def actor(exchange: Exchange) -> Actor:
    """Who asks, for the log."""
    return Actor(name=exchange.principal.key or NOBODY, request_id=exchange.request_id)


def _one_who_may(exchange: Exchange) -> Actor:
    """Who asks for a change; Forbidden where no key is asked for."""
    if exchange.principal.key is None:
        raise Forbidden(_OPEN)
    return actor(exchange)


def _answered(act: Callable[[Exchange], Awaitable[object]]) -> Handler:
    async def handle(exchange: Exchange) -> None:
        await exchange.reply(200, msgspec.json.encode(await act(exchange)), _UNKEPT)

    return handle


async def _wanted(exchange: Exchange, kind: type[W]) -> W:
    """The body as what it is to be; InvalidRequest says which field is not."""
    try:
        return msgspec.json.decode(await exchange.body() or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"Invalid body: {error}.", code="invalid_value") from error


def _asked(exchange: Exchange) -> Mapping[str, str]:
    return dict(parse_qsl(exchange.query.decode("latin-1")))


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_ENTRIES
    # So many digits as for the lists; more than some thousands Python itself refuses to read.
    limit = int(text) if re.fullmatch("[0-9]{1,50}", text) else 0
    if not 1 <= limit <= MAX_ENTRIES:
        raise InvalidRequest(
            f"Invalid value for 'limit': expected 1 to {MAX_ENTRIES}.", param="limit", code="invalid_value"
        )
    return limit
