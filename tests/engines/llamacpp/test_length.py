"""How long a prompt is at least."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.engines.llamacpp.length import Least
from hansard.errors import InvalidRequest

LEAST = Least(of_message={"user": 5, "assistant": 4}, longest_token=10)


def said(*contents: Any, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for content in contents]


@pytest.mark.parametrize(
    "conversation",
    [
        said("a" * 150),
        said(*[""] * 40),
        said(*[""] * 50, role="assistant"),
        said("a" * 9000, role="assistant"),  # thoughts of earlier answers are left out by some templates
        said(" " * 9000),  # and spaces trimmed
        said(*["a"] * 90, role="system"),  # of such a role nothing is known
        said([{"type": "image_url", "image_url": {"url": "data:" + "a" * 9000}}]),
    ],
)
def test_what_may_be_shorter_is_counted_by_the_engine(conversation: list[dict[str, Any]]) -> None:
    assert not is_refused(conversation)


def is_refused(conversation: list[dict[str, Any]]) -> bool:
    try:
        LEAST.check(conversation, context=100)
    except InvalidRequest:
        return True
    return False


@pytest.mark.parametrize(
    ("conversation", "least"),
    [
        (said(*[""] * 41), 205),
        (said(*["aa "] * 41), 205 + 8),
        (said(*[""] * 20) + said(*[None] * 26, role="assistant"), 204),
        (said("a b" * 1000), 5 + 200),
    ],
)
def test_what_is_far_too_long_is_refused_with_the_least_that_it_has(
    conversation: list[dict[str, Any]], least: int
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        LEAST.check(conversation, context=100)

    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    assert caught.value.message == (
        "This model's maximum context length is 100 tokens. However, your messages resulted in "
        f"at least {least} tokens. Please reduce the length of the messages."
    )
