"""What a call and its reply are in the words of the conventions for generative AI. Pure.

The names are ours to keep: the conventions have left the main package of constants, where the old ones are deprecated.
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET

from hansard.contract import Document
from hansard.contract.request import JsonObjectFormat, JsonSchemaFormat, TextFormat
from hansard.core import normalize
from hansard.engines.base import Call

Value: TypeAlias = str | bool | int | float | Sequence[str]

TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Attribute and field of the request, where both mean the same.
_ASKED: Final = (
    ("gen_ai.request.temperature", "temperature"),
    ("gen_ai.request.top_p", "top_p"),
    ("gen_ai.request.seed", "seed"),
    ("gen_ai.request.frequency_penalty", "frequency_penalty"),
    ("gen_ai.request.presence_penalty", "presence_penalty"),
)


def of_call(call: Call, *, streams: bool, is_elsewhere: bool) -> Mapping[str, Value]:
    """What was asked for. An upstream speaks OpenAI's protocol, whoever it is; the embedded engine is ours."""
    request = call.request
    found: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai" if is_elsewhere else "hansard",
        "gen_ai.request.model": call.model,
        "gen_ai.request.stream": streams,
    }
    for name, field in _ASKED:
        value = getattr(request, field)
        if value is not UNSET and value is not None:
            found[name] = value
    if (most := _first(request.max_completion_tokens, request.max_tokens)) is not None:
        found["gen_ai.request.max_tokens"] = most
    if (choices := normalize.n(request)) != 1:
        found["gen_ai.request.choice.count"] = choices
    if isinstance(request.stop, str):
        found["gen_ai.request.stop_sequences"] = [request.stop]
    elif isinstance(request.stop, list):
        found["gen_ai.request.stop_sequences"] = request.stop
    if isinstance(request.response_format, TextFormat):
        found["gen_ai.output.type"] = "text"
    elif isinstance(request.response_format, JsonObjectFormat | JsonSchemaFormat):
        found["gen_ai.output.type"] = "json"
    return found


def of_head(document: Document) -> Mapping[str, Value]:
    """The id and the model that whoever answered named, where it did."""
    names = {"gen_ai.response.id": document.get("id"), "gen_ai.response.model": document.get("model")}
    return {name: value for name, value in names.items() if isinstance(value, str)}


def of_reply(made: Document) -> Mapping[str, Value]:
    """Why it ended and what it used."""
    found = {**of_head(made)}
    reasons = [choice.get("finish_reason") for choice in made.get("choices") or ()]
    if told := [reason for reason in reasons if isinstance(reason, str)]:
        found["gen_ai.response.finish_reasons"] = told
    usage = made.get("usage") or {}
    counts = {
        "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        "gen_ai.usage.reasoning.output_tokens": (usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    }
    # A span holds 64 bits, and nothing keeps an upstream to numbers that make sense.
    return found | {name: count for name, count in counts.items() if isinstance(count, int) and 0 <= count < 2**63}


def _first(*values: object) -> int | None:
    return next((value for value in values if isinstance(value, int)), None)
