"""The checks on keys, for which the server of the other tests is too open."""

from __future__ import annotations

from pathlib import Path

from hansard.conformance.outcome import Outcome
from hansard.conformance.probe import Session
from hansard.conformance.runner import try_one
from hansard.conformance.suite import all_checks
from hansard.conformance.wire import Address
from tests.conformance.broken import zoo
from tests.conformance.mutants.keys import KEY, MUTANTS

NAMES = {name for mutant in MUTANTS for name in mutant.fails if "*" not in name}
CHECKS = [
    check
    for check in all_checks()
    if check.name in NAMES or check.name.startswith(("http.without_key", "http.a_wrong"))
]


def test_a_server_that_asks_for_a_key_passes(tmp_path: Path) -> None:
    with zoo({}, tmp_path, HANSARD_API_KEY=KEY) as servers:
        session = Session(Address(base_url=servers.base_url(), key=KEY), model="echo")
        outcomes = {check.name: try_one(session, check).outcome for check in CHECKS}

    assert len(outcomes) == 5
    assert set(outcomes.values()) == {Outcome.PASS}, outcomes
