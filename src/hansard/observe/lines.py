"""The sink for machines: one JSON object per event and line on standard error.

What others chose is cut as on the console; JSON itself keeps it from beginning another line.
"""

from __future__ import annotations

import sys
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
    sys.stderr.write(line(event, at=datetime.now(UTC)) + "\n")
    sys.stderr.flush()


def line(event: Event, *, at: datetime) -> str:
    """``time``, ``level`` and ``event``, then its own fields; those that say nothing are left out."""
    head = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _level(event),
        "event": _NAMES[type(event).__name__],
    }
    fields = {name: value for name, value in _fields(event).items() if value not in (None, "", False)}
    return msgspec.json.encode({**head, **fields}).decode()


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
