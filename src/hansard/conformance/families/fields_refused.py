"""What create refuses of single fields: their types, bounds, values, parts and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hansard.conformance.checks import OFFICIAL, REFUSABLE, REPORTED, Check, decision
from hansard.conformance.tables import refuses

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}

# A value of a type that the field does not have.
_WRONG_TYPES: dict[str, Any] = {
    "model": 5,
    "messages": "Hi",
    "store": "yes",
    "metadata": ["a"],
    "stream": "yes",
    "stream_options": "usage",
    "max_completion_tokens": "5",
    "temperature": "hot",
    "top_p": "all",
    "presence_penalty": "high",
    "frequency_penalty": "high",
    "n": "2",
    "stop": 5,
    "seed": "x",
    "logit_bias": ["1"],
    "logprobs": "yes",
    "top_logprobs": "2",
    "response_format": "json",
    "tools": {"type": "function"},
    "tool_choice": 5,
    "functions": {"name": "f"},
    "function_call": 5,
    "reasoning_effort": 5,
    "verbosity": 5,
    "modalities": "text",
    "audio": "alloy",
    "prediction": "text",
    "web_search_options": "on",
    "service_tier": 5,
    "prompt_cache_key": 5,
    "prompt_cache_retention": 24,
    "prompt_cache_options": "30m",
    "safety_identifier": 5,
    "moderation": "on",
    "user": 5,
}

# Fields that mean something only beside another one, which comes behind: of mistakes the first is told.
_BESIDE: dict[str, dict[str, Any]] = {
    "metadata": {"store": True},
    "stream_options": {"stream": True},
    "top_logprobs": {"logprobs": True},
    "tool_choice": {"tools": [TOOL]},
    "function_call": {"functions": [{"name": "f"}]},
}


def _word(path: str) -> str:
    return path.replace("[", "_").replace("]", "").replace(".", "_")


def _demands(*names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in REFUSABLE - {"messages"})


def _wrong_types() -> Iterator[Check]:
    for name, value in _WRONG_TYPES.items():
        yield refuses(
            f"{name}_of_another_type",
            f"'{name}' of another JSON type is 400 invalid_type, and param names it.",
            OFFICIAL,
            REPORTED,
            fields={name: value, **_BESIDE.get(name, {})},
            param=name,
            code="invalid_type",
            demands=_demands(name, *_BESIDE.get(name, {})),
        )


WRONG_TYPES = tuple(_wrong_types())

# field, value, how the code ends, and the recorded text if there is one
_BOUNDS: tuple[tuple[str, Any, str, str | None], ...] = (
    ("temperature", -0.5, "decimal_below_min_value", None),
    ("temperature", 2.5, "decimal_above_max_value", None),
    ("top_p", -0.5, "decimal_below_min_value", None),
    ("top_p", 1.5, "decimal_above_max_value", None),
    ("presence_penalty", -2.5, "decimal_below_min_value", None),
    ("presence_penalty", 2.5, "decimal_above_max_value", None),
    ("frequency_penalty", -2.5, "decimal_below_min_value", None),
    ("frequency_penalty", 2.5, "decimal_above_max_value", None),
    (
        "max_tokens",
        -1,
        "integer_below_min_value",
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got -1 instead.",
    ),
    ("max_completion_tokens", 0, "integer_below_min_value", None),
    ("n", 0, "integer_below_min_value", None),
    (
        "n",
        130,
        "integer_above_max_value",
        "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 130 instead.",
    ),
    ("top_logprobs", -1, "integer_below_min_value", None),
    ("top_logprobs", 21, "integer_above_max_value", None),
)


def _out_of_bounds() -> Iterator[Check]:
    for name, value, code, message in _BOUNDS:
        side = "below_its_bound" if "below" in code else "above_its_bound"
        yield refuses(
            f"{name}_{side}",
            f"'{name}': {value} is 400 {code}.",
            OFFICIAL,
            REPORTED,
            fields={name: value, **_BESIDE.get(name, {})},
            param=name,
            code=code,
            message=message,
            demands=_demands(name, *_BESIDE.get(name, {})),
        )


OUT_OF_BOUNDS = tuple(_out_of_bounds())

# field, its whole value, and the path of what is not one of the values there are
_VALUES: tuple[tuple[str, Any, str], ...] = (
    ("reasoning_effort", "huge", "reasoning_effort"),
    ("verbosity", "loud", "verbosity"),
    ("modalities", ["text", "smell"], "modalities[1]"),
    ("service_tier", "gold", "service_tier"),
    ("prompt_cache_retention", "12h", "prompt_cache_retention"),
    ("prompt_cache_options", {"mode": "maybe"}, "prompt_cache_options.mode"),
    ("prompt_cache_options", {"mode": "explicit", "ttl": "5m"}, "prompt_cache_options.ttl"),
    ("prediction", {"type": "guess", "content": "x"}, "prediction.type"),
    ("audio", {"voice": "alloy", "format": "midi"}, "audio.format"),
    ("web_search_options", {"search_context_size": "huge"}, "web_search_options.search_context_size"),
    ("moderation", {"model": "m", "policy": {"input": {"mode": "guess"}}}, "moderation.policy.input.mode"),
    ("response_format", {"type": "yaml"}, "response_format.type"),
    ("tool_choice", "maybe", "tool_choice"),
    ("tool_choice", {"type": "plugin", "function": {"name": "f"}}, "tool_choice.type"),
)


def _unknown_values() -> Iterator[Check]:
    for name, value, path in _VALUES:
        yield refuses(
            f"{_word(path)}_of_unknown_value",
            f"A value that '{path}' does not have is 400 invalid_value, and param is that path.",
            OFFICIAL,
            REPORTED,
            fields={name: value, **_BESIDE.get(name, {})},
            param=path,
            code="invalid_value",
            # Of unknown types an engine's abilities are no excuse: it need not even look.
            demands=() if path.endswith(".type") else _demands(name, *_BESIDE.get(name, {})),
        )


UNKNOWN_VALUES = tuple(_unknown_values())

# field, its whole value, and the path of what it lacks
_MISSING: tuple[tuple[str, Any, str], ...] = (
    ("audio", {"format": "wav"}, "audio.voice"),
    ("audio", {"voice": "alloy"}, "audio.format"),
    ("prediction", {"type": "content"}, "prediction.content"),
    ("moderation", {}, "moderation.model"),
    ("response_format", {}, "response_format.type"),
    ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        "response_format.json_schema.name",
    ),
)


def _missing_parts() -> Iterator[Check]:
    for name, value, path in _MISSING:
        yield refuses(
            f"{name}_without_{path.rpartition('.')[2]}",
            f"'{name}' without '{path}' is 400 missing_required_parameter, and param is that path.",
            OFFICIAL,
            REPORTED,
            fields={name: value},
            param=path,
            code="missing_required_parameter",
            message=f"Missing required parameter: '{path}'.",
            demands=_demands(name),
        )


MISSING_PARTS = tuple(_missing_parts())


SIZES = (
    refuses(
        "five_stop_texts",
        "More than four stop texts are 400 array_above_max_length.",
        OFFICIAL,
        REPORTED,
        fields={"stop": ["a", "b", "c", "d", "e", "f", "g", "h", "i"]},
        param="stop",
        code="array_above_max_length",
        message="Invalid 'stop': array too long. Expected an array with maximum length 4, "
        "but got an array with length 9 instead.",
    ),
    refuses(
        "no_stop_text",
        "An empty array of stop texts is 400 empty_array.",
        OFFICIAL,
        REPORTED,
        fields={"stop": []},
        param="stop",
        code="empty_array",
    ),
    refuses(
        "a_long_metadata_value",
        "A metadata value of more than 512 characters is 400 string_above_max_length, and param names its key.",
        REPORTED,
        fields={"store": True, "metadata": {"actual": "x" * 695}},
        param="metadata.actual",
        code="string_above_max_length",
        message="Invalid 'metadata.actual': string too long. Expected a string with maximum length 512, "
        "but got a string with length 695 instead.",
    ),
    refuses(
        "a_long_metadata_key",
        "A metadata key of more than 64 characters is 400.",
        OFFICIAL,
        fields={"store": True, "metadata": {"k" * 65: "x"}},
    ),
    refuses(
        "seventeen_metadata_pairs",
        "More than 16 metadata pairs are 400, param metadata.",
        OFFICIAL,
        fields={"store": True, "metadata": {f"k{number}": "x" for number in range(17)}},
        param="metadata",
    ),
    refuses(
        "a_metadata_value_that_is_no_string",
        "A metadata value that is no string is 400 invalid_type, and param names its key.",
        OFFICIAL,
        decision(31),
        fields={"store": True, "metadata": {"tries": 3}},
        param="metadata.tries",
        code="invalid_type",
    ),
    refuses(
        "a_long_safety_identifier",
        "A safety identifier of more than 128 characters is 400 string_above_max_length.",
        OFFICIAL,
        fields={"safety_identifier": "x" * 129},
        param="safety_identifier",
        code="string_above_max_length",
    ),
    refuses(
        "logit_bias_above_100",
        "A bias above 100 is 400, and param names its token.",
        OFFICIAL,
        fields={"logit_bias": {"5": 101}},
        param="logit_bias.5",
        code="integer_above_max_value",
        demands=("logit_bias",),
    ),
    refuses(
        "logit_bias_below_minus_100",
        "A bias below -100 is 400, and param names its token.",
        OFFICIAL,
        fields={"logit_bias": {"5": -101}},
        param="logit_bias.5",
        code="integer_below_min_value",
        demands=("logit_bias",),
    ),
    refuses(
        "logit_bias_of_what_is_no_token",
        "A bias is for a token id; another key is 400, and param names it.",
        OFFICIAL,
        fields={"logit_bias": {"5": 1, "hello": 1}},
        param="logit_bias.hello",
        demands=("logit_bias",),
    ),
)
