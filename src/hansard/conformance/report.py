"""A run as text, as JSON and as JUnit XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from hansard.conformance.checks import OPERATIONS
from hansard.conformance.outcome import Outcome, Result
from hansard.conformance.wire import Exchange

# Enough to see what is wrong; a whole stream of a long answer is not.
SHOWN_CHARACTERS = 2000


def totals(results: Iterable[Result]) -> Counter[Outcome]:
    """How many ended how."""
    return Counter(result.outcome for result in results)


def by_operation(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results of each operation that has any, in the order of operations."""
    groups = {operation: [one for one in results if one.check.operation == operation] for operation in OPERATIONS}
    return {operation: group for operation, group in groups.items() if group}


def is_sound(results: Iterable[Result]) -> bool:
    """Whether nothing failed, and everything came to a verdict."""
    return not any(one.outcome in (Outcome.FAIL, Outcome.ERROR) for one in results)


def failure_lines(result: Result) -> Iterator[str]:
    """A failed check for people: the rule, what was expected, what came, and the exchanges."""
    yield f"{result.outcome.value.upper()} {result.check.name}"
    yield f"  rule: {result.check.title} ({', '.join(result.check.evidence)})"
    if result.expected:
        yield f"  expected: {result.expected}"
        yield f"  got: {result.got}"
    else:
        yield f"  why: {result.reason}"
    for exchange in result.exchanges:
        yield from (f"    {line}" for line in exchange_lines(exchange))


def exchange_lines(exchange: Exchange) -> Iterator[str]:
    """Request and reply, cut short, without the key."""
    sent, reply = exchange.sent, exchange.reply
    yield f"> {sent.method} {sent.target}"
    if sent.body is not None:
        yield f"> {_short(sent.body)}"
    if reply is None:
        yield f"< {exchange.trouble}"
        return
    yield f"< {reply.status} {reply.header('content-type') or ''}".rstrip()
    for line in _short(reply.body).splitlines():
        yield f"< {line}"


def as_document(results: Sequence[Result], *, about: Mapping[str, str]) -> dict[str, Any]:
    """The whole run as JSON; ``about`` says what was measured, and when."""
    return {
        **about,
        "totals": _counts(results),
        "operations": {operation: _counts(group) for operation, group in by_operation(results).items()},
        "checks": [_document(result) for result in results],
    }


def as_junit(results: Sequence[Result]) -> str:
    """The run as JUnit XML, a suite per operation."""
    root = Element("testsuites", name="hansard conformance")
    for operation, group in by_operation(results).items():
        counted = totals(group)
        suite = SubElement(
            root,
            "testsuite",
            name=operation,
            tests=str(len(group)),
            failures=str(counted[Outcome.FAIL]),
            errors=str(counted[Outcome.ERROR]),
            skipped=str(counted[Outcome.NOT_APPLICABLE]),
        )
        for result in group:
            _junit_case(suite, result)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True)


def _junit_case(suite: Element, result: Result) -> None:
    case = SubElement(
        suite, "testcase", name=result.check.name, classname=result.check.operation, time=f"{result.duration_s:.3f}"
    )
    kinds = {Outcome.FAIL: "failure", Outcome.ERROR: "error", Outcome.NOT_APPLICABLE: "skipped"}
    if tag := kinds.get(result.outcome):
        note = SubElement(case, tag, message=_xml_text(result.reason))
        if result.outcome is not Outcome.NOT_APPLICABLE:
            note.text = _xml_text("\n".join(failure_lines(result)))


def _document(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": result.check.name,
        "operation": result.check.operation,
        "rule": result.check.title,
        "evidence": list(result.check.evidence),
        "outcome": result.outcome.value,
        "duration_s": round(result.duration_s, 3),
    }
    if result.outcome is not Outcome.PASS:
        document["reason"] = result.reason
    if result.outcome in (Outcome.FAIL, Outcome.ERROR):
        document |= {"expected": result.expected, "got": result.got}
        document["exchanges"] = [list(exchange_lines(exchange)) for exchange in result.exchanges]
    return document


def _counts(results: Iterable[Result]) -> dict[str, int]:
    counted = totals(results)
    return {outcome.value: counted[outcome] for outcome in Outcome}


def _short(content: bytes) -> str:
    text = content.decode(errors="replace")
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"


def _xml_text(text: str) -> str:
    """Without the characters that XML has no way to write."""
    return "".join(sign for sign in text if sign in "\t\n" or (sign >= " " and sign not in "\ufffe\uffff"))
