"""Fixtures every room's tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Without deadlines: how fast a shared machine is today is not what these tests are about.
settings.register_profile("hansard", deadline=None)
settings.load_profile("hansard")


@pytest.fixture
def anyio_backend() -> str:
    """Hansard runs on asyncio only."""
    return "asyncio"
