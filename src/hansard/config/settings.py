"""What all the knobs are, once they are read. How that is done is in the package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from hansard.config.database import SQLITE, DatabaseUrl
from hansard.config.reader import Secret
from hansard.config.specs import ModelSpec
from hansard.config.upstreams import UpstreamSpec


class Settings(Struct, frozen=True, kw_only=True):
    """What the server was told, complete and checked.

    ``db`` is ``sqlite:///`` and an absolute path, or ``postgresql://...`` without its password.
    ``mmproj`` to ``gpu_layers`` and ``upstream_key`` are already part of the models and upstreams
    they are for. ``origins`` says for each field where its value was found: a flag, a variable, a
    key of a file, or ``default``. ``retention`` and ``retention_bodies`` are seconds, None for ever.
    """

    config: Path | None
    host: str
    port: int
    tls_cert: Path | None
    tls_key: Path | None
    cors: tuple[str, ...]
    data: Path
    db: DatabaseUrl
    models: tuple[ModelSpec, ...]
    mmproj: Path | None
    ctx: int | None
    parallel: int | None
    threads: int | None
    gpu_layers: int | None
    upstreams: tuple[UpstreamSpec, ...]
    upstream_key: Secret | None
    aliases: Mapping[str, str]
    api_key: Secret | None
    organization: str | None
    audit: Literal["all", "acts"]
    store: Literal["asked", "always", "never"]
    redactions: Mapping[str, re.Pattern[str]]
    list_order: Literal["asc", "desc"]
    metadata_without_store: Literal["refuse", "accept"]
    search: Literal["off", "on"]
    search_budget_ms: int
    nulls: Literal["accept", "refuse"]
    on_disconnect: Literal["cancel", "finish"]
    idempotency_ttl_s: int
    retention: int | None
    retention_bodies: int | None
    max_body_bytes: int
    max_bodies_bytes: int
    max_completion_bytes: int
    queue: int
    silence_s: float
    body_s: float
    unread_s: float
    drain: float
    log: Literal["text", "json", "off"]
    traces: Literal["off", "otlp"]
    origins: Mapping[str, str]

    @property
    def db_file(self) -> Path | None:
        """The SQLite file that ``db`` names, if it is one."""
        return Path(self.db.removeprefix(SQLITE)) if self.db.startswith(SQLITE) else None
