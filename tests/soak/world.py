"""What a run knows of its server: its address, keys of every kind, and what was stored a moment ago."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from random import Random
from typing import Any

from tests.fuzz import judge
from tests.fuzz.attacks import KEY, Attack
from tests.fuzz.judge import Reply

from .lines import Lines, document

COMPLETIONS = "/v1/chat/completions"
RETENTION_S = 60
KNOWN_S = 20.0
"""For so long a completion is asked for again; it is forgotten after ``RETENTION_S`` at the earliest."""

SECRET = "ada.lovelace@example.com"
"""What the policy of the project ``shop`` blacks out."""

REDACTED = "[redacted:email]"
PLENTY = 10**9

# By name: its project, and what beside the name is asked for.
KEYS: dict[str, tuple[str, dict[str, Any]]] = {
    "till": ("shop", {"policy": {"metadata": {"by": "till"}, "limits": {"requests_per_minute": PLENTY}}}),
    "report": ("shop", {"scopes": ["read"]}),
    "keeper": ("shop", {"policy": {"store": "always", "retention_s": RETENTION_S // 2}}),
    "narrow": ("shop", {"policy": {"limits": {"requests_per_minute": 60, "concurrent_streams": 1}}}),
    "stranger": ("other", {}),
    "desk": ("other", {"scopes": ["admin"]}),
    "scraper": ("other", {"scopes": ["metrics"]}),
}
PROJECTS: dict[str, dict[str, Any]] = {
    "shop": {
        "redact": ["email", "secret"],
        "limits": {"tokens_per_minute": PLENTY, "tokens_per_month": 10**12, "concurrent_requests": PLENTY},
    },
    "other": {},
}


class World:
    """Shared by all clients of a run; ``expected`` counts the replies that were as they should be, by scenario."""

    def __init__(self, base_url: str) -> None:
        self.lines = Lines(base_url)
        self.keys = {"operator": KEY}
        self._numbers = itertools.count()
        self._made: dict[str, deque[tuple[float, str]]] = {name: deque(maxlen=200) for name in PROJECTS}

    async def furnish(self) -> None:
        """Make the projects and keys."""
        for name, policy in PROJECTS.items():
            document(await self.ask("operator", "POST", "/hansard/v1/projects", {"name": name, "policy": policy}))
        for name, (project, wanted) in KEYS.items():
            asked = {"project": project, "name": name, **wanted}
            self.keys[name] = document(await self.ask("operator", "POST", "/hansard/v1/keys", asked))["key"]

    async def awaken(self) -> None:
        """Ask for so much at once that whatever the server opens when it is needed is open."""
        paths = (COMPLETIONS, "/hansard/v1/facets", "/hansard/v1/search?q=order", COMPLETIONS)
        replies = await asyncio.gather(*(self.ask("report", "GET", path) for path in paths * 16))
        assert all(reply.status in (200, 503) for reply in replies), replies

    def number(self) -> int:
        """Another one each time."""
        return next(self._numbers)

    async def ask(self, who: str, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """A request with the key of that name, and its reply, which may be anything but a bug."""
        reply = await self.lines.ask(method, path, body, authorization=self.bearer(who), **headers)
        assert not (wrong := judge.complaints(Attack("soak", ()), [reply], b"")), wrong
        return reply

    def bearer(self, who: str) -> str:
        return f"Bearer {self.keys[who]}"

    def note(self, project: str, completion_id: str) -> None:
        """It was stored just now."""
        self._made[project].append((time.monotonic(), completion_id))

    def known(self, project: str, chance: Random) -> str | None:
        """One that is surely there, unless somebody deletes it."""
        recent = [each for at, each in self._made[project] if at > time.monotonic() - KNOWN_S]
        return chance.choice(recent) if recent else None

    def newest(self, project: str) -> str | None:
        """The newest that is surely there, and from now on nobody else's."""
        at, newest = self._made[project].pop() if self._made[project] else (0.0, None)
        return newest if at > time.monotonic() - KNOWN_S else None

    async def metrics(self) -> dict[str, float]:
        """What the server says of itself, by the whole name of each sample."""
        reply = await self.ask("scraper", "GET", "/metrics")
        assert reply.status == 200, reply
        lines = (line.rpartition(" ") for line in reply.body.decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}


def asked(prompt: str, model: str, **fields: object) -> dict[str, object]:
    """A create request."""
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}


async def eventually(look: Any, *, within_s: float) -> bool:
    """Whether what is looked for was seen in time."""
    deadline = time.monotonic() + within_s
    while not await look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
