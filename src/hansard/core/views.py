"""What a stored completion looks like from outside: the stored object and the list of its input messages.

Both are made from the request and the reply as they were, so nothing is stored twice. Shapes and
key order are the API's own; what we add to them is marked. Nothing that was ever kept fails here: one odd record
would hide the whole page that it is on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hansard.contract import Document

# A part's type is also the key of what it holds (official document). A tuple, since a type that was kept is any JSON.
_PART_TYPES: Final = ("text", "image_url", "input_audio", "file", "refusal")
_PART_VALUES: Final = (*_PART_TYPES, "prompt_cache_breakpoint")
_CALLS: Final = ("tool_call_id", "tool_calls", "function_call")


def stored_completion(
    *, request: Document, reply: Document, metadata: Mapping[str, str], request_id: str, seed: int
) -> Document:
    """The 19 keys of a stored completion, in the API's order."""
    return {
        "object": reply.get("object", "chat.completion"),
        "id": reply["id"],
        "model": reply["model"],
        "created": reply["created"],
        "request_id": request_id,
        "tool_choice": request.get("tool_choice"),
        "usage": reply.get("usage"),
        "seed": seed,
        "top_p": _number(request, "top_p", 1.0),
        "temperature": _number(request, "temperature", 1.0),
        "presence_penalty": _number(request, "presence_penalty", 0.0),
        "frequency_penalty": _number(request, "frequency_penalty", 0.0),
        "system_fingerprint": reply.get("system_fingerprint"),
        "input_user": request.get("user"),
        "service_tier": reply.get("service_tier"),
        "tools": request.get("tools"),
        "metadata": dict(metadata),
        "choices": [_stored_choice(at, choice) for at, choice in enumerate(_objects(reply.get("choices")))],
        "response_format": request.get("response_format"),
    }


def stored_messages(completion_id: str, request: Document) -> list[Document]:
    """The input messages in request order, ids by their index; the reply is not among them (decision 24)."""
    return [_stored_message(f"{completion_id}-{index}", message) for index, message in enumerate(request["messages"])]


def search_result(hit: Mapping[str, Any]) -> Document:
    """A completion in which something was found: its id and what else is told of it."""
    return {"object": "hansard.search_result", **hit, "metadata": dict(hit["metadata"])}


def facets(counts: Iterable[tuple[str, int]], *, key: str | None, has_more: bool) -> Document:
    """The counts of keys, or of the values of ``key``."""
    names = [({"key": name} if key is None else {"key": key, "value": name}, count) for name, count in counts]
    data = [{"object": "hansard.facet", **named, "count": count} for named, count in names]
    return {"object": "list", "data": data, "has_more": has_more}


def _number(request: Document, key: str, default: float) -> Any:
    value = request.get(key)
    return default if value is None else value


def _objects(value: Any) -> list[Document]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _stored_choice(at: int, choice: Document) -> Document:
    """``finish_reason`` stands before ``logprobs`` here, after it in the create reply."""
    message = choice.get("message")
    known = {
        "index": choice.get("index", at),
        "message": _stored_reply(message if isinstance(message, dict) else {}),
        "finish_reason": choice.get("finish_reason"),
        "logprobs": choice.get("logprobs"),
    }
    return known | {key: value for key, value in choice.items() if key not in known}


def _stored_reply(message: Document) -> Document:
    """The API's four keys, ours (refusal and annotations, decision 3), then whatever else the reply had."""
    calls = message.get("tool_calls")
    known = {
        "content": message.get("content"),
        "role": message.get("role", "assistant"),
        "tool_calls": [_id_last(call) for call in _objects(calls)] if isinstance(calls, list) else None,
        "function_call": message.get("function_call"),
        "refusal": message.get("refusal"),
        "annotations": message.get("annotations") or [],
    }
    return known | {key: value for key, value in message.items() if key not in known}


def _id_last(call: Document) -> Document:
    return {key: value for key, value in call.items() if key != "id"} | {"id": call.get("id")}


def _stored_message(message_id: str, message: Document) -> Document:
    """The recorded five keys, the calls where there are some (decision 25), and refusal (decision 4)."""
    content, parts = _content(message.get("content"))
    refusal = message.get("refusal")
    if parts is not None and [part.get("type") for part in parts] == ["refusal"]:
        content, refusal = None, parts[0].get("refusal")
    shown: Document = {
        "id": message_id,
        "role": message.get("role"),
        "content": content,
        "content_parts": parts,
        "name": message.get("name"),
    }
    calls = {key: message[key] for key in _CALLS if message.get(key) is not None}
    rest = {key: message[key] for key in ("audio", "annotations") if message.get(key) is not None}
    return {**shown, **calls, "refusal": refusal, **rest}


def _content(content: Any) -> tuple[str | None, list[Document] | None]:
    """Content as text and as parts. Parts that are no text count as empty in the text (recorded)."""
    if not isinstance(content, list):
        return content, None
    parts = _objects(content)
    return " ".join(str(part.get("text") or "") for part in parts), [_content_part(part) for part in parts]


def _content_part(part: Document) -> Document:
    """The part without its null slots (decision 28); of a kind that only an upstream knows, as it was sent."""
    if part.get("type") not in _PART_TYPES:
        return part
    return {"type": part.get("type")} | {key: part[key] for key in _PART_VALUES if part.get(key) is not None}
