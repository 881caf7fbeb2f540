"""Fixtures every room's tests share."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# Without deadlines: how fast a shared machine is today is not what these tests are about.
settings.register_profile("hansard", deadline=None)
settings.register_profile("long", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "hansard"))

# Behind ``make test &`` in a script the signal is ignored, by whatever is started here as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """Hansard runs on asyncio only."""
    return "asyncio"
