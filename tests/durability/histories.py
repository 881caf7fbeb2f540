"""What becomes of a completion in a test: a history of steps, each acknowledged before the next one is asked for.

A history follows from its name alone. So whoever finds a database knows what may be in it: after ``n`` acknowledged
steps the completion is as the ``n``-th left it, or, if one more was under way, as that one leaves it.
"""

from __future__ import annotations

import random
from typing import Final

import msgspec

from hansard.store.base import Outcome, Record
from hansard.store.sql import SqlStore
from tests.store.sound import reply, sound_outcome, sound_record

PROJECT: Final = "p"

# Prose, so that it shrinks neither to nothing nor not at all where it is compressed.
_WORDS: Final = ("the", "honourable", "member", "has", "asked", "whether", "ministers", "will", "lay", "papers", "upon")


class History(msgspec.Struct, frozen=True):
    """``states`` are what the completion is before the first step, and after each; None is none."""

    name: str
    states: tuple[Record | None, ...]
    outcome: Outcome | None


def history(name: str) -> History:
    """Inserted, mostly with a key; then perhaps given other metadata; then perhaps deleted."""
    chance = random.Random(name)
    inserted = _record(name, chance)
    states: list[Record | None] = [None, inserted]
    if chance.random() < 0.3:
        states.append(msgspec.structs.replace(inserted, metadata={"name": name, "tier": "gold"}))
    if chance.random() < 0.2:
        states.append(None)
    outcome = sound_outcome(f"key of {name}", reply=inserted.reply, expires=2**40) if chance.random() < 0.3 else None
    return History(name, tuple(states), outcome)


async def take(step: int, store: SqlStore, told: History) -> None:
    """Bring the completion from the state before ``step`` into that of it; returns once that is acknowledged."""
    before, after = told.states[step - 1 : step + 1]
    name = f"chatcmpl-{told.name}"
    if after is None:
        assert await store.delete(PROJECT, name)
    elif before is not None:
        assert await store.set_metadata(PROJECT, name, after.metadata) == after
    elif told.outcome is not None:
        assert await store.remember(told.outcome, after) == told.outcome
    else:
        await store.insert(after)


def _record(name: str, chance: random.Random) -> Record:
    """Its answer may lie within a page of the file, or reach over several."""
    words = " ".join(chance.choices(_WORDS, k=chance.choice((3, 30, 300, 3000))))
    plain = sound_record(name, metadata={"name": name, "tier": "tin"})
    said = msgspec.json.decode(reply(plain))
    said["choices"][0]["message"]["content"] = words
    return msgspec.structs.replace(plain, reply=msgspec.json.encode(said))
