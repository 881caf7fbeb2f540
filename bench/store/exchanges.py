"""Completions as clients and Hansard write them, their text from the corpus: single turns, conversations, or both.

Requests are spelled as the official client spells them, replies as Hansard does with the API before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

import msgspec

from bench.store.corpus import Corpus
from hansard.core import ids
from hansard.core.stamp import Stamp
from hansard.store.base import Record
from hansard.tenancy import DEFAULT_PROJECT

SLOTS: Final = 64
"""Clients that write at a time: of each slice of so many records no two belong to one conversation."""
TURNS: Final = 10
PROMPT, ANSWER = 1_200, 1_800
"""Characters, on average."""

_MODEL, _RESOLVED = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"
_USERS, _FEATURES = 500, ("draft", "explain", "review", "search", "translate")
_BEGIN_MS: Final = 1_790_000_000_000
_EVERY_MS: Final = 400


@dataclass(frozen=True)
class Shape:
    """What is sent: so many of the slots hold conversations that resend their history, the others single turns."""

    name: str
    conversing: int
    at_most: float
    """Bytes on disk for a byte of JSON: the bar."""


SINGLE: Final = Shape("single turns", conversing=0, at_most=0.8)
CONVERSATIONS: Final = Shape(f"conversations of {TURNS} turns", conversing=SLOTS, at_most=0.25)
HALF: Final = Shape("half and half", conversing=SLOTS // 2, at_most=0.35)
SHAPES: Final = (SINGLE, CONVERSATIONS, HALF)


@dataclass(frozen=True)
class Exchange:
    """What was said until now, and the answer to it; ``metadata`` says by whom."""

    messages: Sequence[dict[str, str]]
    answer: str
    metadata: dict[str, str]


def records(shape: Shape, count: int, *, corpus: Corpus, seed: int) -> Iterator[Record]:
    """``count`` of them in the order of their creation; every passage of the corpus is said once."""
    chance = random.Random(seed)
    # One passage of prose, one of code, in turns, whichever slot takes it.
    kinds = cycle(("prose", "code"))
    slots = [
        _exchanges(TURNS if number < shape.conversing else 1, corpus=corpus, kinds=kinds, chance=chance)
        for number in range(SLOTS)
    ]
    for number, slot in enumerate(islice(cycle(slots), count)):
        yield _record(next(slot), now_ms=_BEGIN_MS + _EVERY_MS * number + chance.randrange(_EVERY_MS), chance=chance)


def _exchanges(turns: int, *, corpus: Corpus, kinds: Iterator[str], chance: random.Random) -> Iterator[Exchange]:
    while True:
        metadata = {"user": f"u-{chance.randrange(_USERS):04}", "feature": chance.choice(_FEATURES)}
        messages: list[dict[str, str]] = []
        for _ in range(turns):
            kind = next(kinds)
            messages = [*messages, {"role": "user", "content": corpus.passage(kind, mean=PROMPT)}]
            answer = corpus.passage(kind, mean=ANSWER)
            yield Exchange(messages, answer, metadata)
            messages = [*messages, {"role": "assistant", "content": answer}]


def _record(exchange: Exchange, *, now_ms: int, chance: random.Random) -> Record:
    completion_id = ids.completion_id(now_ms, chance.randbytes(ids.ENTROPY_BYTES))
    return Record(
        project=DEFAULT_PROJECT,
        id=completion_id,
        created=now_ms // 1000,
        model=_RESOLVED,
        requested_model=_MODEL,
        request_id=ids.request_id(chance.randbytes(ids.ENTROPY_BYTES)),
        metadata=exchange.metadata,
        seed=chance.randrange(2**31),
        request=request_body(exchange),
        reply=_reply_body(exchange, completion_id=completion_id, created=now_ms // 1000),
        engine="openai",
        upstream_id=ids.completion_id(now_ms, chance.randbytes(ids.ENTROPY_BYTES)),
        first_token_ms=None,
        total_ms=chance.randrange(500, 20_000),
    )


def parameters(exchange: Exchange) -> dict[str, Any]:
    """What the client is called with, in the order in which it sends them."""
    return {
        "model": _MODEL,
        "messages": exchange.messages,
        "max_completion_tokens": 2048,
        "metadata": exchange.metadata,
        "store": True,
        "temperature": 0.7,
    }


def request_body(exchange: Exchange) -> bytes:
    """As the official client sends it: no spaces, and characters as they are."""
    return msgspec.json.encode(parameters(exchange))


def _reply_body(exchange: Exchange, *, completion_id: str, created: int) -> bytes:
    stamp = Stamp(completion_id=completion_id, created=created, model=_MODEL, include_usage=False)
    return msgspec.json.encode(stamp.completion(_answer(exchange)))


def _answer(exchange: Exchange) -> dict[str, Any]:
    """What the API answers: every key that it sends."""
    read = sum(len(message["content"]) for message in exchange.messages) // 4
    written = len(exchange.answer) // 4
    message: dict[str, Any] = {"role": "assistant", "content": exchange.answer, "refusal": None, "annotations": []}
    return {
        "model": _RESOLVED,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
    }
