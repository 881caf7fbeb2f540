"""conformance/report: one run for people, as JSON and as JUnit."""

from __future__ import annotations

from xml.etree import ElementTree

from hansard.conformance.checks import OFFICIAL, Check, Operation
from hansard.conformance.outcome import Outcome, Result
from hansard.conformance.report import as_document, as_junit, failure_lines, is_sound
from hansard.conformance.wire import Exchange, Reply, Sent

SENT = Sent(method="GET", target="/v1/x", headers={"Authorization": "Bearer secret"}, body=b'{"a":1}')
REPLY = Reply(status=200, headers=(("content-type", "application/json"),), body=b'{"b":\x00"\xe4"}')


def a_result(operation: Operation, rule: str, outcome: Outcome, *, trouble: str = "") -> Result:
    check = Check(
        name=f"{operation}.{rule}", title="A rule.", operation=operation, evidence=(OFFICIAL,), run=lambda _: None
    )
    if outcome is Outcome.PASS:
        return Result(check=check, outcome=outcome, duration_s=0.5)
    exchange = Exchange(sent=SENT, reply=None if trouble else REPLY, trouble=trouble)
    return Result(
        check=check,
        outcome=outcome,
        reason="why",
        expected="" if trouble else "one",
        got="" if trouble else "two",
        exchanges=(exchange,),
    )


RESULTS = [
    a_result("list", "good", Outcome.PASS),
    a_result("create", "bad", Outcome.FAIL),
    a_result("list", "open", Outcome.NOT_APPLICABLE),
    a_result("list", "broken", Outcome.ERROR, trouble="TimeoutError: slow"),
]


def test_only_failures_and_missing_verdicts_make_a_run_unsound() -> None:
    assert is_sound([RESULTS[0], RESULTS[2]])
    assert not is_sound([RESULTS[1]])
    assert not is_sound([RESULTS[3]])


def test_a_failure_for_people() -> None:
    assert list(failure_lines(RESULTS[1])) == [
        "FAIL create.bad",
        "  rule: A rule. (official document)",
        "  expected: one",
        "  got: two",
        "    > GET /v1/x",
        '    > {"a":1}',
        "    < 200 application/json",
        '    < {"b":\x00"\ufffd"}',
    ]


def test_no_reply_for_people() -> None:
    assert list(failure_lines(RESULTS[3])) == [
        "ERROR list.broken",
        "  rule: A rule. (official document)",
        "  why: why",
        "    > GET /v1/x",
        '    > {"a":1}',
        "    < TimeoutError: slow",
    ]


def test_json() -> None:
    document = as_document(RESULTS, about={"model": "m"})

    assert document["model"] == "m"
    assert document["totals"] == {"pass": 1, "fail": 1, "not applicable": 1, "error": 1}
    assert document["operations"] == {
        "create": {"pass": 0, "fail": 1, "not applicable": 0, "error": 0},
        "list": {"pass": 1, "fail": 0, "not applicable": 1, "error": 1},
    }
    assert document["checks"][0] == {
        "name": "list.good",
        "operation": "list",
        "rule": "A rule.",
        "evidence": ["official document"],
        "outcome": "pass",
        "duration_s": 0.5,
    }
    assert document["checks"][1]["exchanges"][0][0] == "> GET /v1/x"
    assert "secret" not in str(document)


def test_junit() -> None:
    root = ElementTree.fromstring(as_junit(RESULTS))

    suites = [(suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("errors")) for suite in root]
    assert suites == [("create", "1", "1", "0"), ("list", "3", "0", "1")]
    [bad] = root.findall(".//failure")
    assert bad.get("message") == "why"
    assert "expected: one" in (bad.text or "")
    assert [case.get("name") for case in root.iter("testcase")] == [
        "create.bad",
        "list.good",
        "list.open",
        "list.broken",
    ]
    assert len(root.findall(".//skipped")) == 1
