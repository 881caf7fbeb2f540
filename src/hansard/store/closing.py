"""That nothing is written for a project that is deleted, not even by a request that began before.

Only projects with ids of ours can be deleted, so the default project's writes ask nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from sqlalchemy import Connection

from hansard.core.ids import PROJECT_PREFIX
from hansard.errors import ProjectGone
from hansard.store.driver import run

_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}

# So many projects at most are written for in one transaction of the writer, each of whose jobs may be another's.
_MOST_AT_ONCE: Final = 64


def must_be_there(connection: Connection, projects: Iterable[str]) -> None:
    """Raise ProjectGone if one of them is not there; whoever deletes one waits for the end of this transaction."""
    ours = set(projects)
    if missing := ours - there(connection, ours):
        raise ProjectGone(min(missing))


def there(connection: Connection, projects: Iterable[str]) -> set[str]:
    """Those of them that are there."""
    asked = set(projects)
    ours = sorted(each for each in asked if each.startswith(PROJECT_PREFIX))
    found = asked.difference(ours)
    for start in range(0, len(ours), _MOST_AT_ONCE):
        some = ours[start : start + _MOST_AT_ONCE]
        text = _text(len(some), connection.dialect.name, _MARKS[connection.dialect.paramstyle])
        found.update(project for (project,) in run(connection, text, tuple(some), returns=True))
    return found


@cache
def _text(count: int, dialect: str, mark: str) -> str:
    lock = "" if dialect == "sqlite" else " FOR KEY SHARE"
    return f"SELECT project FROM projects WHERE project IN ({', '.join([mark] * count)}){lock}"  # noqa: S608 - no names
