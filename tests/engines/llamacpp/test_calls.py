"""Tool calls, from what the engine writes to the contract's deltas."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.engines.llamacpp.calls import CallWriter, ForcedCall
from hansard.engines.llamacpp.tools import ToolPlan

PLAN = ToolPlan(
    offered=[], forced=False, named=False, parallel=True, custom=frozenset({"note"}), legacy=False
)  # fmt: skip
LEGACY = msgspec.structs.replace(PLAN, legacy=True)


def read(pieces: list[str], *, closed: bool = True) -> tuple[str | None, str]:
    call = ForcedCall()
    arguments = "".join(call.feed(piece) for piece in pieces)
    return call.name, arguments + call.end(closed=closed)


@given(
    arguments=st.dictionaries(st.text(), st.recursive(st.integers() | st.text(), st.lists, max_leaves=5)),
    name=st.text(min_size=1),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    space=st.sampled_from(["", " ", "\n  "]),
)
def test_any_split_gives_the_name_and_the_arguments(
    arguments: dict[str, Any], name: str, cuts: list[int], space: str
) -> None:
    written = msgspec.json.encode(arguments).decode()
    text = f'{{{space}"name":{space}{msgspec.json.encode(name).decode()},{space}"arguments":{space}{written}{space}}}'
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]

    assert read([text[a:b] for a, b in itertools.pairwise(edges)]) == (name, written)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "f", "arguments": {"a": {"b": 1}', ("f", '{"a": {"b": 1}')),
        ('{"name": "f", "arguments": {"a": "x}', ("f", '{"a": "x}')),
        ('{"name": "f", "argu', (None, "")),
    ],
)
def test_a_call_that_was_cut_off_keeps_what_it_has(text: str, expected: tuple[str | None, str]) -> None:
    assert read([text], closed=False) == expected


def written(plan: ToolPlan, *calls: tuple[str, list[str]]) -> list[dict[str, Any]]:
    writer = CallWriter(plan, mint=iter(["call_a", "call_b"]).__next__)
    deltas = []
    for name, pieces in calls:
        deltas += [*writer.begin(name), *(delta for piece in pieces for delta in writer.more(piece))]
    return [*deltas, *writer.end()]


def test_function_calls_open_and_go_on_by_index() -> None:
    assert written(PLAN, ("f", ["{", "", "}"]), ("g", ["{}"])) == [
        {"tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        {"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_a_custom_call_says_its_input_as_text() -> None:
    assert written(PLAN, ("note", ['{"input": "a', '\\nb"}']), ("f", [])) == [
        {"tool_calls": [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "note", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "a\nb"}}]},
        {"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    ]


def test_a_custom_call_that_was_cut_off_keeps_what_it_has() -> None:
    assert written(PLAN, ("note", ['{"input": "a']))[1] == {
        "tool_calls": [{"index": 0, "custom": {"input": '{"input": "a'}}]
    }


def test_the_deprecated_form() -> None:
    assert written(LEGACY, ("f", ["{", "}"])) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{"}},
        {"function_call": {"arguments": "}"}},
    ]
