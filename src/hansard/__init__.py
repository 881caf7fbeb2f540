"""Hansard: stored chat completions, self-hosted.

The public surface is ``__all__``; everything else may change. Importing this has no effect and costs
nothing: each name is looked up when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hansard import errors
    from hansard.app import create_app
    from hansard.config import Settings
    from hansard.engines.base import Engine

__version__ = "0.1.0"

__all__ = ["Engine", "Settings", "__version__", "create_app", "errors"]

_HOMES = {"Engine": "hansard.engines.base", "Settings": "hansard.config", "create_app": "hansard.app"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "errors":
        return import_module("hansard.errors")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
