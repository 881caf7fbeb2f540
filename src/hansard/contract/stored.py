"""What is said about stored completions, models and errors: objects, lists and envelopes.

Like replies they travel as documents; these structs say what is true of one.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from hansard.contract.messages import (
    AudioPart,
    CustomToolCall,
    FilePart,
    FunctionCall,
    FunctionToolCall,
    ImagePart,
    RefusalPart,
    TextPart,
)
from hansard.contract.response import Annotation, FinishReason, Logprobs, ReplyAudio, Usage


class StoredReply(Struct, frozen=True, kw_only=True):
    """The reply of a stored completion: unlike in the create reply, calls are null where there are none."""

    content: str | None
    role: Literal["assistant"]
    tool_calls: list[FunctionToolCall | CustomToolCall] | None
    function_call: FunctionCall | None
    refusal: str | None
    annotations: list[Annotation]
    audio: ReplyAudio | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class StoredChoice(Struct, frozen=True, kw_only=True):
    index: int
    message: StoredReply
    finish_reason: FinishReason
    logprobs: Logprobs | None


class StoredCompletion(Struct, frozen=True, kw_only=True):
    """The 19 keys, all always there."""

    object: Literal["chat.completion"]
    id: str
    model: str
    created: int
    request_id: str
    tool_choice: Any
    usage: Usage | None
    seed: int
    top_p: float
    temperature: float
    presence_penalty: float
    frequency_penalty: float
    system_fingerprint: str | None
    input_user: str | None
    service_tier: str | None
    tools: list[Any] | None
    metadata: dict[str, str]
    choices: list[StoredChoice]
    response_format: dict[str, Any] | None


class StoredMessage(Struct, frozen=True, kw_only=True):
    """One input message. ``content`` is its text, ``content_parts`` what it was made of if it was parts."""

    id: str
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | None
    content_parts: list[TextPart | ImagePart | AudioPart | FilePart | RefusalPart] | None
    name: str | None
    refusal: str | None
    tool_call_id: str | UnsetType = UNSET
    tool_calls: list[FunctionToolCall | CustomToolCall] | UnsetType = UNSET
    function_call: FunctionCall | UnsetType = UNSET
    audio: dict[str, Any] | UnsetType = UNSET
    annotations: list[Annotation] | UnsetType = UNSET


class CompletionList(Struct, frozen=True, kw_only=True):
    """One page. ``first_id`` and ``last_id`` are null on an empty one (decision 5)."""

    object: Literal["list"]
    data: list[StoredCompletion]
    first_id: str | None
    last_id: str | None
    has_more: bool


class MessageList(Struct, frozen=True, kw_only=True):
    object: Literal["list"]
    data: list[StoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Struct, frozen=True, kw_only=True):
    object: Literal["chat.completion.deleted"]
    id: str
    deleted: bool


class Model(Struct, frozen=True, kw_only=True):
    """``created`` is unix seconds; ``description`` is ours."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    description: str | UnsetType = UNSET


class ModelList(Struct, frozen=True, kw_only=True):
    object: Literal["list"]
    data: list[Model]


class Error(Struct, frozen=True, kw_only=True):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Struct, frozen=True, kw_only=True):
    error: Error
