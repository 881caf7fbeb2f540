"""The six kinds of message a request can carry, and the parts their content is made of.

Absent is ``UNSET`` and null is ``None``. Every optional field takes null, because clients send
it for what their caller left out; what a null then means is decided in ``core.normalize``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")
Maybe: TypeAlias = T | UnsetType | None
"""An optional field: there, null, or absent."""

NAME_PATTERN = r"^[a-zA-Z0-9_-]+\Z"
Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN, max_length=64)]
"""What functions, tools and schemas are called."""


class CacheBreakpoint(Struct, frozen=True, kw_only=True):
    """Where a cached prompt prefix ends."""

    mode: Literal["explicit"]
    ttl: Maybe[Literal["30m", "12h"]] = UNSET


class TextPart(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: str
    prompt_cache_breakpoint: Maybe[CacheBreakpoint] = UNSET


class ImageUrl(Struct, frozen=True, kw_only=True):
    """``url`` is http(s) or a data URL."""

    url: str
    detail: Maybe[Literal["auto", "low", "high", "original"]] = UNSET


class ImagePart(Struct, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    image_url: ImageUrl
    prompt_cache_breakpoint: Maybe[CacheBreakpoint] = UNSET


class InputAudio(Struct, frozen=True, kw_only=True):
    """``data`` is base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    input_audio: InputAudio
    prompt_cache_breakpoint: Maybe[CacheBreakpoint] = UNSET


class File(Struct, frozen=True, kw_only=True):
    """Any of the three; ``file_data`` is a base64 data URL."""

    file_id: Maybe[str] = UNSET
    file_data: Maybe[str] = UNSET
    filename: Maybe[str] = UNSET


class FilePart(Struct, frozen=True, kw_only=True, tag_field="type", tag="file"):
    file: File
    prompt_cache_breakpoint: Maybe[CacheBreakpoint] = UNSET


class RefusalPart(Struct, frozen=True, kw_only=True, tag_field="type", tag="refusal"):
    refusal: str


ContentPart: TypeAlias = TextPart | ImagePart | AudioPart | FilePart
TextContent: TypeAlias = str | Annotated[list[TextPart], Meta(min_length=1)]
UserContent: TypeAlias = str | Annotated[list[ContentPart], Meta(min_length=1)]
AssistantContent: TypeAlias = str | Annotated[list[TextPart | RefusalPart], Meta(min_length=1)]


class FunctionCall(Struct, frozen=True, kw_only=True):
    """``arguments`` is JSON text, as the model wrote it."""

    name: str
    arguments: str


class CustomCall(Struct, frozen=True, kw_only=True):
    name: str
    input: str


class FunctionToolCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    id: str
    function: FunctionCall


class CustomToolCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    id: str
    custom: CustomCall


ToolCall: TypeAlias = FunctionToolCall | CustomToolCall


class AudioReference(Struct, frozen=True, kw_only=True):
    """An earlier spoken reply. Clients send the whole reply back, so its other keys are known here."""

    id: str
    data: Maybe[str] = UNSET
    expires_at: Maybe[int] = UNSET
    transcript: Maybe[str] = UNSET


class DeveloperMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="developer"):
    content: TextContent
    name: Maybe[str] = UNSET


class SystemMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="system"):
    content: TextContent
    name: Maybe[str] = UNSET


class UserMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="user"):
    content: UserContent
    name: Maybe[str] = UNSET


class AssistantMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="assistant"):
    """An earlier reply. ``annotations`` and ``reasoning_content`` come back from clients that append replies whole."""

    content: Maybe[AssistantContent] = UNSET
    refusal: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    audio: Maybe[AudioReference] = UNSET
    tool_calls: Maybe[Annotated[list[ToolCall], Meta(min_length=1, max_length=128)]] = UNSET
    function_call: Maybe[FunctionCall] = UNSET
    annotations: Maybe[list[Any]] = UNSET
    reasoning_content: Maybe[str] = UNSET


class ToolMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="tool"):
    content: TextContent
    tool_call_id: str


class FunctionMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="function"):
    """Deprecated form of ``ToolMessage``."""

    content: str | None
    name: str


Message: TypeAlias = DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage
