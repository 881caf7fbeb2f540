"""An upstream that can do everything, and thinks of nothing: tools, structured output, log probabilities, images.

It says back the last user message, as the echo engine does; beyond it, it calls the functions it is told to
or that the message names, fills in any schema with the first value that fits, and is sure of every word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "able"
HEAD = {
    "id": "chatcmpl-able",
    "created": 1,
    "model": "able-1",
    "service_tier": "default",
    "system_fingerprint": "fp_able",
}

Document = dict[str, Any]


async def _models(_: Request) -> Response:
    return JSONResponse(
        {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "tests"}]}
    )


async def _create(request: Request) -> Response:
    asked = await request.json()
    if asked["model"] != MODEL:
        unknown = f"The model `{asked['model']}` does not exist or you do not have access to it."
        error = {"message": unknown, "type": "invalid_request_error", "param": None, "code": "model_not_found"}
        return JSONResponse({"error": error}, 404)
    if (path := _image_without_address(asked)) is not None:
        text = f"Invalid '{path}'. Expected a URL of http, https or data."
        error = {"message": text, "type": "invalid_request_error", "param": path, "code": "invalid_value"}
        return JSONResponse({"error": error}, 400)
    message, reason, length = _answer(asked)
    choices = [
        {"index": index, "message": message, "logprobs": _logprobs(asked, message), "finish_reason": reason}
        for index in range(asked.get("n") or 1)
    ]
    usage = _usage(asked, length * len(choices))
    if asked.get("stream"):
        return StreamingResponse(_events(asked, choices, usage), media_type="text/event-stream")
    head = {"object": "chat.completion", **HEAD}
    return JSONResponse({**head, "choices": choices, "usage": usage})


app = Starlette(routes=[Route("/v1/models", _models), Route("/v1/chat/completions", _create, methods=["POST"])])


def _answer(asked: Document) -> tuple[Document, str, int]:
    """The message, the finish reason and the number of tokens."""
    text = _heard(asked)
    blank: Document = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if calls := _calls(asked, text):
        named = isinstance(asked.get("tool_choice"), dict) and asked["tool_choice"]["type"] != "allowed_tools"
        return {**blank, "tool_calls": calls}, "stop" if named else "tool_calls", 8  # recorded: a named one stops
    if function := _function(asked, text):
        call = {"name": function["name"], "arguments": _arguments(function)}
        return {**blank, "function_call": call}, "function_call", 8
    said, reason = _cut(_formatted(asked, text), asked)
    return {**blank, "content": said}, reason, len(_words(said))


def _image_without_address(asked: Document) -> str | None:
    for index, message in enumerate(asked["messages"]):
        for place, part in enumerate(message.get("content") or ()):
            url = part.get("image_url", {}).get("url") if isinstance(part, dict) else None
            if url is not None and not url.startswith(("http:", "https:", "data:")):
                return f"messages[{index}].content[{place}].image_url.url"
    return None


def _heard(asked: Document) -> str:
    spoken = [message["content"] for message in asked["messages"] if message["role"] == "user"]
    content = spoken[-1] if spoken else ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", text)


def _cut(text: str, asked: Document) -> tuple[str, str]:
    stops = asked.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0]
    words = _words(text)
    limit = asked.get("max_completion_tokens") or asked.get("max_tokens") or len(words)
    formatted = (asked.get("response_format") or {"type": "text"})["type"] != "text"
    if formatted or len(words) <= limit:
        return text, "stop"
    return "".join(words[:limit]), "length"


def _formatted(asked: Document, text: str) -> str:
    match asked.get("response_format"):
        case {"type": "json_object"}:
            return '{"said": "hello"}'
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return json.dumps(_instance(schema, schema))
    return text


def _calls(asked: Document, text: str) -> list[Document]:
    tools: list[Document] = asked.get("tools") or []
    choice = asked.get("tool_choice") or "auto"
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        names = [_name(tool) for tool in choice["allowed_tools"]["tools"]]
        tools, choice = [tool for tool in tools if _name(tool) in names], choice["allowed_tools"]["mode"]
    meant = [tool for tool in tools if _name(tool) in text]
    if isinstance(choice, dict):
        wanted = [tool for tool in tools if _name(tool) == _name(choice)]
    else:
        wanted = {"none": [], "auto": meant, "required": meant or tools[:1]}[choice]
    if asked.get("parallel_tool_calls") is False:
        wanted = wanted[:1]
    return [_call(tool, number) for number, tool in enumerate(wanted)]


def _name(tool: Document) -> str:
    return str(tool[tool["type"]]["name"])


def _call(tool: Document, number: int) -> Document:
    head = {"id": f"call_{uuid4().hex[:23]}{number}", "type": tool["type"]}
    if tool["type"] == "custom":
        return {**head, "custom": {"name": _name(tool), "input": _input(tool["custom"])}}
    return {**head, "function": {"name": _name(tool), "arguments": _arguments(tool["function"])}}


def _input(custom: Document) -> str:
    """A sentence of the grammars that the checks send."""
    form = custom.get("format") or {"type": "text"}
    return "hello" if form["type"] == "text" else {"regex": "123-red", "lark": "red,blue"}[form["grammar"]["syntax"]]


def _function(asked: Document, text: str) -> Document | None:
    functions: list[Document] = asked.get("functions") or []
    choice = asked.get("function_call") or "auto"
    if isinstance(choice, dict):
        return next(function for function in functions if function["name"] == choice["name"])
    return next((one for one in functions if choice == "auto" and one["name"] in text), None)


def _arguments(function: Document) -> str:
    schema = function.get("parameters") or {"type": "object"}
    return json.dumps(_instance(schema, schema))


def _instance(schema: Document, root: Document) -> Any:
    """The first value that fits."""
    if "$ref" in schema:
        below: Any = root
        for key in schema["$ref"].removeprefix("#").strip("/").split("/"):
            below = below[key] if key else below
        return _instance(below, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], root)
    kind = schema.get("type", "object")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            return {
                key: _instance(below, root)
                for key, below in schema.get("properties", {}).items()
                if key in schema.get("required", ())
            }
        case "array":
            return [_instance(schema.get("items", {"type": "null"}), root)] * schema.get("minItems", 1)
        case "string":
            return "10.0.0.1" if schema.get("format") == "ipv4" else "Paris"
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
    return None


def _logprobs(asked: Document, message: Document) -> Document | None:
    if not asked.get("logprobs"):
        return None
    entries = [_entry(word, asked.get("top_logprobs") or 0) for word in _words(message["content"] or "")]
    return {"content": entries, "refusal": None}


def _entry(word: str, others: int) -> Document:
    def one(token: str, logprob: float) -> Document:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

    top = [one(word if rank == 0 else f"{word}{rank}", -0.1 - rank) for rank in range(others)]
    return {**one(word, -0.1), "top_logprobs": top}


def _usage(asked: Document, completion: int) -> Document:
    prompt = len(_words(_heard(asked))) + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _events(asked: Document, choices: list[Document], usage: Document) -> Iterator[str]:
    for choice in choices:
        for delta, logprobs in _deltas(choice):
            yield _event([{"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None}])
    for choice in choices:
        end = {"index": choice["index"], "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
        yield _event([end])
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield _event([], usage=usage)
    yield "data: [DONE]\n\n"


def _event(choices: list[Document], **more: object) -> str:
    chunk = {"object": "chat.completion.chunk", **HEAD, "choices": choices, **more}
    return f"data: {json.dumps(chunk)}\n\n"


def _deltas(choice: Document) -> Iterator[tuple[Document, Document | None]]:
    """The chunks of one choice but its last, as recorded."""
    message, logprobs = choice["message"], choice["logprobs"]
    opener = {"role": "assistant", "refusal": None}
    none: Document | None = {"content": [], "refusal": None} if logprobs else None
    if "tool_calls" in message:
        yield {**opener, "content": None}, none
        for index, call in enumerate(message["tool_calls"]):
            kind = call["type"]
            [said] = call[kind].keys() - {"name"}
            yield {"tool_calls": [{"index": index, **call, kind: {**call[kind], said: ""}}]}, None
            for piece in re.findall(".{1,6}", call[kind][said]):
                yield {"tool_calls": [{"index": index, kind: {said: piece}}]}, None
    elif "function_call" in message:
        call = message["function_call"]
        yield {**opener, "content": None, "function_call": {**call, "arguments": ""}}, none
        for piece in re.findall(".{1,6}", call["arguments"]):
            yield {"function_call": {"arguments": piece}}, None
    else:
        yield {**opener, "content": ""}, none
        for number, word in enumerate(_words(message["content"])):
            entry = {"content": [logprobs["content"][number]], "refusal": None} if logprobs else None
            yield {"content": word}, entry
