"""How late a timer of 5 ms comes in this process's event loop: how long the loop, or the process, was held.

Run by itself it measures the machine: what an idle process waits, the measured one waits through no fault of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import uvloop

TICK_S = 0.005
PER_WRITE = 200


async def sample(file: Path) -> None:
    """Every second the latest latenesses, in milliseconds, are added to the file; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        late_ms: list[float] = []
        for _ in range(PER_WRITE):
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            late_ms.append((loop.time() - due) * 1000)
        with file.open("a") as lines:
            lines.writelines(f"{late:.2f}\n" for late in late_ms)


def main() -> None:
    """Sample an idle process until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lag", type=Path, required=True)
    uvloop.run(sample(parser.parse_args().lag))


if __name__ == "__main__":
    main()
