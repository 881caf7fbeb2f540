"""The shipped file: what its description says, and how well it does what the model card says it does.

Greedy answers to fresh prompts, a few dozen in each category so that this stays under a minute on two cores. The
model card has the numbers for larger samples; the gates here are a little lower, because a small sample scatters.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import hansard.engines.builtin
from model.dialogues import CATEGORIES
from model.evaluate import Engine, Sampling, fresh, opened, out_of_world, score

DIRECTORY = Path(str(hansard.engines.builtin.__file__)).parent
FILE = DIRECTORY / "hansard-tiny.gguf"
SIZE_LIMIT_BYTES = 6_000_000
COUNT = 60

GATES: dict[str, float] = {
    "greetings": 0.94,
    "small talk": 0.94,
    "identity": 0.94,
    "roles": 0.92,
    "capitals": 0.94,
    "colours": 0.94,
    "facts": 0.94,
    "sums": 0.94,
    "sums out of range": 0.94,
    "counting": 0.94,
    "counting out of range": 0.94,
    "copying": 0.94,
    "memory": 0.92,
    "introductions": 0.92,
    "nothing told": 0.94,
    "outside": 0.92,
    "near misses": 0.88,
    "tool calls": 0.88,
    "tool chats": 0.82,
    "tool results": 0.86,
    "no tool needed": 0.72,
    "parallel calls": 0.72,
    "JSON by schema": 0.82,
    "any JSON": 0.72,
    "forced calls": 0.74,
}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def engine() -> Engine:
    return opened(FILE)


def test_the_description_fits_the_file(description: dict[str, Any]) -> None:
    content = FILE.read_bytes()

    assert description["name"] == "hansard-tiny"
    assert description["sha256"] == hashlib.sha256(content).hexdigest()
    assert description["size_bytes"] == len(content) <= SIZE_LIMIT_BYTES


def test_every_category_has_a_gate() -> None:
    assert GATES.keys() == CATEGORIES.keys()


@pytest.mark.parametrize("category", CATEGORIES)
def test_fresh_prompts_are_answered_as_the_card_says(engine: Engine, category: str) -> None:
    result = score(engine, category, fresh(category, count=COUNT))

    assert result.share >= GATES[category], result.misses[:3]


def test_prompts_outside_its_world_are_declined(engine: Engine) -> None:
    result = score(engine, "handwritten", out_of_world())

    assert result.share >= 0.95, result.misses


def test_sampling_at_full_temperature_keeps_facts_right(engine: Engine) -> None:
    result = score(engine, "capitals", fresh("capitals", count=COUNT), sampling=Sampling(temperature=1.0))

    assert result.share >= 0.9, result.misses[:3]


def test_it_says_what_it_is(engine: Engine) -> None:
    answer = engine.handle_chat_completions(
        {"messages": [{"role": "user", "content": "Who are you?"}], "temperature": 0}
    )

    assert "I am hansard-tiny, a tiny demonstration model" in answer["choices"][0]["message"]["content"]
