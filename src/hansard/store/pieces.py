"""Pieces of requests in the database: added with the first body that needs one, gone with the last.

The functions run inside the caller's transaction. Where several servers write, the foreign keys keep a piece from
going while somebody stands on it: whoever collides is done again by its writer, and then finds what the other has
committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, bindparam, delete, literal, select

from hansard.core.pieces import Cut, digests
from hansard.store.codec import pack, unpack
from hansard.store.driver import fetch
from hansard.store.rows import filled, find, insert_rows
from hansard.store.schema import bodies, pieces

# Bounds the parameters of a statement.
_LOOKED_UP_AT_ONCE: Final = 500


class Ends(NamedTuple):
    """The digests of the last piece of a request's turns and of its tools, if it has some."""

    turns: bytes | None
    tools: bytes | None


class _Piece(NamedTuple):
    parent: bytes | None
    content: bytes


def add(connection: Connection, requests: Iterable[tuple[str, Cut]]) -> list[Ends]:
    """Keep the pieces of these requests, each with its project, as far as they are not there; where each one ends."""
    wanted: defaultdict[str, dict[bytes, _Piece]] = defaultdict(dict)
    ends: list[Ends] = []
    for project, parts in requests:
        tools = (parts.tools,) if parts.tools else ()
        ends.append(Ends(*(_want(wanted[project], chain) for chain in (parts.turns, tools))))
    for project, found in wanted.items():
        _insert(connection, project, found)
    return ends


def read(connection: Connection, project: str, last: bytes | None) -> tuple[bytes, ...]:
    """The contents of the chain that ends there, from its beginning."""
    if last is None:
        return ()
    contents = fetch(connection, _CHAIN, {"of_project": project, "of_digest": last})
    return tuple(unpack(content) for (content,) in contents)


def read_each(connection: Connection, project: str, wanted: Iterable[bytes | None]) -> Mapping[bytes | None, bytes]:
    """The contents of single pieces, by their digests; nothing for None."""
    digests = sorted({digest for digest in wanted if digest is not None})
    found: dict[bytes | None, bytes] = {None: b""}
    for some in _some(digests):
        rows = connection.execute(_EACH, {"of_project": project, "digests": some})
        found.update((digest, unpack(content)) for digest, content in rows)
    return found


def drop(connection: Connection, project: str, ends: Iterable[bytes | None]) -> None:
    """Let go of these pieces, and of those before them, as far as nothing stands on them any more."""
    names = {digest for digest in ends if digest is not None}
    while names:
        before: set[bytes] = set()
        for some in _some(sorted(names)):
            place = {"of_project": project, "digests": some}
            # Whoever lets go of the same pieces meanwhile has committed once they are locked; only then they are
            # looked at. SQLite has nobody else.
            if connection.dialect.name != "sqlite":
                connection.execute(_LOCK, place).all()
            # One that another of them stands on comes again as what was before that one.
            before.update(parent for parent in connection.scalars(_DROP, place) if parent is not None)
        names = before


def _want(wanted: dict[bytes, _Piece], contents: Sequence[bytes]) -> bytes | None:
    """Note a chain of pieces; the digest of its last."""
    last: bytes | None = None
    for name, content in zip(digests(contents), contents, strict=True):
        wanted[name] = _Piece(last, content)
        last = name
    return last


def _insert(connection: Connection, project: str, wanted: Mapping[bytes, _Piece]) -> None:
    if not wanted:
        return
    known = set(find(connection, pieces.c.digest, list(wanted), project=project))
    rows = [
        (project, digest, piece.parent, pack(piece.content)) for digest, piece in wanted.items() if digest not in known
    ]
    # Another server may add the same ones at this moment: it waits, and the first is as good as the second.
    insert_rows(connection, pieces, ("project", "digest", "parent", "content"), rows, or_else="ON CONFLICT DO NOTHING")


def _some(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(names), _LOOKED_UP_AT_ONCE):
        yield filled(names[start : start + _LOOKED_UP_AT_ONCE])


def _chain() -> Select[bytes]:
    """From the last piece back to the first."""
    last = select(pieces.c.project, pieces.c.parent, pieces.c.content, literal(0).label("steps")).where(
        pieces.c.project == bindparam("of_project"), pieces.c.digest == bindparam("of_digest")
    )
    chain = last.cte("chain", recursive=True)
    before = select(pieces.c.project, pieces.c.parent, pieces.c.content, chain.c.steps + 1).where(
        pieces.c.project == chain.c.project, pieces.c.digest == chain.c.parent
    )
    chain = chain.union_all(before)
    return select(chain.c.content).order_by(chain.c.steps.desc())


_CHAIN: Final = _chain()

_EACH: Final = select(pieces.c.digest, pieces.c.content).where(
    pieces.c.project == bindparam("of_project"), pieces.c.digest.in_(bindparam("digests", expanding=True))
)

_OF_DIGESTS: Final = and_(
    pieces.c.project == bindparam("of_project"), pieces.c.digest.in_(bindparam("digests", expanding=True))
)
# In one order everywhere, so that two servers wait for each other and not in a circle.
_LOCK: Final = select(literal(1)).select_from(pieces).where(_OF_DIGESTS).order_by(pieces.c.digest).with_for_update()

_after = pieces.alias("following")


def _who_stands_on(table: FromClause, column: ColumnElement[bytes]) -> ColumnElement[int]:
    """One of them. Not EXISTS: PostgreSQL makes a join of that, and may read the whole table for it."""
    one = select(literal(1)).where(table.c.project == bindparam("of_project"), column == pieces.c.digest)
    return one.limit(1).correlate(pieces).scalar_subquery()


_DROP: Final = (
    delete(pieces)
    .where(
        _OF_DIGESTS,
        *(
            _who_stands_on(table, column).is_(None)
            for table, column in (
                (bodies, bodies.c.turns),
                (bodies, bodies.c.tools),
                (_after, _after.c.parent),
            )
        ),
    )
    .returning(pieces.c.parent)
)
