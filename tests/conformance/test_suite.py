"""The suite holds for a sound server, and each of its checks can fail."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from hansard.conformance.checks import Check
from hansard.conformance.outcome import Outcome
from hansard.conformance.probe import Session
from hansard.conformance.runner import try_one
from hansard.conformance.suite import all_checks
from hansard.conformance.wire import Address
from tests.conformance import able
from tests.conformance.broken import Mutant, Zoo
from tests.conformance.mutants import all_mutants

CHECKS = all_checks()
MUTANTS = all_mutants()


def named_by(mutant: Mutant) -> list[Check]:
    return [check for check in CHECKS if any(fnmatchcase(check.name, name) for name in mutant.fails)]


def model_for(check: Check) -> str:
    """What the echo engine may refuse is tried with a model that can do it."""
    return able.MODEL if check.demands else "echo"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_echo_engine_passes(check: Check, sessions: dict[str, Session]) -> None:
    result = try_one(sessions["echo"], check)

    assert result.outcome in (Outcome.PASS, Outcome.NOT_APPLICABLE), result.reason


@pytest.mark.parametrize("check", [check for check in CHECKS if check.demands], ids=lambda check: check.name)
def test_who_can_do_everything_is_excused_from_nothing(check: Check, sessions: dict[str, Session]) -> None:
    result = try_one(sessions[able.MODEL], check)

    assert result.outcome is Outcome.PASS, result.reason


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_found(mutant: Mutant, servers: Zoo, sessions: dict[str, Session]) -> None:
    address = Address(base_url=servers.base_url(mutant.name), timeout_s=30)
    broken = {model: Session(address, model=model, shelf=session.shelf()) for model, session in sessions.items()}

    outcomes = {check.name: try_one(broken[model_for(check)], check).outcome for check in named_by(mutant)}

    assert outcomes
    assert set(outcomes.values()) == {Outcome.FAIL}, outcomes


def test_every_name_a_mutant_gives_is_a_check() -> None:
    stray = [
        (mutant.name, name)
        for mutant in MUTANTS
        for name in mutant.fails
        if not any(fnmatchcase(check.name, name) for check in CHECKS)
    ]

    assert stray == []


def test_every_check_can_fail() -> None:
    broken = {check.name for mutant in MUTANTS for check in named_by(mutant)}

    assert [check.name for check in CHECKS if check.name not in broken] == []


def test_mutants_have_names_of_their_own() -> None:
    names = [mutant.name for mutant in MUTANTS]

    assert sorted(names) == sorted(set(names))
