"""Whether the time of a 404 tells a foreign id from an unknown one: a rank test, in processor time.

Of pairs drawn from the two, the share in which the foreign one took longer is a half if nothing can be told (the
Mann-Whitney statistic; its deviation for N of each is about 0.41 / sqrt(N)). The bound is five deviations.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansard.app import House
from hansard.config import resolve
from hansard.core.keys import USUAL, digest
from hansard.observe import ignore
from hansard.store.tenants import Key, Project
from tests.api.asgi import Client

pytestmark = pytest.mark.anyio

ROUNDS = 300
ROUNDS_OF_MINE = 20  # the difference is plain, and each has to be stored anew once it is deleted
BOUND = 5 * 0.41 / math.sqrt(ROUNDS)
LONG = {"model": "echo", "messages": [{"role": "user", "content": "Order, order! " * 20_000}], "store": True}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    house = House(resolve({"models": ["echo"], "data": str(tmp_path)}, {}, config_dir=tmp_path), observer=ignore)
    async with house.opened():
        for name in ("mine", "theirs"):
            project = Project(id=f"proj_{name}", name=name, created=1)
            secret = digest(f"sk-{name}")
            key = Key(id=f"key_{name}", project=project.id, digest=secret, name="", shown="", created=1, scopes=USUAL)
            await house.store.tenants.keep([project, key], [])
        await house.gate.look()
        yield Client(house.application(own_lifespan=False))


def longer(one: list[float], other: list[float]) -> float:
    """The share of all pairs in which the first took longer."""
    return sum((a > b) + (a == b) / 2 for a in one for b in other) / (len(one) * len(other))


async def stored(client: Client, key: str) -> str:
    made = await client.post("/v1/chat/completions", LONG, headers={"authorization": f"Bearer {key}"})
    return str(made.json["id"])


async def took_s(client: Client, method: str, path: str) -> float:
    began = time.process_time()
    await client.request(method, path, b'{"metadata":{}}', headers={"authorization": "Bearer sk-mine"})
    return time.process_time() - began


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions/{}"),
        ("GET", "/v1/chat/completions/{}/messages"),
        ("POST", "/v1/chat/completions/{}"),
        ("DELETE", "/v1/chat/completions/{}"),
    ],
)
async def test_a_foreign_id_takes_as_long_as_an_unknown_one(client: Client, method: str, path: str) -> None:
    kinds = {"foreign": await stored(client, "sk-theirs"), "mine": await stored(client, "sk-mine")}
    kinds["unknown"] = kinds["foreign"][:-1] + ("A" if kinds["foreign"][-1] != "A" else "B")
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    chance = random.Random(6)
    for number in range(ROUNDS):
        asked = kinds if number < ROUNDS_OF_MINE else ("foreign", "unknown")
        for kind in chance.sample(list(asked), len(asked)):
            taken[kind].append(await took_s(client, method, path.format(kinds[kind])))
        if "mine" in asked and method == "DELETE":
            kinds["mine"] = await stored(client, "sk-mine")

    assert abs(longer(taken["foreign"], taken["unknown"]) - 0.5) < BOUND
    # The same test finds a difference where there is one.
    assert longer(taken["mine"], taken["unknown"]) - 0.5 > BOUND
