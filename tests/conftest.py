"""Fixtures every room's tests share."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Hansard runs on asyncio only."""
    return "asyncio"
