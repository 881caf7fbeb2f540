"""The body of ``POST /chat/completions``: 37 fields, their types and their bounds. And that of an update.

Bounds that need two fields at once live in ``core.rules``. Keys not named here are let through:
an upstream may know them. Objects typed ``dict[str, Any]`` are free-form JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct

from hansard.contract.messages import Maybe, Message, Name, TextContent


class FunctionDefinition(Struct, frozen=True, kw_only=True):
    """``parameters`` absent means a function without arguments."""

    name: Name
    description: Maybe[str] = UNSET
    parameters: Maybe[dict[str, Any]] = UNSET
    strict: Maybe[bool] = UNSET


class FunctionTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    function: FunctionDefinition


class Grammar(Struct, frozen=True, kw_only=True):
    syntax: Literal["lark", "regex"]
    definition: str


class CustomTextFormat(Struct, frozen=True, kw_only=True, tag_field="type", tag="text", forbid_unknown_fields=True):
    pass


class CustomGrammarFormat(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="grammar", forbid_unknown_fields=True
):
    grammar: Grammar


class CustomDefinition(Struct, frozen=True, kw_only=True):
    """A tool that takes one free text, perhaps bound by a grammar."""

    name: Name
    description: Maybe[str] = UNSET
    format: Maybe[CustomTextFormat | CustomGrammarFormat] = UNSET


class CustomTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    custom: CustomDefinition


Tool: TypeAlias = FunctionTool | CustomTool


class ToolName(Struct, frozen=True, kw_only=True):
    name: str


class FunctionChoice(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    function: ToolName


class CustomChoice(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    custom: ToolName


class AllowedTools(Struct, frozen=True, kw_only=True):
    mode: Literal["auto", "required"]
    tools: list[FunctionChoice | CustomChoice]


class AllowedToolsChoice(Struct, frozen=True, kw_only=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: AllowedTools


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice


class LegacyFunction(Struct, frozen=True, kw_only=True):
    """One of the deprecated ``functions``."""

    name: Name
    description: Maybe[str] = UNSET
    parameters: Maybe[dict[str, Any]] = UNSET


class TextFormat(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Struct, frozen=True, kw_only=True, tag_field="type", tag="json_object"):
    pass


class JsonSchema(Struct, frozen=True, kw_only=True):
    name: Name
    description: Maybe[str] = UNSET
    schema: Maybe[dict[str, Any]] = UNSET
    strict: Maybe[bool] = UNSET


class JsonSchemaFormat(Struct, frozen=True, kw_only=True, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


ResponseFormat: TypeAlias = TextFormat | JsonObjectFormat | JsonSchemaFormat


class StreamOptions(Struct, frozen=True, kw_only=True):
    include_usage: Maybe[bool] = UNSET
    include_obfuscation: Maybe[bool] = UNSET


class VoiceId(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str


class AudioOutput(Struct, frozen=True, kw_only=True):
    voice: str | VoiceId
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]


class Prediction(Struct, frozen=True, kw_only=True):
    type: Literal["content"]
    content: TextContent


class ApproximateLocation(Struct, frozen=True, kw_only=True):
    country: Maybe[str] = UNSET
    region: Maybe[str] = UNSET
    city: Maybe[str] = UNSET
    timezone: Maybe[str] = UNSET


class UserLocation(Struct, frozen=True, kw_only=True):
    type: Literal["approximate"]
    approximate: ApproximateLocation


class WebSearchOptions(Struct, frozen=True, kw_only=True):
    search_context_size: Maybe[Literal["low", "medium", "high"]] = UNSET
    user_location: Maybe[UserLocation] = UNSET


class PromptCacheOptions(Struct, frozen=True, kw_only=True):
    mode: Maybe[Literal["implicit", "explicit"]] = UNSET
    ttl: Maybe[Literal["30m"]] = UNSET


class ModerationMode(Struct, frozen=True, kw_only=True):
    mode: Literal["score", "block"]


class ModerationPolicy(Struct, frozen=True, kw_only=True):
    input: Maybe[ModerationMode] = UNSET
    output: Maybe[ModerationMode] = UNSET


class Moderation(Struct, frozen=True, kw_only=True):
    model: str
    policy: Maybe[ModerationPolicy] = UNSET


Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
TokenCap: TypeAlias = Annotated[int, Meta(ge=1)]
MAX_KEY: Final = 64
MAX_VALUE: Final = 512
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Meta(max_length=MAX_KEY)], Annotated[str, Meta(max_length=MAX_VALUE)]], Meta(max_length=16)
]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ServiceTier: TypeAlias = Literal["auto", "default", "flex", "scale", "priority", "fast"]


class ChatRequest(Struct, frozen=True, kw_only=True):
    """A create request. Deprecated fields stand beside what replaced them."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]

    store: Maybe[bool] = UNSET
    metadata: Maybe[Metadata] = UNSET

    stream: Maybe[bool] = UNSET
    stream_options: Maybe[StreamOptions] = UNSET

    max_completion_tokens: Maybe[TokenCap] = UNSET
    max_tokens: Maybe[TokenCap] = UNSET
    n: Maybe[Annotated[int, Meta(ge=1, le=128)]] = UNSET
    stop: Maybe[str | Annotated[list[str], Meta(min_length=1, max_length=4)]] = UNSET
    temperature: Maybe[Annotated[float, Meta(ge=0, le=2)]] = UNSET
    top_p: Maybe[Annotated[float, Meta(ge=0, le=1)]] = UNSET
    presence_penalty: Maybe[Penalty] = UNSET
    frequency_penalty: Maybe[Penalty] = UNSET
    seed: Maybe[int] = UNSET
    logit_bias: Maybe[dict[str, Annotated[int, Meta(ge=-100, le=100)]]] = UNSET
    logprobs: Maybe[bool] = UNSET
    top_logprobs: Maybe[Annotated[int, Meta(ge=0, le=20)]] = UNSET

    response_format: Maybe[ResponseFormat] = UNSET
    tools: Maybe[Annotated[list[Tool], Meta(max_length=128)]] = UNSET
    tool_choice: Maybe[ToolChoice] = UNSET
    parallel_tool_calls: Maybe[bool] = UNSET
    functions: Maybe[Annotated[list[LegacyFunction], Meta(min_length=1, max_length=128)]] = UNSET
    function_call: Maybe[Literal["none", "auto"] | ToolName] = UNSET

    reasoning_effort: Maybe[Effort] = UNSET
    verbosity: Maybe[Literal["low", "medium", "high"]] = UNSET
    modalities: Maybe[list[Literal["text", "audio"]]] = UNSET
    audio: Maybe[AudioOutput] = UNSET
    prediction: Maybe[Prediction] = UNSET
    web_search_options: Maybe[WebSearchOptions] = UNSET
    moderation: Maybe[Moderation] = UNSET

    service_tier: Maybe[ServiceTier] = UNSET
    prompt_cache_key: Maybe[str] = UNSET
    prompt_cache_retention: Maybe[Literal["in_memory", "24h"]] = UNSET
    prompt_cache_options: Maybe[PromptCacheOptions] = UNSET
    safety_identifier: Maybe[Annotated[str, Meta(max_length=128)]] = UNSET
    user: Maybe[str] = UNSET


class MetadataUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /chat/completions/{id}``: what replaces the metadata; null clears it."""

    metadata: Metadata | None


NOT_NULLABLE: Final = frozenset(
    {
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "web_search_options",
        "prompt_cache_options",
        "user",
    }
)
"""Fields to which the official document gives no null. Clients send it all the same, so it is taken for an absent
field unless a setting refuses it (decision 30)."""
