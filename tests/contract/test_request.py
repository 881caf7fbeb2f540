"""The request's structs: all 37 fields, absent apart from null, and fit to be described to others."""

from __future__ import annotations

import inspect
from types import ModuleType

import msgspec
import pytest

from hansard.contract import messages, request, response, server, stored
from hansard.contract.request import ChatRequest

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_there_are_37_fields_and_two_are_required() -> None:
    fields = msgspec.structs.fields(ChatRequest)
    assert len(fields) == 37
    assert [field.name for field in fields if field.required] == ["model", "messages"]


def test_absent_is_not_null() -> None:
    assert msgspec.convert(HELLO, ChatRequest).stop is msgspec.UNSET
    assert msgspec.convert({**HELLO, "stop": None}, ChatRequest).stop is None


def test_the_role_may_stand_last() -> None:
    body = b'{"messages":[{"content":[{"text":"Hi","type":"text"}],"role":"user"}],"model":"m"}'
    [message] = msgspec.json.decode(body, type=ChatRequest).messages
    assert message == messages.UserMessage(content=[messages.TextPart(text="Hi")])


@pytest.mark.parametrize("module", [messages, request, response, server, stored], ids=lambda module: module.__name__)
def test_every_struct_is_frozen_and_can_be_described(module: ModuleType) -> None:
    structs = [
        item
        for _, item in inspect.getmembers(module, inspect.isclass)
        if issubclass(item, msgspec.Struct) and item is not msgspec.Struct
    ]
    assert structs
    for struct in structs:
        assert struct.__struct_config__.frozen
        assert msgspec.json.schema(struct)
