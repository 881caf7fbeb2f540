"""The sink for a person at a terminal: one line per event on standard error."""

from __future__ import annotations

import sys
import time
import traceback

from hansard.observe import (
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

# Asked every few seconds by balancers and orchestrators; nobody reads a log for their yes.
_PROBES = frozenset({"/health", "/readyz"})


def console(event: Event) -> None:
    """Print the event; what only confirms is left out."""
    if _is_as_expected(event):
        return
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {_line(event)}\n")  # in one piece, as each is a call of the system
    sys.stderr.flush()


def _is_as_expected(event: Event) -> bool:
    """A probe that went well, or an upstream's answer: its request has a line of its own."""
    if isinstance(event, UpstreamTried):
        return event.outcome == "ok"
    return isinstance(event, RequestServed) and event.path in _PROBES and event.status == 200


def _line(event: Event) -> str:
    match event:
        case RequestServed():
            return _request_line(event)
        case Crashed(request_id=request_id, exception=exception):
            return f"bug in {request_id}: " + "".join(traceback.format_exception(exception)).rstrip()
        case EngineChanged(engine=engine, state=state, reason=reason):
            return f"engine {engine}: {state}" + (f" ({reason})" if reason else "")
        case UpstreamTried(upstream=upstream, outcome=outcome, duration_s=duration_s):
            return f"upstream {upstream}: {outcome} after {_duration(duration_s * 1000)}"
        case TargetFailed(engine=engine, model=model, reason=reason):
            return f"next target: {model} of {engine} does not answer ({reason})"
        case RecordLost(completion_id=completion_id, reason=reason):
            return f"not stored: {completion_id} ({reason})"
        case RecordsExpired(records=records, bodies=bodies, freed_bytes=freed_bytes, duration_s=duration_s):
            return (
                f"expired: {records} completions, and what was said in {bodies}; "
                f"{freed_bytes} bytes given back, in {_duration(duration_s * 1000)}"
            )
        case StoreUpgraded(before=before, now=now):
            return f"database upgraded from {before} to {now}; older versions of Hansard cannot open it any more"

        case SearchIndexed(completions=completions, is_complete=is_complete):
            return f"search: {completions} older completions indexed, {'all there are' if is_complete else 'going on'}"


def _request_line(event: RequestServed) -> str:
    parts = [event.method, event.path, str(event.status), _duration(event.duration_ms)]
    if event.model is not None:
        parts.append(event.model)
    if event.completion_tokens is not None:
        parts.append(f"{event.prompt_tokens or 0}+{event.completion_tokens} tokens")
    if event.completion_id is not None:
        how = "stored " if event.stored else "replayed " if event.replayed else ""
        parts.append(f"{how}{event.completion_id}")
    if event.error is not None:
        parts.append(f"{event.error} {event.request_id}")
    return "  ".join(parts)


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f}s"
