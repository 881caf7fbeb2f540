"""Hansard with a sampler in its event loop."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from bench.engine.sampler import sample
from hansard.app import serve
from hansard.config import resolve
from hansard.engines.base import ServedModel


def main() -> None:
    """Serve until terminated; the samples go to the file ``--lag``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--lag", type=Path, required=True)
    parser.add_argument("--model-file")
    asked = parser.parse_args()
    samplers: list[asyncio.Task[None]] = []

    def on_ready(address: str, models: Sequence[ServedModel]) -> None:
        samplers.append(asyncio.get_running_loop().create_task(sample(asked.lag)))

    flags = {
        "port": asked.port,
        "data": asked.data,
        "models": [f"bench={asked.model_file}"] if asked.model_file else [],
    }
    serve(resolve(flags, {}), on_ready=on_ready)


if __name__ == "__main__":
    main()
