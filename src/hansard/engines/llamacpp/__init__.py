"""The embedded engine: llama.cpp's own server in a supervised child process, and what makes it keep the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hansard.engines.llamacpp.engine import LlamaCppEngine

__all__ = ["LlamaCppEngine"]


def __getattr__(name: str) -> Any:
    """The engine, when it is asked for: the child imports this package too, and must stay small."""
    if name != "LlamaCppEngine":
        raise AttributeError(name)
    from hansard.engines.llamacpp.engine import LlamaCppEngine

    return LlamaCppEngine
