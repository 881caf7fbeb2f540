"""Penalties that count the answer and not the prompt.

The API counts "how often that token was sampled prior to the current position" (official document); the engine counts
the last 64 tokens, the prompt's and its template's among them. Pure: what the engine asks for this is asked elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hansard.contract import Document

PENALTIES = ("presence_penalty", "frequency_penalty")


def wanted(body: Document) -> bool:
    """Whether this body asks for any."""
    return any(body.get(name) for name in PENALTIES)


def of_answer(body: Document, prompt: Sequence[int], *, context: int) -> Document:
    """The body with a bias for each token of the prompt that takes back what the engine will count against it.

    Exact for frequencies. Of presence it leaves nothing where a token of the prompt comes again in the answer, because
    a bias cannot wait for that.
    """
    presence, frequency = (body.get(name, 0) for name in PENALTIES)
    taken_back = [[token, presence + frequency * count] for token, count in Counter(prompt).items()]
    # The window over the whole context, or else tokens would leave it that the biases still speak of.
    return {**body, "repeat_last_n": context, "logit_bias": [*body.get("logit_bias", ()), *taken_back]}
