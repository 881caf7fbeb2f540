"""Hansard with a sampler in its event loop: how late a timer of 5 ms comes is how long the loop was held."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from hansard.app import serve
from hansard.config import resolve
from hansard.engines.base import ServedModel

TICK_S = 0.005
PER_WRITE = 200


def main() -> None:
    """Serve until terminated; every second the latest latenesses, in milliseconds, are added to the file ``--lag``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--lag", type=Path, required=True)
    parser.add_argument("--model-file")
    asked = parser.parse_args()
    samplers: list[asyncio.Task[None]] = []

    def on_ready(address: str, models: Sequence[ServedModel]) -> None:
        samplers.append(asyncio.get_running_loop().create_task(_sample(asked.lag)))

    flags = {
        "port": asked.port,
        "data": asked.data,
        "models": [f"bench={asked.model_file}"] if asked.model_file else [],
    }
    serve(resolve(flags, {}), on_ready=on_ready)


async def _sample(file: Path) -> None:
    loop = asyncio.get_running_loop()
    while True:
        late_ms: list[float] = []
        for _ in range(PER_WRITE):
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            late_ms.append((loop.time() - due) * 1000)
        with file.open("a") as lines:
            lines.writelines(f"{late:.2f}\n" for late in late_ms)


if __name__ == "__main__":
    main()
