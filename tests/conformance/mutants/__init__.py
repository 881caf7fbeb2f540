"""The mutants, a module per family; each module found here is tried."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tests.conformance.broken import Mutant


def all_mutants() -> list[Mutant]:
    """Every mutant of every family."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [mutant for name in names for mutant in import_module(f"{__name__}.{name}").MUTANTS]
