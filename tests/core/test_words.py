"""core/words: which words a completion has, what a query asks for, and what is shown of a hit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core.words import LONGEST, MOST_BYTES, Term, snippet, terms, texts, words_of
from hansard.errors import InvalidRequest


def made(messages: list[Any], *answers: Any) -> tuple[bytes, bytes]:
    choices = [{"index": at, "message": answer} for at, answer in enumerate(answers)]
    return json.dumps({"model": "m", "messages": messages}).encode(), json.dumps({"choices": choices}).encode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Paris", [Term(("paris",))]),
        ("  paris   FRANCE paris ", [Term(("paris",)), Term(("france",))]),
        ('"capital of" france', [Term(("capital", "of")), Term(("france",))]),
        ("cap*", [Term(("cap",), is_prefix=True)]),
        ("Élan Straße ﬁn", [Term(("elan",)), Term(("strasse",)), Term(("fin",))]),
        ("foo_bar", [Term(("foo", "bar"))]),
        ("user@host.org", [Term(("user", "host", "org"))]),
        ('"never closed', [Term(("never", "closed"))]),
        ('"no prefix*"', [Term(("no", "prefix"))]),
        ("NOT (a OR bcd*", [Term(("not",)), Term(("a",)), Term(("or",)), Term(("bcd",), is_prefix=True)]),
        ("NEAR/3 ^c:d", [Term(("near", "3")), Term(("c", "d"))]),
        ("'; DROP TABLE x; --", [Term(("drop",)), Term(("table",)), Term(("x",))]),
        ("x" * 100, [Term(("x" * LONGEST,))]),
    ],
)  # fmt: skip
def test_a_query_is_terms(query: str, expected: list[Term]) -> None:
    assert list(terms(query)) == expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "invalid_value"),
        ('" * ( ', "invalid_value"),
        ("a b c d e f g h i j k l m n o p q", "array_above_max_length"),
        ("word ab*", "string_below_min_length"),
    ],
)
def test_a_query_without_words_or_with_too_many_is_refused(query: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        terms(query)
    assert (refused.value.param, refused.value.code) == ("q", code)


@given(st.text())
def test_no_text_is_a_wrong_query(query: str) -> None:
    try:
        found = terms(query)
    except InvalidRequest:
        return
    assert all(word.isalnum() and 0 < len(word) <= LONGEST for term in found for word in term.words)


@given(st.text())
def test_what_was_said_is_found_by_its_own_words(text: str) -> None:
    request, reply = made([{"role": "user", "content": text}])
    said = words_of(request, reply)
    try:
        [term] = terms('"' + text.replace('"', " ") + '"')
    except (InvalidRequest, ValueError):
        return
    assert list(term.words) == said


def test_all_that_was_said_is_searched_and_nothing_else() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"place": "Ulm"}'}}
    custom = {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "ls -l"}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    request, reply = made(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
            {"role": "assistant", "content": None, "tool_calls": [call, custom]},
            {"role": "tool", "tool_call_id": "call_1", "content": "found"},
            {"role": "assistant", "function_call": {"name": "old", "arguments": "way"}, "refusal": "never"},
        ],
        {"role": "assistant", "content": "first"},
        {"role": "assistant", "content": None, "refusal": "second"},
    )  # fmt: skip
    assert list(texts(request, reply)) == [
        *("first", "second", "Be brief.", "Look", "No"),
        *("find", '{"place": "Ulm"}', "run", "ls -l", "found", "old", "way", "never"),
    ]


def test_the_words_are_bounded() -> None:
    request, reply = made([{"role": "user", "content": "ab " * MOST_BYTES}], {"content": "last words"})
    words = words_of(request, reply)
    assert words[:3] == ["last", "words", "ab"]
    assert sum(len(word) + 1 for word in words) <= MOST_BYTES < sum(len(word) + 1 for word in words) + 4


@pytest.mark.parametrize("document", [b"", b"[]", b'{"messages": 1}', b'{"messages": [1, {"content": 2}]}', b"\xff"])
def test_what_is_no_request_has_no_words(document: bytes) -> None:
    assert words_of(document, document.replace(b"messages", b"choices")) == []


def test_a_snippet_is_the_text_around_the_first_hit() -> None:
    text = "word " * 50 + "The Élan,\nof it " + "rest " * 50
    assert snippet(["nothing", text], terms("elan")) == f"…{'word ' * 11}The Élan, of it {'rest ' * 24}rest…"


def test_a_snippet_without_a_hit_is_the_beginning() -> None:
    assert snippet(["Short."], terms("other")) == "Short."
    assert snippet([], terms("other")) == ""


def test_a_snippet_sees_prefixes_and_the_first_word_of_a_phrase() -> None:
    assert snippet(["x " * 60 + "beginning here"], terms("begin*")).endswith("x beginning here")
    assert snippet(["x " * 60 + "two words"], terms('"two words"')).endswith("x two words")
