"""What a create request is answered with: the completion, and the chunks of its stream.

Replies travel as documents; these structs say what is true of one, for tests and descriptions.
Required here is what we always send, which is more than the specification asks for (decision in
recorded traffic): ``logprobs`` is there, null when off; ``refusal`` and ``annotations`` are there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from hansard.contract.messages import CustomToolCall, FunctionCall, FunctionToolCall
from hansard.contract.request import ServiceTier

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class AlternativeToken(Struct, frozen=True, kw_only=True):
    """``bytes`` is the token's UTF-8, null where it has none."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(Struct, frozen=True, kw_only=True):
    """``top_logprobs`` is empty when no alternatives were asked for."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[AlternativeToken]


class Logprobs(Struct, frozen=True, kw_only=True):
    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None


class UrlCitation(Struct, frozen=True, kw_only=True):
    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(Struct, frozen=True, kw_only=True):
    type: Literal["url_citation"]
    url_citation: UrlCitation


class ReplyAudio(Struct, frozen=True, kw_only=True):
    """``data`` is base64; ``expires_at`` is unix seconds."""

    id: str
    data: str
    expires_at: int
    transcript: str


class ReplyMessage(Struct, frozen=True, kw_only=True):
    """Content is null beside calls, audio and refusals. The optional keys are there only when used, never null."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Annotation]
    tool_calls: list[FunctionToolCall | CustomToolCall] | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET
    audio: ReplyAudio | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class Choice(Struct, frozen=True, kw_only=True):
    index: int
    message: ReplyMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason


class PromptTokensDetails(Struct, frozen=True, kw_only=True):
    cached_tokens: int = 0
    audio_tokens: int = 0
    text_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET
    cache_write_tokens: int | UnsetType = UNSET


class CompletionTokensDetails(Struct, frozen=True, kw_only=True):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0
    text_tokens: int | UnsetType = UNSET


class Usage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | UnsetType = UNSET
    completion_tokens_details: CompletionTokensDetails | UnsetType = UNSET


class ModerationResult(Struct, frozen=True, kw_only=True, tag_field="type", tag="moderation_result"):
    """All three maps have a category for a key; scores go from 0 to 1."""

    model: str
    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text", "image"]]]


class ModerationResults(Struct, frozen=True, kw_only=True, tag_field="type", tag="moderation_results"):
    model: str
    results: list[ModerationResult]


class ModerationError(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    code: str
    message: str


class ModerationReport(Struct, frozen=True, kw_only=True):
    input: ModerationResults | ModerationError
    output: ModerationResults | ModerationError


class Completion(Struct, frozen=True, kw_only=True):
    """``created`` is unix seconds; ``model`` is the resolved name, which an alias in the request is not."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | UnsetType = UNSET
    service_tier: ServiceTier | UnsetType = UNSET
    system_fingerprint: str | UnsetType = UNSET
    moderation: ModerationReport | UnsetType = UNSET


class FunctionPiece(Struct, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomPiece(Struct, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class ToolCallPiece(Struct, frozen=True, kw_only=True):
    """The first piece of a call has its id, type and name; the others only more of what the model wrote."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionPiece | UnsetType = UNSET
    custom: CustomPiece | UnsetType = UNSET


class AudioPiece(Struct, frozen=True, kw_only=True):
    id: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    transcript: str | UnsetType = UNSET


class Delta(Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    annotations: list[Annotation] | UnsetType = UNSET
    tool_calls: list[ToolCallPiece] | UnsetType = UNSET
    function_call: FunctionPiece | UnsetType = UNSET
    audio: AudioPiece | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True, kw_only=True):
    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class Chunk(Struct, frozen=True, kw_only=True):
    """``usage`` is absent unless asked for, then null in all chunks but the last, whose ``choices`` are empty."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    service_tier: ServiceTier | UnsetType = UNSET
    system_fingerprint: str | UnsetType = UNSET
    usage: Usage | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET
    moderation: ModerationReport | UnsetType = UNSET
