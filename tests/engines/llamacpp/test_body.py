"""The body the engine gets: only what we know, in its own spelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hansard.contract.request import ChatRequest
from hansard.engines.llamacpp import body
from hansard.engines.llamacpp.prompt import Abilities
from hansard.errors import InvalidRequest

Ask = Callable[..., ChatRequest]

PLAIN = Abilities(knows_developer=False, sees_images=False)
JSON = [{"role": "user", "content": "In JSON, please"}]
TIMER = {"type": "function", "function": {"name": "timer", "parameters": {"type": "object", "properties": {}}}}


def sent(request: ChatRequest) -> dict[str, Any]:
    return body.order(request, PLAIN).body


def test_a_bare_request_sends_only_what_is_always_sent(request_of: Ask) -> None:
    assert sent(request_of()) == {
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 1.0,
        "top_p": 1.0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
    }


def test_what_was_sent_is_passed_on(request_of: Ask) -> None:
    fields = {
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "reasoning_effort": "low",
    }

    body_sent = sent(request_of(**fields))

    assert {name: body_sent[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 2**40}, {"max_tokens": 2**31 - 1}),
        ({"stop": "x"}, {"stop": ["x"]}),
        ({"stop": ["x", "y"]}, {"stop": ["x", "y"]}),
        ({"logit_bias": {"7": -100, "99999999999999": 5}}, {"logit_bias": [[7, -100], [2**31 - 1, 5]]}),
        ({"logprobs": True}, {"n_probs": 1}),
        ({"logprobs": True, "top_logprobs": 3}, {"n_probs": 3}),
        ({"tools": [TIMER]}, {"tools": [TIMER], "tool_choice": "auto", "parallel_tool_calls": True}),
        ({"response_format": {"type": "text"}}, {}),
    ],
)
def test_fields_in_the_engines_spelling(request_of: Ask, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(request_of(**fields)) == {**sent(request_of()), **expected}


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "u", "safety_identifier": "s", "service_tier": "flex", "verbosity": "low", "store": True},
        {"prompt_cache_key": "k", "prediction": {"type": "content", "content": "x"}, "modalities": ["text"]},
        {"temperature": None, "stop": None, "tools": None, "seed": None, "n": None, "response_format": None},
        {"grammar": "root ::= x", "id_slot": 1, "samplers": [], "lora": []},
    ],
)
def test_hints_nulls_and_unknown_fields_never_reach_the_engine(request_of: Ask, fields: dict[str, Any]) -> None:
    assert sent(request_of(**fields)) == sent(request_of())


AUDIO = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (AUDIO, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "m"}}, "moderation"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(request_of: Ask, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(request_of(**fields))

    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize("first", ["messages", "response_format", "tools", "web_search_options", "modalities"])
def test_of_several_things_it_cannot_do_the_first_field_is_told(request_of: Ask, first: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    broken = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "["}}
    fields = {
        "web_search_options": {},
        "modalities": ["audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        "messages": [{"role": "user", "content": [image]}],
        "tools": [{"type": "custom", "custom": {"name": "c", "format": broken}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": {"type": "no"}}},
    }
    request = request_of(**fields)
    names = [first, *(name for name in fields if name != first)]

    with pytest.raises(InvalidRequest) as caught:
        body.order(request, PLAIN, fields=names)

    assert re.split(r"[.\[]", caught.value.param or "")[0] == first


def test_stops_beside_log_probabilities_are_looked_for_here(request_of: Ask) -> None:
    order = body.order(request_of(stop=["a", "b"], logprobs=True), PLAIN)
    beside_tools = body.order(request_of(stop=["a", "b"], logprobs=True, tools=[TIMER]), PLAIN)

    assert (order.stops, "stop" in order.body, order.body["timings_per_token"]) == (["a", "b"], False, True)
    assert (beside_tools.stops, beside_tools.body["stop"]) == ((), ["a", "b"])


def test_a_model_that_thinks_is_asked_to_count(request_of: Ask) -> None:
    thinking = msgspec.structs.replace(PLAIN, thinks=True)

    assert body.order(request_of(), thinking).body == {**sent(request_of()), "timings_per_token": True}


def test_a_bias_is_of_the_number_however_it_is_spelled(request_of: Ask) -> None:
    biases = {"0": 1, "000000000000042": 2, "9" * 40: 3}

    assert sent(request_of(logit_bias=biases))["logit_bias"] == [[0, 1], [42, 2], [2**31 - 1, 3]]


def test_a_schema_that_no_grammar_holds_is_refused_by_its_name(request_of: Ask) -> None:
    impossible = {"type": "string", "format": "email", "maxLength": 2}
    with pytest.raises(InvalidRequest) as refused:
        sent(request_of(response_format={"type": "json_schema", "json_schema": {"name": "mail", "schema": impossible}}))

    assert refused.value.param == "response_format"
    assert refused.value.message.startswith("Invalid schema for response_format 'mail': Unsatisfiable schema")


@pytest.mark.parametrize("unknown", ["260", "0260", "9" * 40])
def test_a_bias_of_a_token_that_the_model_has_not_is_refused(request_of: Ask, unknown: str) -> None:
    small = msgspec.structs.replace(PLAIN, vocabulary=260)

    assert body.order(request_of(logit_bias={"259": 1}), small).body["logit_bias"] == [[259, 1]]
    with pytest.raises(InvalidRequest) as refused:
        body.order(request_of(logit_bias={"5": 1, unknown: 1}), small)

    assert (refused.value.param, refused.value.code) == (f"logit_bias.{unknown}", "invalid_value")
    assert refused.value.message == f"Invalid key in 'logit_bias': {unknown}. This model's tokens are 0 to 259."


def test_more_biases_than_tokens_are_refused(request_of: Ask) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body.order(
            request_of(logit_bias={"0" * zeros + "1": 1 for zeros in range(4)}),
            msgspec.structs.replace(PLAIN, vocabulary=3),
        )

    assert refused.value.param == "logit_bias"


@pytest.mark.parametrize(
    "choice", [{}, {"tool_choice": "required", "function_call": "none"}, {"function_call": "auto"}]
)
def test_tools_beside_functions_are_refused_and_neither_is_dropped(request_of: Ask, choice: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(request_of(tools=[TIMER], functions=[{"name": "get_weather"}], **choice))

    assert (refused.value.param, refused.value.code) == ("functions", "invalid_parameter_combination")
    assert refused.value.message == "Setting 'tools' and 'functions' at the same time is not supported with this model."


def test_no_tools_beside_functions_are_no_two_forms(request_of: Ask) -> None:
    alone = sent(request_of(functions=[{"name": "get_weather"}]))

    assert sent(request_of(functions=[{"name": "get_weather"}], tools=None)) == alone


def test_forced_tools_bind_the_output_to_one_call(request_of: Ask) -> None:
    forced = sent(request_of(tools=[TIMER], tool_choice="required"))

    assert forced["tools"] == [TIMER]
    assert forced["tool_choice"] == "none"
    assert forced["response_format"]["json_schema"]["schema"]["properties"]["name"] == {"const": "timer"}


def test_tools_beside_a_schema_bind_the_output_to_either(request_of: Ask) -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": tree}}

    bound = sent(request_of(tools=[TIMER], response_format=format_))

    call, answer = bound["response_format"]["json_schema"]["schema"]["anyOf"]
    assert call["properties"]["name"] == {"const": "timer"}
    assert answer == {"type": "object", "properties": {"next": {"$ref": "#/anyOf/1"}}}
    assert bound["tool_choice"] == "none"
    assert bound["messages"][0]["content"].startswith("Respond with JSON that matches this schema:\n")


def test_a_forced_call_needs_no_word_about_answers(request_of: Ask) -> None:
    forced = request_of(tools=[TIMER], tool_choice="required", response_format={"type": "json_object"}, messages=JSON)

    assert sent(forced)["messages"] == JSON


def test_no_tools_in_the_prompt_when_none_may_be_called(request_of: Ask) -> None:
    assert sent(request_of(tools=[TIMER], tool_choice="none")) == sent(request_of())


def test_the_prompt_says_what_the_schema_binds(request_of: Ask) -> None:
    described = {"type": "object", "properties": {"é": {"type": "string", "description": "a/b"}}}
    format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": described}}

    bound = sent(request_of(response_format=format_))

    assert bound["messages"][0] == {
        "role": "system",
        "content": 'Respond with JSON that matches this schema:\n{"type":"object","properties":{"é":'
        '{"type":"string","description":"a/b"}}}',
    }
    assert bound["response_format"] == {"type": "json_schema", "json_schema": {"schema": described}}


def test_bounds_that_every_integer_of_zods_has_are_held_but_not_told(request_of: Ask) -> None:
    safe = {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991}
    described = {
        "properties": {"age": safe, "minimum": {"type": "integer", "minimum": 1}},
        "default": {"minimum": None},
    }
    format_ = {"type": "json_schema", "json_schema": {"name": "n", "schema": described}}

    bound = sent(request_of(response_format=format_))

    assert bound["messages"][0]["content"].removeprefix("Respond with JSON that matches this schema:\n") == (
        '{"properties":{"age":{"type":"integer"},"minimum":{"type":"integer","minimum":1}},"default":{"minimum":null}}'
    )
    assert bound["response_format"]["json_schema"]["schema"] == described


@pytest.mark.parametrize("format_", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "n"}}])
def test_any_object_when_no_schema_says_more(request_of: Ask, format_: dict[str, Any]) -> None:
    messages = [{"role": "developer", "content": "Speak JSON."}, {"role": "user", "content": "Hi"}]

    bound = sent(request_of(messages=messages, response_format=format_))

    assert bound["messages"][0]["content"] == "Speak JSON.\n\nRespond with a JSON object."
    assert bound["response_format"] == {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}


def test_a_broken_schema_is_refused_in_the_apis_words(request_of: Ask) -> None:
    format_ = {"type": "json_schema", "json_schema": {"name": "router", "schema": {"pattern": "("}}}

    with pytest.raises(InvalidRequest) as caught:
        sent(request_of(response_format=format_))

    assert caught.value.param == "response_format"
    assert caught.value.message == (
        """Invalid schema for response_format 'router': In context=('pattern',), "(" is not a "regex"."""
    )


@pytest.mark.parametrize(("seed", "taken"), [(0, 0), (7, 7), (2**32 - 1, 0), (2**32, 1), (-1, 2**32 - 2)])
def test_seeds_fit_the_engine_and_never_mean_random(seed: int, taken: int) -> None:
    assert body.seeded({}, seed) == {"seed": taken}
