"""All checks there are, and choosing among them."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import import_module

from hansard.conformance import families
from hansard.conformance.checks import OPERATIONS, Check, checks_in


def all_checks() -> list[Check]:
    """Every check of every family, by operation, names unique."""
    names = sorted(module.name for module in pkgutil.iter_modules(families.__path__))
    found = [one for name in names for one in checks_in(import_module(f"{families.__name__}.{name}"))]
    if twice := {one.name for one in found if sum(other.name == one.name for other in found) > 1}:
        raise ValueError(f"two checks of one name: {sorted(twice)}")
    return sorted(found, key=lambda one: OPERATIONS.index(one.operation))


def chosen(checks: Sequence[Check], patterns: Sequence[str]) -> list[Check]:
    """Those whose name one of the patterns fits: a name, a part of one, or with ``*`` as in file names."""
    return [one for one in checks if not patterns or any(_fits(one.name, pattern) for pattern in patterns)]


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) if any(sign in pattern for sign in "*?[") else pattern in name
