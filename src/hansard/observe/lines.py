"""The sink for machines: one JSON object per event and line on standard error.

What others chose is cut as on the console; JSON itself keeps it from beginning another line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from hansard.observe import Crashed, EngineChanged, Event, RecordLost, RequestServed, TargetFailed, UpstreamTried
from hansard.observe.console import LIMIT, is_as_expected, trace
from hansard.printable import cut, one_line

_NAMES: Final = {
    "RequestServed": "request",
    "Crashed": "bug",
    "EngineChanged": "engine",
    "UpstreamTried": "upstream",
    "TargetFailed": "next_target",
    "RecordLost": "not_stored",
    "StoreUpgraded": "store_upgraded",
    "RecordsExpired": "expired",
    "SearchIndexed": "search_indexed",
}


def lines(event: Event) -> None:
    """Print the event; what only confirms is left out, as on the console."""
    if is_as_expected(event):
        return
    _print(line(event, at=datetime.now(UTC)))


def say(event: str, *, level: str, **fields: object) -> None:
    """Print what is no event: how the server starts, and what libraries have to say."""
    _print(_written(event, level, fields, at=datetime.now(UTC)))


class Logged(logging.Handler):
    """What libraries log, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        exception = record.exc_info[1] if record.exc_info else None
        say(
            "log",
            level="error" if record.levelno >= logging.ERROR else "warning",
            logger=record.name,
            message=_told(record.getMessage()),
            exception=None if exception is None else trace(exception),
        )


def line(event: Event, *, at: datetime) -> str:
    """``time``, ``level`` and ``event``, then its own fields; those that say nothing are left out."""
    return _written(_NAMES[type(event).__name__], _level(event), _fields(event), at=at)


def _written(event: str, level: str, fields: Mapping[str, object], *, at: datetime) -> str:
    head = {"time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "level": level, "event": event}
    said = {name: value for name, value in fields.items() if value not in (None, "", False)}
    return msgspec.json.encode({**head, **said}).decode()


def _print(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _level(event: Event) -> str:
    """``error``: somebody has to look. ``warning``: something did not go as it should."""
    match event:
        case Crashed() | RecordLost():
            return "error"
        case RequestServed(status=status):
            return "warning" if status >= 500 else "info"
        case UpstreamTried() | TargetFailed():
            return "warning"
        case EngineChanged(state=state):
            return "info" if state in ("ready", "back") else "warning"
        case _:
            return "info"


def _fields(event: Event) -> dict[str, object]:
    if isinstance(event, Crashed):
        return {"request_id": event.request_id, "exception": trace(event.exception)}
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    work = fields.pop("work", None)
    if work is not None:
        fields |= {name: getattr(work, name) for name in work.__struct_fields__}
    return {name: _told(value) for name, value in fields.items()}


def _told(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6)
    return cut(one_line(value), LIMIT) if isinstance(value, str) else value
