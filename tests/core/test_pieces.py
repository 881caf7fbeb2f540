"""pieces.py: a request cut is the request joined, whatever it is; what comes again is cut the same way again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.core.pieces import SHORTEST, SHORTEST_LAST, Cut, cut, digests, joined, without_messages


def text(name: str, size: int = SHORTEST) -> str:
    return f"{name} {'.' * size}"


def message(role: str, name: str, size: int = SHORTEST) -> dict[str, Any]:
    return {"role": role, "content": text(name, size)}


def body(*messages: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages, **more}, separators=(",", ":")).encode()


def spelled(*messages: dict[str, Any]) -> bytes:
    return json.dumps(messages, separators=(",", ":"))[1:-1].encode()


SYSTEM, ASKED, SAID, ASKED_AGAIN = (
    message("system", "s"),
    message("user", "u1"),
    message("assistant", "a1"),
    message("user", "u2"),
)
TOOLS = [{"type": "function", "function": {"name": "f", "description": text("tool")}}]


def test_a_conversation_is_cut_at_its_turns() -> None:
    parts = cut(body(SYSTEM, ASKED, SAID, ASKED_AGAIN))
    assert parts.turns == (spelled(SYSTEM), b"," + spelled(ASKED), b"," + spelled(SAID, ASKED_AGAIN))
    assert parts.rest == b'{"model":"m","messages":[]}'


def test_the_next_turn_begins_with_the_pieces_of_the_last() -> None:
    before = cut(body(SYSTEM, ASKED, SAID, ASKED_AGAIN)).turns
    answered = message("assistant", "a2")
    after = cut(body(SYSTEM, ASKED, SAID, ASKED_AGAIN, answered, message("user", "u3"))).turns
    assert after[: len(before)] == before
    assert digests(after)[: len(before)] == digests(before)


def test_a_single_question_stays_where_it_is() -> None:
    parts = cut(body(ASKED))
    assert (parts.turns, parts.rest) == ((), body(ASKED))


def test_the_instructions_before_it_are_cut_out() -> None:
    parts = cut(body(SYSTEM, ASKED))
    assert (parts.turns, parts.rest) == ((spelled(SYSTEM),), b'{"model":"m","messages":[,' + spelled(ASKED) + b"]}")


def test_a_long_single_question_is_cut_out() -> None:
    asked = message("user", "u", SHORTEST_LAST)
    assert cut(body(asked)).turns == (spelled(asked),)


def test_short_turns_go_together() -> None:
    short = [message(role, str(number), 60) for number, role in enumerate(["user", "assistant"] * 4)]
    parts = cut(body(*short, message("user", "last", 10)))
    assert [len(turn) >= SHORTEST for turn in parts.turns] == [True, True]
    assert parts.tail > 0


@pytest.mark.parametrize("more", [{"tools": TOOLS}, {"tools": TOOLS, "temperature": 1}])
def test_tools_are_a_piece(more: dict[str, Any]) -> None:
    parts = cut(body(SYSTEM, ASKED, **more))
    assert parts.tools == json.dumps(TOOLS, separators=(",", ":")).encode()
    assert joined(parts) == body(SYSTEM, ASKED, **more)


def test_tools_before_the_messages() -> None:
    request = json.dumps({"tools": TOOLS, "messages": [SYSTEM, ASKED], "model": "m"}, separators=(",", ":")).encode()
    parts = cut(request)
    assert parts.rest == b'{"tools":,"messages":[,' + spelled(ASKED) + b'],"model":"m"}'
    assert joined(parts) == request
    assert json.loads(without_messages(parts)) == {"tools": TOOLS, "messages": [], "model": "m"}


def test_messages_are_found_where_the_same_text_stands_before() -> None:
    """Whichever of the two is cut, the whole is what came."""
    request = json.dumps({"x": [SYSTEM], "messages": [SYSTEM, ASKED]}, separators=(",", ":")).encode()
    assert joined(cut(request)) == request


@pytest.mark.parametrize(
    "request_",
    [b"", b"{}", b"[" * 300, b"\xff" * 300, b'{"messages":7,"x":"' + b"x" * 300 + b'"}', body(messages=[])],
)
def test_what_is_no_request_stays_whole(request_: bytes) -> None:
    assert cut(request_) == Cut(request_)


def test_a_digest_names_all_before_it() -> None:
    assert digests([b"a", b"b"])[1] != digests([b"c", b"b"])[1]
    assert len(set(digests([b"a", b"a"]))) == 2


_SPACE = st.sampled_from(["", " ", "\n  "])
_MESSAGES = st.lists(
    st.builds(
        message,
        st.sampled_from(["system", "developer", "user", "assistant", "tool", "odd"]),
        st.text(max_size=3),
        st.sampled_from([0, 60, SHORTEST, SHORTEST_LAST]),
    ),
    max_size=8,
)


@given(_MESSAGES, st.booleans(), st.booleans(), _SPACE, st.integers(0, 2))
def test_a_request_cut_is_the_request_joined(
    messages: list[dict[str, Any]], tools: bool, tools_first: bool, space: str, indent: int
) -> None:
    document: dict[str, Any] = {"tools": TOOLS} if tools and tools_first else {}
    document |= {"messages": messages, "metadata": {"a": "b"}}
    document |= {"tools": TOOLS} if tools and not tools_first else {}
    request = json.dumps(document, indent=indent or None, separators=(f",{space}", f":{space}")).encode()

    parts = cut(request)

    assert joined(parts) == request
    # Without its messages it is the same request, if they were made out at all.
    bare = without_messages(parts)
    assert bare == request or json.loads(bare) == {**document, "messages": []}


@given(st.binary(max_size=600))
def test_any_bytes_are_cut_and_joined(request: bytes) -> None:
    assert joined(cut(request)) == request
