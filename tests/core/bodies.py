"""Request bodies for the tests of ``core``, and what the API says to a bad one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansard.contract import Document
from hansard.core.validate import parse_create
from hansard.errors import InvalidRequest

USER: Document = {"role": "user", "content": "Hi"}


def body(**fields: Any) -> bytes:
    """A create request of one message, and these fields."""
    return msgspec.json.encode({"model": "m", "messages": [USER], **fields})


def refusal(sent: bytes) -> tuple[str, str | None, str | None]:
    """Message, param and code of the 400 that this body gets where nothing beyond the contract is taken."""
    with pytest.raises(InvalidRequest) as caught:
        parse_create(sent, takes_unknown=no_model)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    return caught.value.message, caught.value.param, caught.value.code


def call(identifier: str, arguments: str = "{}") -> Document:
    return {"id": identifier, "type": "function", "function": {"name": "f", "arguments": arguments}}


def function(name: str = "f", **more: Any) -> Document:
    return {"type": "function", "function": {"name": name, **more}}


def schema(schema: Document, **more: Any) -> Document:
    return {"type": "json_schema", "json_schema": {"name": "router", "schema": schema, **more}}


def no_model(_: str) -> bool:
    """For ``takes_unknown``: an engine that knows the contract's keys and no others."""
    return False
