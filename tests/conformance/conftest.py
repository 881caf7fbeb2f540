"""One server for all of a module's tests: the sound one, and beside it every mutant.

It lives in this process, so it must not outlive the module: its janitor would be at work in tests of other rooms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hansard.conformance.probe import Session
from hansard.conformance.wire import Address
from tests.conformance import able
from tests.conformance.broken import SOUND, Zoo, zoo
from tests.conformance.mutants import all_mutants


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    directory: Path = tmp_path_factory.mktemp("zoo")
    with zoo({mutant.name: mutant for mutant in all_mutants()}, directory) as running:
        yield running


@pytest.fixture(scope="module")
def sessions(servers: Zoo) -> dict[str, Session]:
    """Sessions with the sound server, one per model, their shelves filled."""
    address = Address(base_url=servers.base_url(SOUND), timeout_s=30)
    found = {model: Session(address, model=model) for model in ("echo", able.MODEL)}
    for session in found.values():
        session.shelf()
    return found
