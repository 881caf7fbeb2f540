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
from tests.conformance.broken import Mutant, Zoo
from tests.conformance.mutants import all_mutants

CHECKS = all_checks()
MUTANTS = all_mutants()


def named_by(mutant: Mutant) -> list[Check]:
    return [check for check in CHECKS if any(fnmatchcase(check.name, name) for name in mutant.fails)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_sound_server_passes(check: Check, sound: Session) -> None:
    result = try_one(sound, check)

    assert result.outcome in (Outcome.PASS, Outcome.NOT_APPLICABLE), result.reason


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_found(mutant: Mutant, servers: Zoo, sound: Session) -> None:
    address = Address(base_url=servers.base_url(mutant.name), timeout_s=30)
    session = Session(address, model="echo", shelf=sound.shelf())

    outcomes = {check.name: try_one(session, check).outcome for check in named_by(mutant)}

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
