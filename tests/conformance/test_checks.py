"""conformance/checks and suite: what a check must say of itself, and choosing among them."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from hansard.conformance.checks import OFFICIAL, Check, Operation, check, checks_in, decision
from hansard.conformance.probe import Probe
from hansard.conformance.suite import all_checks, chosen

CHECKS = all_checks()


def runs(_: Probe) -> None:
    """Some rule."""


def test_a_decorated_function_is_a_check() -> None:
    made = check("list", OFFICIAL, decision(8), demands=("n",), needs=("get",))(runs)

    assert (made.name, made.title, made.operation) == ("list.runs", "Some rule.", "list")
    assert made.evidence == ("official document", "decision 8")
    assert (set(made.demands), list(made.needs)) == ({"n"}, ["get"])


@pytest.mark.parametrize(
    "wrong",
    [{"name": "get.x"}, {"title": ""}, {"evidence": ()}, {"demands": frozenset({"temperature"})}],
    ids=["another operation", "no rule", "no evidence", "nobody may refuse it"],
)
def test_what_a_check_must_say(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"name": "list.x", "title": "A rule.", "operation": "list", "evidence": (OFFICIAL,)}

    with pytest.raises(ValueError):
        Check(**{**right, "run": runs, **wrong})  # type: ignore[arg-type]


def test_checks_of_a_module_are_found_alone_and_in_tables() -> None:
    module = ModuleType("family")
    alone, first, second = (
        Check(name=f"get.{name}", title="A rule.", operation="get", evidence=(OFFICIAL,), run=runs) for name in "abc"
    )
    module.__dict__.update(alone=alone, TABLE=(first, second), OTHER=("text",))

    assert list(checks_in(module)) == [alone, first, second]


def test_the_suite_is_as_large_as_promised() -> None:
    assert len(CHECKS) >= 250


def test_names_are_unique_and_can_be_typed() -> None:
    names = [one.name for one in CHECKS]

    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+\.[a-z0-9_]+", name)] == []


def test_rules_are_sentences() -> None:
    assert [one.name for one in CHECKS if not one.title.endswith(".")] == []


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["get.a", "list.a", "list.b"]),
        (["list.a"], ["list.a"]),
        (["list"], ["list.a", "list.b"]),
        (["*.a"], ["get.a", "list.a"]),
        (["get.*", "list.b"], ["get.a", "list.b"]),
        (["c"], []),
    ],
)
def test_choosing(patterns: list[str], names: list[str]) -> None:
    names_of: tuple[tuple[str, Operation], ...] = (("get.a", "get"), ("list.a", "list"), ("list.b", "list"))
    few = [
        Check(name=name, title="A rule.", operation=operation, evidence=(OFFICIAL,), run=runs)
        for name, operation in names_of
    ]

    assert [one.name for one in chosen(few, patterns)] == names


def test_every_decision_that_is_evidence_is_written_down() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "contract.md").read_text()
    written = {f"decision {number}" for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    written |= {f"decision on {question}" for question in re.findall(r"^\| \| ([^|]+) \|", page, re.MULTILINE)}

    cited = {basis for one in CHECKS for basis in one.evidence if basis.startswith("decision")}

    assert cited - written == set()
