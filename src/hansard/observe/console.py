"""The sink for a person at a terminal: one line per event on standard error.

What clients and upstreams chose (names, addresses, reasons) is on that line as words: it cannot begin another line or
another column, steer the terminal, or be longer than ``LIMIT``.
"""

from __future__ import annotations

import sys
import time
import traceback

from hansard.observe import (
    Committed,
    Crashed,
    EngineChanged,
    Event,
    RecordLost,
    RecordsExpired,
    RequestServed,
    SearchIndexed,
    StoreUpgraded,
    TargetFailed,
    UpstreamTried,
)
from hansard.printable import cut, one_line, printable

LIMIT = 300  # characters of a text of others
TRACE_LINES = 200

# Asked every few seconds by balancers and orchestrators; nobody reads a log for their yes.
_PROBES = frozenset({"/health", "/livez", "/readyz"})


def console(event: Event) -> None:
    """Print the event; what only confirms is left out."""
    if is_as_expected(event):
        return
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {_line(event)}\n")  # in one piece, as each is a call of the system
    sys.stderr.flush()


def is_as_expected(event: Event) -> bool:
    """A probe that went well, an upstream's answer or a commit: their requests have lines of their own."""
    if isinstance(event, Committed):
        return True
    if isinstance(event, UpstreamTried):
        return event.outcome == "ok"
    return isinstance(event, RequestServed) and event.path in _PROBES and event.status == 200


def _line(event: Event) -> str:
    match event:
        case RequestServed():
            return _request_line(event)
        case Crashed(request_id=request_id, exception=exception):
            return f"bug in {request_id}: {trace(exception)}"
        case EngineChanged(engine=engine, state=state, reason=reason):
            return f"engine {engine}: {state}" + (f" ({_told(reason)})" if reason else "")
        case UpstreamTried(upstream=upstream, outcome=outcome, duration_s=duration_s):
            return f"upstream {upstream}: {_told(outcome)} after {_duration(duration_s * 1000)}"
        case TargetFailed(engine=engine, model=model, reason=reason):
            return f"next target: {_told(model)} of {engine} does not answer ({_told(reason)})"
        case RecordLost(completion_id=completion_id, reason=reason):
            return f"not stored: {completion_id} ({_told(reason)})"
        case RecordsExpired(records=records, bodies=bodies, freed_bytes=freed_bytes, duration_s=duration_s):
            return (
                f"expired: {records} completions, and what was said in {bodies}; "
                f"{freed_bytes} bytes given back, in {_duration(duration_s * 1000)}"
            )
        case Committed(writes=writes, duration_s=duration_s):
            return f"committed: {writes} writes in {_duration(duration_s * 1000)}"
        case StoreUpgraded(before=before, now=now):
            return f"database upgraded from {before} to {now}; older versions of Hansard cannot open it any more"

        case SearchIndexed(completions=completions, is_complete=is_complete):
            return f"search: {completions} older completions indexed, {'all there are' if is_complete else 'going on'}"


def _request_line(event: RequestServed) -> str:
    parts = [_told(event.method), _told(event.path), str(event.status), _duration(event.duration_ms)]
    if event.model is not None:
        parts.append(_told(event.model))
    if event.completion_tokens is not None:
        parts.append(f"{event.prompt_tokens or 0}+{event.completion_tokens} tokens")
    if event.completion_id is not None:
        how = "stored " if event.stored else "replayed " if event.replayed else ""
        parts.append(f"{how}{event.completion_id}")
    if event.error is not None:
        parts.append(_told(event.error))
    parts.append(event.request_id)
    if event.client_request_id is not None:
        parts.append(f"client {_told(event.client_request_id)}")
    return "  ".join(parts)


def _told(text: str) -> str:
    return cut(one_line(text), LIMIT)


def trace(exception: BaseException) -> str:
    """Indented, so that no line of it looks like another event's; of a long one the end, where the cause stands."""
    lines = printable("".join(traceback.format_exception(exception))).rstrip().split("\n")
    return "\n  ".join(cut(line, LIMIT) for line in lines[-TRACE_LINES:])


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f}s"
