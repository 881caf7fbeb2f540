from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import CannotRun
from bench.store.corpus import Corpus, installed
from bench.store.databases import NAMES, Place, place


@pytest.fixture(scope="session", params=NAMES)
def databases(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Where a bench may make its databases."""
    with tempfile.TemporaryDirectory(prefix="hansard-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        try:
            with place(request.param, Path(folder)) as databases:
                yield databases
        except CannotRun as missing:
            pytest.skip(str(missing))


@pytest.fixture(scope="session")
def texts() -> Corpus:
    """Enough for some hundred messages; to be copied."""
    return Corpus(installed(seed=7), enough=400_000, seed=7)
