"""Rows are inserted whole, whatever their number, and tell what was asked of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, exc, select

from hansard.store.rows import delete_rows, filled, find, insert_rows
from tests.store.statements import listen

WORDS = Table("words", MetaData(), Column("number", Integer, primary_key=True), Column("word", Text, unique=True))


@pytest.fixture
def connection() -> Iterator[Connection]:
    with create_engine("sqlite://").begin() as connection:
        WORDS.create(connection)
        yield connection


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_every_row_is_inserted_and_numbered(connection: Connection, count: int) -> None:
    words = [f"word {number}" for number in range(count)]

    returned = insert_rows(connection, WORDS, ("word",), [(word,) for word in words], returning=("word", "number"))

    assert sorted(returned, key=lambda row: row[1]) == [(word, number) for number, word in enumerate(words, 1)]
    assert connection.scalars(select(WORDS.c.word).order_by(WORDS.c.number)).all() == words


def test_nothing_is_returned_unasked(connection: Connection) -> None:
    assert insert_rows(connection, WORDS, ("number", "word"), [(7, "a")]) == []
    assert connection.execute(select(WORDS)).all() == [(7, "a")]


def test_a_value_is_never_read_as_sql(connection: Connection) -> None:
    insert_rows(connection, WORDS, ("word",), [("'); DROP TABLE words; --",), ("?",), ("%s",)])
    assert connection.scalars(select(WORDS.c.word).order_by(WORDS.c.number)).all() == [
        "'); DROP TABLE words; --",
        "?",
        "%s",
    ]


def test_a_conflict_is_told_as_by_any_statement(connection: Connection) -> None:
    with pytest.raises(exc.IntegrityError):
        insert_rows(connection, WORDS, ("word",), [("a",), ("a",)])


@pytest.mark.parametrize("count", [0, 1, 64, 65, 200])
def test_every_row_that_is_named_is_deleted_and_no_other(connection: Connection, count: int) -> None:
    insert_rows(connection, WORDS, ("number", "word"), [(number, f"word {number}") for number in range(count + 2)])

    delete_rows(connection, WORDS, ("number", "word"), [(number, f"word {number}") for number in range(count)])
    delete_rows(connection, WORDS, ("number", "word"), [(count, "another word")])

    assert connection.scalars(select(WORDS.c.number)).all() == [count, count + 1]


@pytest.mark.parametrize(("count", "is_filled_to"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (33, 64), (64, 64)])
def test_values_are_filled_with_the_last_of_them(count: int, is_filled_to: int) -> None:
    some = filled(list(range(count)))

    assert len(some) == is_filled_to
    assert list(dict.fromkeys(some)) == list(range(count))


PLACES = Table("places", MetaData(), Column("project", Text), Column("number", Integer))


def test_any_count_of_rows_is_found_and_deleted_by_few_statements(connection: Connection) -> None:
    """Each text stays, in our memory and in the driver's."""
    PLACES.create(connection)
    insert_rows(connection, PLACES, ("project", "number"), [("p", number) for number in range(64)])
    texts: set[str] = set()
    listen(connection.connection.driver_connection, lambda text, _: texts.add(re.sub(r"'\w*'|\d+", "?", text)))

    for count in range(1, 65):
        assert sorted(find(connection, PLACES.c.number, range(count), project="p")) == list(range(count))
        delete_rows(connection, PLACES, ("project", "number"), [("q", number) for number in range(count)])

    assert len(texts) == 2 * 7
