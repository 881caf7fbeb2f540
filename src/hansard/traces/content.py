"""What was said, as the conventions want it: JSON texts in attributes. Only where the operator asks for it. Pure.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-input-messages.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from hansard.contract import Document
from hansard.engines.base import Call


def of_call(call: Call) -> Mapping[str, str]:
    """The messages as parts, system messages in their place, and the tools as they were sent."""
    messages = msgspec.json.decode(call.document["messages"])
    found = {"gen_ai.input.messages": _json([_message(message) for message in messages])}
    if "tools" in call.document:
        found["gen_ai.tool.definitions"] = bytes(call.document["tools"]).decode()
    return found


def of_reply(made: Document) -> Mapping[str, str]:
    """The message of each choice, with why it ended."""
    said = [
        {**_message(choice["message"]), "finish_reason": choice.get("finish_reason") or ""}
        for choice in made.get("choices") or ()
        if isinstance(choice.get("message"), dict)
    ]
    return {"gen_ai.output.messages": _json(said)} if said else {}


def _message(message: Document) -> Document:
    return {"role": message.get("role", "assistant"), "parts": [*_parts(message)]}


def _parts(message: Document) -> Iterator[Document]:
    content = message.get("content")
    if message.get("role") == "tool":
        yield {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
        return
    if isinstance(content, str):
        yield {"type": "text", "content": content}
    elif isinstance(content, list):
        yield from map(_part, content)
    if isinstance(message.get("refusal"), str):
        yield {"type": "text", "content": message["refusal"]}
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        name, arguments = function.get("name"), function.get("arguments")
        yield {"type": "tool_call", "id": call.get("id"), "name": name, "arguments": arguments}


def _part(part: Document) -> Document:
    if part.get("type") == "text":
        return {"type": "text", "content": part.get("text")}
    if part.get("type") == "image_url":
        return {"type": "uri", "modality": "image", "uri": (part.get("image_url") or {}).get("url")}
    return {"type": str(part.get("type"))}  # that there was one; files and sounds are too large for a span


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
