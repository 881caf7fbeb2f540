"""bench/conformance/page: the scores, what is absent, and every rule."""

from __future__ import annotations

from typing import Any

from bench.conformance.page import page


def a_run(name: str, *outcomes: tuple[str, str, str], **more: str) -> dict[str, Any]:
    """A run of checks, each ``(name, evidence, outcome)``, as the command writes it."""
    checks = [
        {
            "name": check,
            "operation": check.partition(".")[0],
            "rule": "A rule | of <two> words.",
            "evidence": [evidence],
            "outcome": outcome,
            "reason": more.get(check.replace(".", "_"), ""),
        }
        for check, evidence, outcome in outcomes
    ]
    operations: dict[str, Any] = {check["operation"]: {} for check in checks}
    head = {"name": name, "version": "1.0", "how": "by hand", "begun": "2026-11-21T12:00:00+00:00"}
    return {**head, "operations": operations, "checks": checks}


PAGE = page(
    [
        a_run(
            "Ours",
            ("list.a", "official document", "pass"),
            ("list.b", "decision 8", "pass"),
            ("get.a", "official document", "not applicable"),
        ),
        a_run(
            "Theirs",
            ("list.a", "official document", "pass"),
            ("list.b", "decision 8", "fail"),
            ("get.a", "official document", "fail"),
            get_a="get is absent: GET /v1/x answered 404",
        ),
    ]
)


def test_scores_count_what_applies() -> None:
    assert "| passed of applicable | Ours 1.0 | Theirs 1.0 |\n| --- | --- | --- |\n| `list` | 2/2 | 1/2 |" in PAGE
    assert "| `get` | 0/0 | 0/1 |" in PAGE
    assert "| **all** | **2/2** | **1/3** |" in PAGE


def test_our_own_decisions_can_be_left_out() -> None:
    assert "| without our decisions | 1/1 | 1/2 |" in PAGE


def test_who_was_judged() -> None:
    assert "| Theirs | 1.0 | by hand | 2026-11-21 | 3 |" in PAGE


def test_a_run_of_an_earlier_suite_is_called_one() -> None:
    today = {**a_run("Ours", ("list.a", "x", "pass"), ("list.b", "x", "pass")), "begun": "2026-11-27T12:00:00+00:00"}
    made = page([today, a_run("Theirs", ("list.a", "x", "fail"))])

    assert "| Ours | 1.0 | by hand | 2026-11-27 | 2 |" in made
    assert "| Theirs | 1.0 | by hand | 2026-11-21 | 1, by an earlier suite: 1 of today's were not tried |" in made


def test_what_is_absent() -> None:
    assert "- Theirs has no `get`.\n" in PAGE
    assert "- Ours has no" not in PAGE


def test_every_rule_with_its_evidence() -> None:
    assert "### list\n\n| check | rule | evidence | Ours | Theirs |" in PAGE
    assert "| `b` | A rule \\| of &lt;two> words. | decision 8 | ✓ | ✗ |" in PAGE
    assert "| `a` | A rule \\| of &lt;two> words. | official document | – | ✗ |" in PAGE
