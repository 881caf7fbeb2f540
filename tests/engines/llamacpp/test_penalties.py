"""Penalties count the answer: what the prompt would be charged is given back."""

from __future__ import annotations

from typing import Any

import pytest

from hansard.engines.llamacpp import penalties


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, False),
        ({"presence_penalty": 0, "frequency_penalty": 0.0}, False),
        ({"presence_penalty": -0.1}, True),
        ({"frequency_penalty": 2}, True),
    ],
)
def test_only_who_asks_for_penalties_gets_them(body: dict[str, Any], wanted: bool) -> None:
    assert penalties.wanted(body) is wanted


@pytest.mark.parametrize(
    ("asked", "biases"),
    [
        ({"presence_penalty": 0.5}, [[7, 0.5], [8, 0.5]]),
        ({"frequency_penalty": 0.5}, [[7, 1.0], [8, 0.5]]),
        ({"presence_penalty": 1.0, "frequency_penalty": -0.25}, [[7, 0.5], [8, 0.75]]),
    ],
)
def test_each_token_of_the_prompt_gets_back_what_it_is_charged(asked: dict[str, Any], biases: list[Any]) -> None:
    body = penalties.of_answer({"messages": [], **asked}, [7, 8, 7], context=512)

    assert body == {"messages": [], **asked, "repeat_last_n": 512, "logit_bias": biases}


def test_a_clients_own_biases_stay() -> None:
    body = penalties.of_answer({"presence_penalty": 1, "logit_bias": [[7, -100]]}, [7], context=512)

    assert body["logit_bias"] == [[7, -100], [7, 1]]
