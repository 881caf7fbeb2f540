"""Tool calls, from what the engine writes to the contract's deltas."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.engines.llamacpp.calls import CallWriter, InputReader, JsonReader
from hansard.engines.llamacpp.tools import ToolPlan

PLAN = ToolPlan(
    offered=[], forced=False, in_json=False, named=False, parallel=True, custom=frozenset({"note"}), legacy=False
)  # fmt: skip
LEGACY = msgspec.structs.replace(PLAN, legacy=True)


def read(pieces: list[str], *names: str, closed: bool = True) -> tuple[str | None, str]:
    reader = JsonReader(names)
    text = "".join(reader.feed(piece) for piece in pieces)
    return reader.name, text + reader.end(closed=closed)


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


VALUES = st.recursive(
    st.integers() | st.text() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
CUTS = st.lists(st.integers(0, 200), max_size=8)
SPACE = st.sampled_from(["", " ", "\n  "])


@given(arguments=st.dictionaries(st.text(), VALUES), name=st.text(min_size=1), cuts=CUTS, space=SPACE)
def test_any_split_of_a_call_gives_its_name_and_its_arguments(
    arguments: dict[str, Any], name: str, cuts: list[int], space: str
) -> None:
    written = msgspec.json.encode(arguments).decode()
    text = f'{{{space}"name":{space}{msgspec.json.encode(name).decode()},{space}"arguments":{space}{written}{space}}}'

    assert read(cut(text, cuts), "other", name) == (name, written)


@given(answer=VALUES | st.fixed_dictionaries({"name": VALUES}, optional={"arguments": VALUES, "b": VALUES}), cuts=CUTS)
def test_any_split_of_an_answer_gives_the_answer(answer: Any, cuts: list[int]) -> None:
    text = msgspec.json.encode(answer).decode()

    assert read(cut(text, cuts), "no such name here") == (None, text)


@pytest.mark.parametrize(
    "text", ['{"a', '{"name": "f", "b": ', '{"name": {', "[1", '{"name": "g", "arguments": {', "{}"]
)
def test_an_answer_is_known_as_soon_as_it_cannot_be_a_call(text: str) -> None:
    reader = JsonReader(["f"])
    reader.feed(text)

    assert reader.answering is (text not in ('{"a', '{"name": "f", "b": '))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "f", "arguments": {"a": {"b": 1}', ("f", '{"a": {"b": 1}')),
        ('{"name": "f", "arguments": {"a": "x}', ("f", '{"a": "x}')),
        ('{"name": "f", "argu', (None, '{"name": "f", "argu')),
    ],
)
def test_what_was_cut_off_keeps_what_it_has(text: str, expected: tuple[str | None, str]) -> None:
    assert read([text], "f", closed=False) == expected


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
    assert written(PLAN, ("note", ['{"inp', 'ut": "a', "\\n", 'b"}\n</tool_call>']), ("f", [])) == [
        {"tool_calls": [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "note", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "a"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "\n"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "b"}}]},
        {"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "f", "arguments": ""}}]},
    ]


@given(text=st.text(), cuts=CUTS, space=SPACE, ascii=st.booleans())
def test_any_split_of_an_input_gives_its_text(text: str, cuts: list[int], space: str, ascii: bool) -> None:  # noqa: A002
    arguments = f'{{{space}"input":{space}{json.dumps(text, ensure_ascii=ascii)}{space}}}'
    reader = InputReader()

    assert "".join(reader.feed(piece) for piece in cut(arguments, cuts)) + reader.end() == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "a', "a"),
        ('{"input": "a\\', "a"),
        ('{"input": "a\\ud83d', "a"),
        ('{"input": "a\\ud83db"', "a\N{REPLACEMENT CHARACTER}b"),
        ('{"input": "a"}\n</tool_call>', "a"),
        ('{"other": 1}', '{"other": 1}'),
        ("plain", "plain"),
    ],
)
def test_an_input_is_what_can_be_read_of_it(arguments: str, text: str) -> None:
    reader = InputReader()

    assert reader.feed(arguments) + reader.end() == text


@given(text=st.text(), cuts=CUTS)
def test_any_split_of_a_raw_call_gives_its_input_as_it_is(text: str, cuts: list[int]) -> None:
    reader = JsonReader(["f", "note"], raw=["note"])
    pieces = [reader.feed(piece) for piece in cut('{"name": "note", "arguments": ' + text, cuts)]

    assert (reader.name, "".join(pieces) + reader.end(closed=True)) == ("note", text)


def test_a_raw_call_says_its_input_as_it_comes() -> None:
    plan = msgspec.structs.replace(PLAN, grammars={"note": 'start: "}"'})

    assert written(plan, ("note", ['{"input', "}"])) == [
        {"tool_calls": [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "note", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": '{"input'}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "}"}}]},
    ]


def test_the_deprecated_form() -> None:
    assert written(LEGACY, ("f", ["{", "}"])) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{"}},
        {"function_call": {"arguments": "}"}},
    ]
