"""What the server says of itself, beside the API: alive, and ready or why not."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class Health(Struct, frozen=True, kw_only=True):
    status: Literal["ok"]


class TargetReadiness(Struct, frozen=True, kw_only=True):
    """One of the places where a model is served; ``model`` is its name there."""

    engine: str
    model: str
    ready: bool
    weight: int | float | UnsetType = UNSET


class Readiness(Struct, frozen=True, kw_only=True):
    """``reasons`` by engine, and the targets by model, are there when they are asked for."""

    status: Literal["ready", "unavailable"]
    checks: dict[str, Literal["ok", "unavailable"]]
    reasons: dict[str, str] | UnsetType = UNSET
    models: dict[str, list[TargetReadiness]] | UnsetType = UNSET
