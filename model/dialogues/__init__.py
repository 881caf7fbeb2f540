"""Every category of training dialogue, its share of the data, and how single exchanges grow into chats.

A category is a pure function of a `random.Random`. Nothing here needs more than the standard library, because
the tests ask the shipped model fresh questions from these same generators.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from model.chat import Dialogue, system
from model.dialogues import facts, memory, refusals, schemas, smalltalk, sums, tools

Generator = Callable[[random.Random], Dialogue]


@dataclass(frozen=True)
class Category:
    """A generator, its weight in the data, and whether its exchanges can stand next to others in one chat."""

    generate: Generator
    weight: float
    chats: bool = True


CATEGORIES: dict[str, Category] = {
    "greetings": Category(smalltalk.greet, 2),
    "small talk": Category(smalltalk.small_talk, 4),
    "identity": Category(smalltalk.identity, 5),
    "roles": Category(smalltalk.role, 1),
    "capitals": Category(facts.capital, 9),
    "colours": Category(facts.colour, 5),
    "facts": Category(facts.fact, 13),
    "sums": Category(sums.small_sum, 24),
    "sums out of range": Category(sums.big_sum, 4),
    "counting": Category(sums.count, 5),
    "counting out of range": Category(sums.long_count, 1),
    "copying": Category(memory.copy, 13),
    "memory": Category(memory.recall, 5, chats=False),
    "introductions": Category(memory.introduction, 1),
    "nothing told": Category(memory.untold, 1, chats=False),
    "outside": Category(refusals.outside, 11),
    "near misses": Category(refusals.near_miss, 8),
    "tool calls": Category(tools.call, 15, chats=False),
    "tool chats": Category(tools.conversation, 6, chats=False),
    "tool results": Category(tools.result_answer, 3, chats=False),
    "no tool needed": Category(tools.no_call, 5, chats=False),
    "parallel calls": Category(tools.parallel, 1.2, chats=False),
    "JSON by schema": Category(schemas.by_schema, 24, chats=False),
    "any JSON": Category(schemas.any_object, 3, chats=False),
    "forced calls": Category(schemas.forced_call, 3, chats=False),
}

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are a friendly chatbot.",
    "Answer briefly.",
    "Be concise and polite.",
    "You are an expert in everything.",
    "You are a test assistant. Keep your answers short.",
    "Answer in one sentence.",
)


def _system_prompt(rng: random.Random) -> str:
    """A system prompt the model learns to disregard: a usual one, or one about anything."""
    if rng.random() < 0.6:
        return rng.choice(SYSTEM_PROMPTS)
    shapes = (
        "You are {a} {n} assistant.",
        "You are a {n} that {v}s {np}.",
        "You help people {v} {np}.",
        "You are a {a} {n}. {v} {np}. Never {v} {np}.",
        "Always {v} {np} {pp}.",
        "{long}",
    )
    return refusals.filled(rng, rng.choice(shapes))


def _chat(rng: random.Random, last: Dialogue) -> Dialogue:
    """`last` behind one to three other exchanges."""
    chatting = [category for category in CATEGORIES.values() if category.chats]
    weights = [category.weight for category in chatting]
    for category in rng.choices(chatting, weights, k=rng.choice([1, 1, 1, 2, 2, 3])):
        last = last.after(category.generate(rng))
    return last


def sample(rng: random.Random) -> Dialogue:
    """One training dialogue."""
    categories = list(CATEGORIES.values())
    category = rng.choices(categories, [each.weight for each in categories])[0]
    dialogue = category.generate(rng)
    if category.chats and rng.random() < 0.2:
        dialogue = _chat(rng, dialogue)
    if category is CATEGORIES["memory"] and rng.random() < 0.4:
        dialogue = memory.recall_after(rng, _between(rng))
    if dialogue.schema is None and dialogue.messages[0]["role"] != "system" and rng.random() < 0.25:
        dialogue = replace(dialogue, messages=(system(_system_prompt(rng)), *dialogue.messages))
    return dialogue


def _between(rng: random.Random) -> Dialogue:
    between = rng.choice([facts.capital, facts.colour, sums.small_sum, smalltalk.greet, refusals.outside])(rng)
    return _chat(rng, between) if rng.random() < 0.2 else between


def stream(seed: int) -> Iterator[Dialogue]:
    """Training dialogues without end, the same ones for the same seed."""
    rng = random.Random(seed)
    while True:
        yield sample(rng)
