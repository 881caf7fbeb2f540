"""Hypothesis without deadlines: how fast a shared machine is today is not what these tests are about."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("hansard", deadline=None)
settings.load_profile("hansard")
