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


class TargetCheck(Struct, frozen=True, kw_only=True):
    """Whether a target answers for the model ``id``; ``asked`` says what it was asked for, ``model`` its name there."""

    id: str
    engine: str
    model: str
    asked: Literal["list", "completion"]
    answers: Literal["yes", "no", "unknown"]
    reason: str


class Checks(Struct, frozen=True, kw_only=True):
    object: Literal["list"]
    data: list[TargetCheck]


class Readiness(Struct, frozen=True, kw_only=True):
    """``reasons`` by engine, and the targets by model, are there when they are asked for."""

    status: Literal["ready", "unavailable", "shutting_down"]
    checks: dict[str, Literal["ok", "unavailable"]]
    reasons: dict[str, str] | UnsetType = UNSET
    models: dict[str, list[TargetReadiness]] | UnsetType = UNSET
