"""Runs checks side by side and tells how each ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from hansard.conformance.checks import Check
from hansard.conformance.outcome import Mismatch, NotApplicable, Outcome, Result
from hansard.conformance.probe import NoReply, Probe, Session

JOBS = 4
# Of a check with a long conversation, what came last tells most.
SHOWN_EXCHANGES = 3


def run(
    session: Session, checks: Sequence[Check], *, jobs: int = JOBS, on_result: Callable[[Result], None]
) -> list[Result]:
    """Try every check, at most ``jobs`` at once; in the order given, whatever finished first."""

    def try_and_tell(check: Check) -> Result:
        result = try_one(session, check)
        on_result(result)
        return result

    try:
        if any(check.operation == "list" for check in checks):
            # Before the others store anything, so that it stands together in the list.
            with suppress(Mismatch, NotApplicable, NoReply):
                session.shelf()
        with ThreadPoolExecutor(jobs, thread_name_prefix="conformance") as pool:
            return list(pool.map(try_and_tell, checks))
    finally:
        session.clean_up()


def try_one(session: Session, check: Check) -> Result:
    """One check: an absent operation fails all its checks, since a server without it keeps none of its rules."""
    begun = time.monotonic()
    probe = session.probe(check)

    def ended(outcome: Outcome, reason: str = "", *, expected: str = "", got: str = "") -> Result:
        shown = probe.exchanges[-SHOWN_EXCHANGES:] if outcome is not Outcome.PASS else ()
        return Result(
            check=check,
            outcome=outcome,
            reason=reason,
            expected=expected,
            got=got,
            exchanges=tuple(shown),
            duration_s=time.monotonic() - begun,
        )

    try:
        for operation in dict.fromkeys((check.operation, *check.needs)):
            if absence := session.absence(operation):
                return ended(Outcome.FAIL, absence, expected=f"{operation} to be there", got=absence)
        return _verdict(check, probe, ended)
    except NoReply as error:
        return ended(Outcome.ERROR, f"no reply: {error}")


def _verdict(check: Check, probe: Probe, ended: Callable[..., Result]) -> Result:
    try:
        check.run(probe)
    except Mismatch as mismatch:
        return ended(Outcome.FAIL, str(mismatch), expected=mismatch.expected, got=mismatch.got)
    except NotApplicable as reason:
        return ended(Outcome.NOT_APPLICABLE, str(reason))
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        # The check took a reply apart that is not of the documented form.
        return ended(
            Outcome.FAIL,
            f"the reply is not of the documented form: {_shortcoming(error)}",
            expected="a reply of the documented form",
            got=_shortcoming(error),
        )
    except NoReply:
        raise
    except Exception as error:  # noqa: BLE001 (one broken check must not take the others' results along)
        return ended(Outcome.ERROR, f"the check itself broke: {type(error).__name__}: {error}")
    return ended(Outcome.PASS)


def _shortcoming(error: Exception) -> str:
    return f"no {error} in it" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
