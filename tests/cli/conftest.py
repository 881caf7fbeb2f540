"""The command line, run in this process against a stub server, or in a terminal of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from hansard.cli import main
from tests.cli.run import Outcome, Run, Terminal
from tests.cli.stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the caller's own variables, and one time zone."""
    for name in os.environ:
        if name.startswith(("OPENAI_", "HANSARD_")) or name in ("CLAUDECODE", "CODEX_SANDBOX", "AI_AGENT", "NO_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def run(stub: Stub, environ: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line against the stub, its output no terminal."""
    monkeypatch.setenv("OPENAI_BASE_URL", stub.base_url)

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def terminal(stub: Stub, environ: None) -> Terminal:
    """Run a command line against the stub in a terminal 120 cells wide."""
    return Terminal(stub.base_url)
