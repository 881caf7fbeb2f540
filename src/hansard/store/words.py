"""The index of words, there while search is on: kept with every change, and caught up with what was stored before.

SQLite has it as a full-text table that keeps no text (FTS5), PostgreSQL as a table of word lists with an index over
them (tsvector, GIN). Both are given the words of ``core.words`` and take nothing for syntax, and both have a mark of
the project among the words, so that one project's search never walks another's completions.

The functions run inside the caller's transaction. ``search_state.pending``: on SQLite the numbers below it are not in
the index yet; on PostgreSQL it is 1 while some may not be. Facts: https://sqlite.org/fts5.html and
https://www.postgresql.org/docs/current/textsearch.html.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, MetaData, Select, Table, bindparam, func, inspect, select, text, tuple_

from hansard.core.words import VERSION, words_of
from hansard.store import queries
from hansard.store.base import Record
from hansard.store.rows import filled, insert_rows
from hansard.store.schema import bodies, completions

KEPT: Final = "hansard_search"
"""The option of an engine whose changes keep the index."""

# So many are indexed in one transaction: it holds up others for some 30 ms.
_INDEXED_AT_ONCE: Final = 32

# A step of some 4 ms: so many pages of 4 KB are written.
MERGED_AT_ONCE: Final = 16
_MERGE: Final = "INSERT INTO search_words (search_words, rank) VALUES ('merge', ?)"

# PostgreSQL takes no position beyond, and of a word no more than so many.
_LAST_POSITION: Final = 16_383
_MOST_POSITIONS: Final = 255


class Place(NamedTuple):
    """Of a completion, in the order in which the index is caught up."""

    project: str
    number: int


_STATE: Final = "search_state"
_MAKE: Final = {
    "sqlite": (
        "CREATE VIRTUAL TABLE search_words USING fts5"
        "(project, words, content='', tokenize='unicode61 remove_diacritics 0')",
        f"CREATE TABLE {_STATE} (version INTEGER NOT NULL, pending INTEGER NOT NULL)",
    ),
    "postgresql": (
        "CREATE TABLE search_words (project TEXT NOT NULL, number BIGINT NOT NULL, words TSVECTOR NOT NULL, "
        "PRIMARY KEY (project, number), CONSTRAINT search_words_of_completion FOREIGN KEY (project, number) "
        "REFERENCES completions (project, number) ON DELETE CASCADE)",
        "CREATE INDEX search_words_by_word ON search_words USING gin (words)",
        f"CREATE TABLE {_STATE} (version INTEGER NOT NULL, pending BIGINT NOT NULL)",
    ),
}
_DROP: Final = ("DROP TABLE search_words", f"DROP TABLE {_STATE}")

# Only for its names: what each database makes of it is above.
WORDS: Final = Table("search_words", MetaData(), Column("rowid"), Column("project"), Column("number"), Column("words"))
_state: Final = Table(_STATE, MetaData(), Column("version"), Column("pending"))

# FTS5's own: one row for each that it has.
_SIZES: Final = Table("search_words_docsize", MetaData(), Column("id"))
_REMOVE: Final = (
    WORDS.delete()
    .where(WORDS.c.project == bindparam("of_project"), WORDS.c.number.in_(bindparam("numbers", expanding=True)))
    .returning(WORDS.c.number)
)
_INDEXED: Final = select(_SIZES.c.id).where(_SIZES.c.id.in_(bindparam("numbers", expanding=True)))


def prepare(connection: Connection, *, on: bool) -> None:
    """Make the index there if it is to be kept, or see to it that a stale one is taken for none.

    SQLite's goes when search is turned off: nobody would take the deleted out of it. PostgreSQL's takes them out by
    itself, and other servers may still use it, so it stays and is caught up when search is turned on again.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    is_there = exists(connection)
    if on and is_there and connection.scalar(select(_state.c.version)) == VERSION:
        return
    if is_there and not on and not is_sqlite:
        connection.execute(_state.update().values(pending=1))
    elif is_there:
        _run(connection, _DROP)
    if on:
        _run(connection, _MAKE[connection.dialect.name])
        newest = connection.scalar(select(func.max(completions.c.number))) or 0
        below = newest + 1 if is_sqlite else 1
        connection.execute(_state.insert(), {"version": VERSION, "pending": below if newest else 0})


def exists(connection: Connection) -> bool:
    """Whether there is an index, be it whole or not."""
    return inspect(connection).has_table(_STATE)


def is_current(connection: Connection) -> bool:
    """Whether there is one of this version: what is deleted must be taken out of it."""
    return exists(connection) and connection.scalar(select(_state.c.version)) == VERSION


def is_kept(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(KEPT, False))


def add(connection: Connection, numbered: Iterable[tuple[int, Record]]) -> None:
    """Put these into the index, if it is kept."""
    if not is_kept(connection):
        return
    made = [(number, each.project, words_of(each.request, each.reply)) for number, each in numbered]
    if connection.dialect.name == "sqlite":
        rows: list[tuple[object, ...]] = [(number, mark(project), " ".join(words)) for number, project, words in made]
        insert_rows(connection, WORDS, ("rowid", "project", "words"), rows)
    else:
        rows = [(project, number, _listed(project, words)) for number, project, words in made]
        insert_rows(connection, WORDS, ("project", "number", "words"), rows, or_else="ON CONFLICT DO NOTHING")


def remove(connection: Connection, project: str, numbers: Sequence[int], *, even_if_off: bool = False) -> Sequence[int]:
    """Take these out of the index, while their bodies are still whole: FTS5 must be told again what it was given.

    Which of them it took. ``even_if_off``: also out of one that PostgreSQL has and nobody keeps; what is deleted
    goes from there by itself.
    """
    is_postgresql = connection.dialect.name == "postgresql"
    if not is_kept(connection) and not (even_if_off and is_postgresql and exists(connection)):
        return ()
    if is_postgresql:
        return connection.scalars(_REMOVE, {"of_project": project, "numbers": filled(numbers)}).all()
    there = connection.scalars(_INDEXED, {"numbers": filled(numbers)}).all()
    readable = _readable(connection, project, there)
    rows = [
        ("delete", number, mark(project), " ".join(words_of(each.request, each.reply))) for number, each in readable
    ]
    insert_rows(connection, WORDS, ("search_words", "rowid", "project", "words"), rows)
    return [number for number, _ in readable]


def put_back(connection: Connection, project: str, numbers: Sequence[int]) -> None:
    """Index what is left of these, which were removed."""
    add(connection, _readable(connection, project, numbers))


def merge(connection: Connection, *, anew: bool) -> bool:
    """Write some of SQLite's index without what was deleted from it; whether there may be more. ``anew``: the first.

    FTS5 only marks what is deleted, and its words stay in the file, in their order, until the part that has them is
    merged with that of the marks.
    """
    if connection.dialect.name != "sqlite" or not is_kept(connection):
        return False
    return merge_some(connection.connection.driver_connection, anew=anew)


def merge_some(driver: Any, *, anew: bool, pages: int = MERGED_AT_ONCE) -> bool:
    """The same, told to the driver: https://sqlite.org/fts5.html#the_merge_command."""
    before = driver.total_changes
    driver.execute(_MERGE, (-pages if anew else pages,))
    return bool(driver.total_changes - before > 1)


def missing(connection: Connection, before: Place | None) -> list[Place]:
    """Some completions that are not in the index, the newest of those before that place."""
    found = select(completions.c.project, completions.c.number).limit(_INDEXED_AT_ONCE)
    if connection.dialect.name == "sqlite":
        found = found.where(completions.c.number < pending(connection)).order_by(completions.c.number.desc())
    else:
        key = tuple_(completions.c.project, completions.c.number)
        there = select(WORDS.c.number).where(
            WORDS.c.project == completions.c.project, WORDS.c.number == completions.c.number
        )
        found = found.where(there.correlate(completions).scalar_subquery().is_(None))
        found = found.order_by(completions.c.project.desc(), completions.c.number.desc())
        if before is not None:
            found = found.where(key < tuple_(*before))
    return [Place(*row) for row in connection.execute(found)]


def catch_up(connection: Connection, places: Sequence[Place]) -> None:
    """Put these completions into the index, as far as they are still there; none of them: all are in it."""
    by_project: defaultdict[str, list[int]] = defaultdict(list)
    below = pending(connection)
    is_sqlite = connection.dialect.name == "sqlite"
    for project, number in places:
        if number < below or not is_sqlite:
            by_project[project].append(number)
    for project, numbers in by_project.items():
        add(connection, _readable(connection, project, numbers))
    if not places:
        connection.execute(_state.update().values(pending=0))
    elif is_sqlite:
        connection.execute(_state.update().values(pending=min(below, *(number for _, number in places))))


_HAS_BODY: Final = select(bodies.c.number).where(bodies.c.number == _SIZES.c.id)
_IS_INDEXED: Final = select(_SIZES.c.id).where(_SIZES.c.id == completions.c.number)


def misplaced(connection: Connection) -> Iterator[str]:
    """The ids of completions that SQLite's index misses, and the numbers of those that it has and that are gone."""
    if connection.dialect.name != "sqlite" or not exists(connection):
        return
    missed = (
        select(completions.c.id)
        .join_from(completions, bodies, bodies.c.number == completions.c.number)
        .where(
            completions.c.number >= pending(connection),
            ~_IS_INDEXED.exists(),
        )
    )
    yield from connection.scalars(missed)
    gone: Select[Any] = select(_SIZES.c.id).where(~_HAS_BODY.exists())
    yield from (f"number {number}" for number in connection.scalars(gone))


def pending(connection: Connection) -> int:
    return connection.scalar(select(_state.c.pending)) or 0


def mark(project: str) -> str:
    """One word that stands for the project, whatever it is called."""
    return f"p{blake2b(project.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"


def _listed(project: str, words: Iterable[str]) -> str:
    """A tsvector as PostgreSQL reads it. No word has an equals sign, so none is a project's mark."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for position, word in enumerate(words, 1):
        positions = places[word]
        if len(positions) < _MOST_POSITIONS:
            positions.append(str(min(position, _LAST_POSITION)))
    return " ".join([f"'={mark(project)}'", *(f"'{word}':{','.join(at)}" for word, at in places.items())])


def _readable(connection: Connection, project: str, numbers: Sequence[int]) -> list[tuple[int, Record]]:
    """Those of the completions whose bodies are there and sound, with their numbers."""
    found: list[tuple[int, Record]] = []
    for number in numbers:
        try:
            found += [(number, each) for each in queries.by_numbers(connection, project, [number], whole=True)]
        except (ValueError, KeyError):
            continue  # damaged: `hansard db check` tells of it
    return found


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(text(statement))
