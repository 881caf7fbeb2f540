"""Bytes on disk for each byte of JSON: single turns, conversations that resend their history, and half and half.

Everything is counted: every table and index, free pages too, after the log was folded in (SQLite: as the store stops)
or VACUUM and CHECKPOINT (PostgreSQL, as autovacuum does beside a server). Nothing is rewritten to be smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import msgspec
from sqlalchemy import LargeBinary

from bench.numbers import table
from bench.processes import CannotRun
from bench.store.bars import at_most
from bench.store.bars import report as bars
from bench.store.corpus import Corpus, Exhausted, corpus_of
from bench.store.databases import Place, driver
from bench.store.exchanges import ANSWER, PROMPT, SHAPES, SLOTS, Shape, records
from hansard.store import migrate
from hansard.store.base import Record
from hansard.store.database import Database
from hansard.store.schema import TABLES
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite

_SEED: Final = 1

_PIECES: Final = {
    "sqlite": "SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name",
    # What is kept out of line lies in a table of its own, with an index: both are counted as their owner's.
    "postgresql": """
        SELECT coalesce(owner.relname || ' (out of line)', piece.relname) AS name,
               sum((SELECT sum(pg_relation_size(piece.oid, fork)) FROM unnest(ARRAY['main', 'fsm', 'vm']) AS fork)),
               NULL
          FROM pg_class piece
          LEFT JOIN pg_index ON pg_index.indexrelid = piece.oid
          LEFT JOIN pg_class owner ON owner.reltoastrelid IN (piece.oid, pg_index.indrelid)
         WHERE 'public'::regnamespace IN (piece.relnamespace, owner.relnamespace)
           AND piece.relkind IN ('r', 'i', 't')
         GROUP BY 1""",
}
_TOTAL: Final = """
    SELECT sum(pg_total_relation_size(oid)) FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
_LENGTH: Final = {"sqlite": "length", "postgresql": "pg_column_size"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--completions", type=int, default=4_800, help="of each data set (default 4800)")


def run(asked: argparse.Namespace, place: Place) -> dict[str, Any]:
    """Fill a new database with each data set and weigh it. Takes some two minutes for a database."""
    corpus = corpus_of(asked.completions * (PROMPT + ANSWER), seed=_SEED)
    try:
        shapes = [weigh(shape, asked.completions, place=place, corpus=corpus.copy(seed=_SEED)) for shape in SHAPES]
    except Exhausted as error:
        raise CannotRun(f"{error}: fewer --completions need less") from error
    measured = {
        "schema": migrate.HEAD,
        "completions": asked.completions,
        "shapes": shapes,
        "bars": [
            at_most(f"{shape.name}: bytes on disk for a byte of JSON", row["ratio"], shape.at_most)
            for shape, row in zip(SHAPES, shapes, strict=True)
        ],
    }
    print(report(measured), flush=True)
    return measured


def weigh(shape: Shape, count: int, *, place: Place, corpus: Corpus, is_searched: bool = False) -> dict[str, Any]:
    """Insert so many completions, as so many clients at a time would, and weigh the whole and its pieces.

    ``is_searched``: with the index of words.
    """
    place.drop("size")
    database = place.of("size")
    sent = list(records(shape, count, corpus=corpus, seed=_SEED))
    asyncio.run(_insert(SqlStore(database, search=is_searched), sent, database.place))
    raw = sum(len(record.request) + len(record.reply) for record in sent)
    text = sum(_text_bytes(record) for record in sent)
    pieces, total, bodies = _weighed(database)
    place.drop("size")
    return {
        "row": shape.name,
        "raw_bytes": raw,
        "text_bytes": text,
        "disk_bytes": total,
        "ratio": round(total / raw, 4),
        "bytes_per_completion": round(total / count),
        "bodies_bytes": bodies,
        "pieces": pieces,
    }


async def _insert(store: SqlStore, sent: Sequence[Record], where: str) -> None:
    """A slice after the other, since a turn of a conversation follows only when the one before was answered."""
    await store.start()
    try:
        for start in range(0, len(sent), SLOTS):
            await asyncio.gather(*map(store.insert, sent[start : start + SLOTS]))
        for record in sent[:: max(1, len(sent) // 50)]:
            if await store.get(record.project, record.id) != record:
                raise CannotRun(f"{where}: {record.id} did not come back as it was stored")
    finally:
        await store.stop()


def _weighed(database: Database) -> tuple[list[dict[str, Any]], int, int]:
    """Bytes of each table and index, largest first; of everything; of the columns of bodies, as they are kept."""
    with driver(database.engine_for_writing()) as connection:
        if isinstance(database, Sqlite):
            kind = "sqlite"
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            total = sum(file.stat().st_size for file in database.path.parent.iterdir() if file.suffix != ".db-shm")
        else:
            kind = "postgresql"
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
            total = int(connection.execute(_TOTAL).fetchone()[0])
        rows = connection.execute(_PIECES[kind]).fetchall() if kind != "sqlite" or tells_pieces() else []
        bodies = sum(int(connection.execute(query).fetchone()[0]) for query in _of_bodies(_LENGTH[kind]))
    pieces = [
        {"name": name, "bytes": int(size), "unused_bytes": None if unused is None else int(unused)}
        for name, size, unused in rows
    ]
    return sorted(pieces, key=lambda piece: -piece["bytes"]), total, bodies


def tells_pieces() -> bool:
    """Whether this SQLite was built with the table that says what each table and index takes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return ("ENABLE_DBSTAT_VTAB",) in connection.execute("PRAGMA compile_options")


def _of_bodies(length: str) -> list[str]:
    """A query for each table that has columns of bytes: how many bytes they take."""
    columns = {
        each.name: [column.name for column in each.c if isinstance(column.type, LargeBinary)]
        for each in TABLES.sorted_tables
    }
    return [
        f"SELECT coalesce(sum({' + '.join(f'coalesce({length}({name}), 0)' for name in names)}), 0) FROM {of}"
        for of, names in columns.items()
        if names
    ]


def _text_bytes(record: Record) -> int:
    """What of its JSON is what somebody said."""
    request, reply = msgspec.json.decode(record.request), msgspec.json.decode(record.reply)
    said = [message["content"] for message in request["messages"]]
    return sum(len(text.encode()) for text in [*said, reply["choices"][0]["message"]["content"]])


def report(measured: Mapping[str, Any]) -> str:
    """The tables."""
    rows = [_row(shape, measured["completions"]) for shape in measured["shapes"]]
    head = ("data set", "completions", "JSON KB each", "of it text", "disk bytes each", "disk/JSON", "bodies/JSON")
    pieces = [_pieces(shape, measured["completions"]) for shape in measured["shapes"]]
    return "\n\n".join([f"Schema {measured['schema']}.", table(head, rows), *pieces, bars(measured["bars"])])


def _row(shape: Mapping[str, Any], count: int) -> tuple[str, ...]:
    raw = shape["raw_bytes"]
    return (
        shape["row"],
        f"{count:,}",
        f"{raw / count / 1000:.1f}",
        f"{shape['text_bytes'] / raw:.0%}",
        f"{shape['bytes_per_completion']:,}",
        f"{shape['ratio']:.2f}",
        f"{shape['bodies_bytes'] / raw:.2f}",
    )


def _pieces(shape: Mapping[str, Any], count: int) -> str:
    """What takes the room: whatever takes a hundredth of it."""
    rows = [
        (
            piece["name"],
            f"{piece['bytes'] / count:,.0f}",
            f"{piece['bytes'] / shape['disk_bytes']:.0%}",
            "" if piece["unused_bytes"] is None else f"{piece['unused_bytes'] / count:,.0f}",
        )
        for piece in shape["pieces"]
        if piece["bytes"] >= 0.01 * shape["disk_bytes"]
    ]
    return table((f"{shape['row']}: table or index", "bytes a completion", "share", "of it empty"), rows)
