"""The server described for machines: OpenAPI 3.1, its schemas made from the contract's own structs.

Built when somebody asks for it, so that nobody else pays for it. Rules that take several fields are not in it:
a schema cannot say them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from hansard.api import openapi_admin
from hansard.api.openapi_replies import ERRORS, HEADERS, LIMITED, REPLY_HEADERS, error_headers, references
from hansard.contract import Document, request, response, search, server, stored
from hansard.core import lifetimes
from hansard.core.idempotency import HEADER, MAX_LENGTH
from hansard.core.paging import DEFAULT_LIMIT, MAX_LIMIT, MAX_METADATA_PAIRS, Order
from hansard.core.validate import METADATA_HEADER
from hansard.durations import WANTED

_SCHEMAS: Final = "#/components/schemas/{name}"
_TYPES: Final = (
    request.ChatRequest,
    request.MetadataUpdate,
    response.Completion,
    response.Chunk,
    stored.StoredCompletion,
    stored.CompletionList,
    stored.MessageList,
    stored.Deleted,
    stored.Model,
    stored.ModelList,
    stored.ErrorEnvelope,
    server.Health,
    server.Readiness,
    server.Checks,
    search.SearchList,
    search.FacetList,
    *openapi_admin.TYPES,
)

_EVERYWHERE: Final = (431, 500, 503)
_ENGINE: Final = (409, 413, 429, 502, 504)

_COMPLETION_ID: Final = {
    "name": "completion_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "Any text of one segment; a slash in it is percent-encoded.",
}
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_MODEL: Final = {
    "name": "model",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "May contain slashes, as they are or percent-encoded.",
}


@cache
def encoded(*, version: str, default_order: Order) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(version=version, default_order=default_order))


def document(*, version: str, default_order: Order) -> Document:
    """The document; ``default_order`` is that of the list of completions, which is a setting."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hansard",
            "version": version,
            "summary": "OpenAI's Chat Completions API, stored completions included, in front of any model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "/v1"},
            {"url": "/", "description": "The same without the prefix."},
            {"url": "/openai/v1", "description": "The same where clients of Azure look for it."},
            {"url": "/openai", "description": "The same where older ones do."},
        ],
        "security": [{"ApiKey": []}, {"AzureKey": []}],
        "tags": [{"name": name} for name in ("Chat", "Models", "Record", "Server", "Admin")],
        "paths": _paths(default_order) | _admin_paths(),
        "components": {
            "schemas": _schemas(),
            "headers": HEADERS,
            "responses": {
                f"Error{status}": {**_json("ErrorEnvelope", text), "headers": error_headers(status)}
                for status, text in ERRORS.items()
            },
            "securitySchemes": {
                "ApiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where the server has a key; without one everybody is let in.",
                },
                "AzureKey": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The same key."},
            },
        },
    }


def _paths(default_order: Order) -> Document:
    completion = _json("StoredCompletion", "The stored completion.")
    return {
        "/chat/completions": {
            "get": _operation(
                "listChatCompletions",
                "List the stored completions.",
                _json("CompletionList", "One page of them.", links=_LIST_LINKS),
                parameters=_list_parameters(default_order),
                errors=(400,),
            ),
            "post": _operation(
                "createChatCompletion",
                "Create a completion, plain or as a stream; `store: true` keeps it.",
                _created(),
                parameters=[_METADATA_HEADER, _IDEMPOTENCY_KEY, *_LIFETIMES],
                body="ChatRequest",
                errors=(400, 404, *_ENGINE),
            ),
        },
        "/chat/completions/{completion_id}": {
            "parameters": [_COMPLETION_ID],
            "get": _operation("getChatCompletion", "Get a stored completion.", completion, errors=(404,)),
            "post": _operation(
                "updateChatCompletion",
                "Replace the metadata of a stored completion.",
                completion,
                body="MetadataUpdate",
                errors=(400, 404, 413),
            ),
            "delete": _operation(
                "deleteChatCompletion",
                "Delete a stored completion.",
                _json("Deleted", "It is gone."),
                errors=(404,),
            ),
        },
        "/chat/completions/{completion_id}/messages": {
            "parameters": [_COMPLETION_ID],
            "get": _operation(
                "getChatCompletionMessages",
                "List the input messages of a stored completion.",
                _json("MessageList", "One page of them."),
                parameters=[_AFTER, _LIMIT, _order("asc")],
                errors=(400, 404),
            ),
        },
        "/models": {
            "get": _operation("listModels", "List the models.", _json("ModelList", "All of them."), tag="Models")
        },
        "/models/{model}": {
            "parameters": [_MODEL],
            "get": _operation(
                "retrieveModel", "Show one model.", _json("Model", "The model."), errors=(404,), tag="Models"
            ),
        },
        "/hansard/v1/search": {
            "get": _operation(
                "search",
                "Search messages and answers of the stored completions, newest first.",
                _json("SearchList", "One page of what was found."),
                parameters=[
                    _query("q", {"type": "string", "minLength": 1}, 'Words, "phrases" and beginnings*; all must occur.')
                    | {"required": True},
                    *_FILTERS,
                    _query("created_after", {"type": "integer"}, "Only completions made later (unix seconds)."),
                    _query("created_before", {"type": "integer"}, "Only completions made earlier (unix seconds)."),
                    _query("finish_reason", {"type": "string"}, "Why the first choice ended."),
                    _AFTER,
                    _LIMIT,
                ],
                errors=(400,),
                tag="Record",
            )
        },
        "/hansard/v1/facets": {
            "get": _operation(
                "facets",
                "Count the stored completions by model, finish reason and metadata.",
                _json("FacetList", "The keys there are, or the values of one, with their counts."),
                parameters=[
                    _query("key", {"type": "string"}, "`model`, `finish_reason` or `metadata[key]`; all if absent."),
                    _LIMIT,
                ],
                errors=(400,),
                tag="Record",
            )
        },
        "/health": {
            "get": _operation(
                "health", "Whether the process answers.", _json("Health", "It does."), tag="Server", guarded=False
            )
        },
        "/livez": {
            "get": _operation(
                "live",
                "The same as /health, by its other name.",
                _json("Health", "It does."),
                tag="Server",
                guarded=False,
            )
        },
        "/readyz": {"get": _readiness()},
        "/check": {
            "post": _operation(
                "check",
                "Ask anew whether each target answers: its engine for a list, or the target for a completion.",
                _json("Checks", "What was found."),
                parameters=[
                    _query("model", {"type": "array", "items": {"type": "string"}}, "Only these; may be repeated."),
                    _query("ask", {"enum": ["list", "completion"], "default": "list"}, "A completion may cost money."),
                ],
                errors=(400, 404, 413),
                tag="Server",
            )
        },
        "/metrics": {
            "get": _operation(
                "metrics",
                "Numbers for Prometheus.",
                {"description": "The numbers.", "content": {"text/plain": {"schema": {"type": "string"}}}},
                tag="Server",
            )
        },
        "/openapi.json": {
            "get": _operation(
                "openapi",
                "This document.",
                {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}},
                tag="Server",
                guarded=False,
            )
        },
    }


def _admin_paths() -> Document:
    paths: Document = {}
    for row in openapi_admin.ROWS:
        at = paths.setdefault(row.path, {"parameters": [_ID]} if "{id}" in row.path else {})
        at[row.method] = _operation(
            row.name,
            row.summary,
            _LINES if row.reply is None else _json(row.reply, "It is done." if row.body else "Found."),
            parameters=[_query(*openapi_admin.ASKED[name]) for name in row.asked],
            body=row.body,
            needs_body=row.needs_body,
            errors=row.errors,
            tag="Admin",
        )
    return paths


def _operation(
    name: str,
    summary: str,
    reply: Document,
    *,
    parameters: list[Document] | None = None,
    body: str | None = None,
    needs_body: bool = True,
    errors: tuple[int, ...] = (),
    tag: str = "Chat",
    guarded: bool = True,
) -> Document:
    said: Document = {"operationId": name, "tags": [tag], "summary": summary}
    if not guarded:
        said["security"] = []
    if parameters:
        said["parameters"] = parameters
    if body is not None:
        said["requestBody"] = {"required": needs_body, "content": {"application/json": {"schema": _ref(body)}}}
    statuses = sorted({*((401, 403) if guarded else ()), *((408,) if body else ()), *errors, *_EVERYWHERE})
    reply = {**reply, "headers": references("headers", REPLY_HEADERS) | reply.get("headers", {})}
    said["responses"] = {"200": reply} | {
        str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses
    }
    return said


def _created() -> Document:
    reply = _json("Completion", "The completion, or its chunks where `stream` is true.", links=_CREATE_LINKS)
    # As the official document writes it: the schema is that of one event's payload, and `[DONE]` ends the stream.
    reply["content"]["text/event-stream"] = {"schema": _ref("Chunk")}
    reply["headers"] = references("headers", ("idempotent-replayed", *LIMITED))
    return reply


def _readiness() -> Document:
    said = _operation(
        "readiness",
        "Whether the store takes writes and an engine takes calls.",
        _json("Readiness", "Both do."),
        parameters=[_query("verbose", {"type": "string"}, "Say which targets serve each model, and why one does not.")],
        tag="Server",
        guarded=False,
    )
    said["responses"]["503"] = {
        **_json("Readiness", "One of them does not."),
        "headers": references("headers", (*REPLY_HEADERS, "Retry-After")),
    }
    return said


def _json(name: str, description: str, *, links: Document | None = None) -> Document:
    reply: Document = {"description": description, "content": {"application/json": {"schema": _ref(name)}}}
    return reply | ({"links": links} if links else {})


def _ref(name: str) -> Document:
    return {"$ref": _SCHEMAS.format(name=name)}


def _query(name: str, schema: Document, description: str) -> Document:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _order(default: Order) -> Document:
    return _query("order", {"enum": ["asc", "desc"], "default": default}, "By time of creation.")


def _list_parameters(default_order: Order) -> list[Document]:
    return [*_FILTERS, _AFTER, _LIMIT, _order(default_order)]


_PAIRS: Final = {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": MAX_METADATA_PAIRS}
_FILTERS: Final = (
    _query("model", {"type": "string"}, "The model of the reply, or the name that was asked for."),
    _query("metadata", _PAIRS, "`metadata[key]=value`; every pair must match exactly.")
    | {"style": "deepObject", "explode": True},
)
_AFTER: Final = _query("after", {"type": "string"}, "The last id of the page before.")
_LIMIT: Final = _query(
    "limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}, "How many on a page."
)
_METADATA_HEADER: Final = {
    "name": METADATA_HEADER,
    "in": "header",
    "description": "Metadata from clients whose library swallows the field: a JSON object. The body's own pairs win.",
    "content": {"application/json": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}},
}
_IDEMPOTENCY_KEY: Final = {
    "name": HEADER,
    "in": "header",
    "description": "The same key and body get the same completion; the same key with another body gets 409.",
    "schema": {"type": "string", "maxLength": MAX_LENGTH, "pattern": "^[ -~]+$"},
}
_LIFETIMES: Final = [
    {
        "name": name,
        "in": "header",
        "description": f"How long {what}: {WANTED}. Wins over metadata.{key}, and that over the server's setting.",
        "schema": {"type": "string", "pattern": "^([0-9]{1,12}[smhdw]?|never)$"},
    }
    for name, what, key in (
        (lifetimes.TTL_HEADER, "the stored completion is kept", lifetimes.TTL_KEY),
        (lifetimes.BODY_TTL_HEADER, "what was said in it is kept", lifetimes.BODY_TTL_KEY),
    )
]
_LINES: Final[Document] = {
    "description": "The lines. One with an `error` is the last: not all could be read.",
    "content": {"application/jsonl": {"schema": {"type": "string"}}},
}
_OF_ONE: Final = ("getChatCompletion", "updateChatCompletion", "getChatCompletionMessages", "deleteChatCompletion")
_CREATE_LINKS: Final = {
    name: {"operationId": name, "parameters": {"completion_id": "$response.body#/id"}} for name in _OF_ONE
}
_LIST_LINKS: Final = {
    name: {"operationId": name, "parameters": {"completion_id": "$response.body#/last_id"}} for name in _OF_ONE
} | {"nextPage": {"operationId": "listChatCompletions", "parameters": {"after": "$response.body#/last_id"}}}


def _schemas() -> Document:
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template=_SCHEMAS)
    published: Document = _as_published(schemas)
    return published


def _as_published(node: Any) -> Any:
    """Patterns end as ECMAScript's do, and descriptions are CommonMark."""
    if isinstance(node, list):
        return [_as_published(item) for item in node]
    if not isinstance(node, dict):
        return node
    said = {key: _as_published(item) for key, item in node.items()}
    if isinstance(pattern := said.get("pattern"), str):
        said["pattern"] = pattern.replace(r"\Z", "$")
    if isinstance(description := said.get("description"), str):
        said["description"] = description.replace("``", "`")
    return said
