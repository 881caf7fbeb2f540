"""The dialogues that `hansard-tiny` is trained on, and is asked fresh ones of."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest

from model.chat import Dialogue, listed
from model.dialogues import CATEGORIES, schemas, stream, tools
from model.evaluate import fresh, out_of_world_prompts
from model.world import CAPITALS, REFUSAL

SAMPLES = 3000


@pytest.fixture(scope="module")
def samples() -> list[Dialogue]:
    return list(islice(stream(seed=5), SAMPLES))


def questions(dialogue: Dialogue) -> list[str]:
    return [str(message["content"]) for message in dialogue.messages if message["role"] == "user"]


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_is_a_function_of_its_seed(category: str) -> None:
    assert fresh(category, count=20) == fresh(category, count=20)


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_dialogue_ends_with_the_assistant(category: str) -> None:
    for dialogue in fresh(category, count=20):
        assert dialogue.answer["role"] == "assistant"
        assert dialogue.messages[-2]["role"] in {"user", "tool"}


def test_training_is_the_same_for_the_same_seed(samples: list[Dialogue]) -> None:
    assert list(islice(stream(seed=5), 100)) == samples[:100]


def test_other_seeds_give_other_dialogues(samples: list[Dialogue]) -> None:
    assert list(islice(stream(seed=6), 100)) != samples[:100]


def test_the_handwritten_prompts_are_two_hundred_different_ones() -> None:
    prompts = out_of_world_prompts()

    assert len(prompts) == len(set(prompts)) == 200


def test_training_never_sees_a_handwritten_prompt(samples: list[Dialogue]) -> None:
    handwritten = {prompt.lower().rstrip("?.! ") for prompt in out_of_world_prompts()}
    asked = {question.lower().rstrip("?.! ") for dialogue in samples for question in questions(dialogue)}

    assert not handwritten & asked


def test_one_question_never_has_two_answers(samples: list[Dialogue]) -> None:
    answers: dict[str, set[str]] = {}
    for dialogue in samples:
        if len(dialogue.messages) == 2 and not dialogue.tools:
            answers.setdefault(questions(dialogue)[0], set()).add(str(dialogue.answer["content"]))

    assert [question for question, given in answers.items() if len(given) > 1] == []


def test_a_called_tool_is_offered_and_gets_its_required_arguments() -> None:
    for dialogue in fresh("tool calls", count=200):
        called = (dialogue.answer["tool_calls"])[0]["function"]
        definition = {tool["function"]["name"]: tool["function"]["parameters"] for tool in dialogue.tools}[
            called["name"]
        ]
        assert set(definition["required"]) <= set(json.loads(called["arguments"])) <= set(definition["properties"])


def test_a_json_answer_has_the_keys_of_its_schema_in_order() -> None:
    for dialogue in fresh("JSON by schema", count=200):
        assert dialogue.schema is not None
        assert list(json.loads(str(dialogue.answer["content"]))) == list(dialogue.schema["properties"])


def test_the_schema_stands_in_the_system_message_as_the_server_writes_it() -> None:
    for dialogue in fresh("JSON by schema", count=20):
        written = json.dumps(dialogue.schema, separators=(",", ":"), ensure_ascii=False)
        assert str(dialogue.messages[0]["content"]).endswith(f"Respond with JSON that matches this schema:\n{written}")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "unknown"),
        ({"type": "integer"}, 0),
        ({"type": "boolean"}, False),
        ({"type": ["string", "null"]}, None),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object", "properties": {"id": {"type": "integer"}}}, {"id": 0}),
    ],
)
def test_what_a_prompt_does_not_say_has_one_value_for_each_type(schema: dict[str, object], value: object) -> None:
    assert schemas.unknown_value(schema) == value


def test_near_misses_never_ask_for_a_known_capital() -> None:
    for dialogue in fresh("near misses", count=500):
        assert dialogue.answer["content"] == REFUSAL
        question = questions(dialogue)[0].lower().rstrip("?.! ")
        assert not any(question.endswith(f"capital of {country.lower()}") for country in CAPITALS)


def test_rival_tools_are_never_offered_together() -> None:
    rng = random.Random(3)
    for _ in range(500):
        kinds = {tool.kind.names[0] for tool in tools.offered(rng)}
        assert all(len(kinds.intersection(group)) < 2 for group in tools.RIVALS)


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_read_as_english(items: list[str], text: str) -> None:
    assert listed(items) == text
