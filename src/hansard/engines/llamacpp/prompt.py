"""The conversation as the engine's chat template takes it: roles it knows, text it cannot mistake for markup.

Whatever the engine would do on its own with what it is given (fetch an image, read a control
token out of a user's text) is refused or undone here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hansard.contract import Document
from hansard.contract.messages import (
    AssistantMessage,
    ContentPart,
    CustomToolCall,
    DeveloperMessage,
    FunctionMessage,
    ImagePart,
    Message,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from hansard.core.normalize import given
from hansard.engines.llamacpp import images
from hansard.engines.llamacpp.tools import CUSTOM_INPUT
from hansard.errors import InvalidRequest

# Invisible, in no control token, and enough for the tokenizer to see plain text.
BREAK = "\u200b"
INSTRUCTING = ("system", "developer")
WRITTEN = ("messages", "tools")


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes: whether its template knows the developer role or thoughts, and whether it sees images.

    ``vocabulary`` is how many tokens it has, ``None`` where that is not known.
    """

    knows_developer: bool
    sees_images: bool
    thinks: bool = False
    vocabulary: int | None = None


def messages(conversation: Sequence[Message], abilities: Abilities) -> list[Document]:
    """Each message for the engine; raises ``InvalidRequest`` for content this model cannot take."""
    called: dict[str, str] = {}  # names of the calls so far, by id: some templates want them with the answers
    return [_message(message, index, abilities, called) for index, message in enumerate(conversation)]


def instructed(conversation: list[Document], sentence: str) -> list[Document]:
    """The conversation with a sentence added to its first instructions, or put before it if there are none."""
    for index, message in enumerate(conversation):
        if message["role"] in INSTRUCTING:
            extended = {**message, "content": message["content"] + "\n\n" + sentence}
            return [*conversation[:index], extended, *conversation[index + 1 :]]
    return [{"role": "system", "content": sentence}, *conversation]


def has_images(conversation: Sequence[Document]) -> bool:
    """Whether any message has more than text. Contents of text alone are strings here."""
    return any(isinstance(message["content"], list) for message in conversation)


def without_images(conversation: Sequence[Document]) -> list[Document]:
    """What is left of it in text."""
    return [
        {**message, "content": [part for part in message["content"] if part["type"] == "text"]}
        if isinstance(message["content"], list)
        else message
        for message in conversation
    ]


def image_places(conversation: Sequence[Message]) -> list[str]:
    """Where the addresses of its images stand, as paths in the request."""
    return [
        f"messages[{index}].content[{place}].image_url.url"
        for index, message in enumerate(conversation)
        if isinstance(message, UserMessage) and not isinstance(message.content, str)
        for place, part in enumerate(message.content)
        if isinstance(part, ImagePart)
    ]


class Neutralizer:
    """Breaks a model's control tokens in the texts of a conversation and of its tools.

    A broken one looks the same and is plain text to the tokenizer: a zero-width space follows its first character.
    """

    def __init__(self, control_tokens: Sequence[str]) -> None:
        tokens = sorted((token for token in control_tokens if token), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, tokens))) if tokens else None
        # The same as they stand in JSON, to see at once that there is nothing to do.
        spelled = [re.escape(msgspec.json.encode(token)[1:-1]) for token in tokens]
        self._spelled = re.compile(b"|".join(spelled)) if tokens else None

    def encode(self, body: Document) -> bytes:
        """The body as JSON, with no control token in its messages and tools."""
        encoded = msgspec.json.encode(body)
        if self._spelled is None or self._spelled.search(encoded) is None:
            return encoded
        return msgspec.json.encode({**body, **{name: self._broken(body[name]) for name in WRITTEN if name in body}})

    def _broken(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._pattern.sub(_break, value) if self._pattern is not None else value
        if isinstance(value, Mapping):
            return {self._broken(key): self._broken(item) for key, item in value.items()}
        if isinstance(value, Sequence):
            return [self._broken(item) for item in value]
        return value


def _break(found: re.Match[str]) -> str:
    return found[0][0] + BREAK + found[0][1:]


def _message(message: Message, index: int, abilities: Abilities, called: dict[str, str]) -> Document:
    match message:
        case DeveloperMessage():
            return {"role": "developer" if abilities.knows_developer else "system", "content": _text(message.content)}
        case SystemMessage():
            return {"role": "system", "content": _text(message.content)}
        case UserMessage():
            return {"role": "user", "content": _seen(message.content, index, abilities)}
        case AssistantMessage():
            return _assistant(message, index, called)
        case ToolMessage():
            answer = {"role": "tool", "content": _text(message.content), "tool_call_id": message.tool_call_id}
            name = called.get(message.tool_call_id)
            return answer if name is None else {**answer, "name": name}
        case FunctionMessage():
            return {
                "role": "tool",
                "content": message.content or "",
                "name": message.name,
                "tool_call_id": message.name,
            }


def _assistant(message: AssistantMessage, index: int, called: dict[str, str]) -> Document:
    if given(message.audio) is not None:
        raise _unsupported(f"messages[{index}].audio")
    text = (_text(message.content) if isinstance(message.content, str | list) else "") or given(message.refusal) or ""
    calls = [_call(call) for call in given(message.tool_calls) or ()]
    legacy = given(message.function_call)
    if legacy is not None:
        function = {"name": legacy.name, "arguments": _arguments(legacy.arguments)}
        calls.append({"id": legacy.name, "type": "function", "function": function})
    called.update((call["id"], call["function"]["name"]) for call in calls)
    if not calls:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": text or None, "tool_calls": calls}


def _call(call: ToolCall) -> Document:
    """An earlier call; a custom one in the form its tool is offered in."""
    if isinstance(call, CustomToolCall):
        function = {"name": call.custom.name, "arguments": _as_json({CUSTOM_INPUT: call.custom.input})}
    else:
        function = {"name": call.function.name, "arguments": _arguments(call.function.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _arguments(text: str) -> str:
    """Arguments as the engine takes them: one JSON object. A model may have written something else, and still did."""
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return _as_json({"arguments": text}) if text.strip() else "{}"
    return text


def _as_json(document: Document) -> str:
    return msgspec.json.encode(document).decode()


def _text(content: str | Sequence[TextPart] | Sequence[TextPart | RefusalPart]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def _seen(content: str | Sequence[ContentPart], index: int, abilities: Abilities) -> str | list[Document]:
    if isinstance(content, str):
        return content
    texts = [part for part in content if isinstance(part, TextPart)]
    if len(texts) == len(content):
        return _text(texts)
    return [_part(part, f"messages[{index}].content[{place}]", abilities) for place, part in enumerate(content)]


def _part(part: ContentPart, where: str, abilities: Abilities) -> Document:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if not isinstance(part, ImagePart):
        raise _unsupported(f"{where}.{'file' if hasattr(part, 'file') else 'input_audio'}")
    if not abilities.sees_images:
        where = f"{where}.type"
        text = f"Unsupported value: '{where}' does not support 'image_url' with this model: it has no image input."
        raise InvalidRequest(text, param=where, code="unsupported_value")
    url = part.image_url.url
    images.check(url, where=f"{where}.image_url.url")
    return {"type": "image_url", "image_url": {"url": url}}


def _unsupported(where: str) -> InvalidRequest:
    text = f"Unsupported parameter: '{where}' is not supported with this model."
    return InvalidRequest(text, param=where, code="unsupported_parameter")
