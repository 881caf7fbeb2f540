"""core/redaction.py: what becomes of labels, and of JSON around what is found."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.core.redaction import BUILT_IN, Redaction, Unknown
from tests.core.found import TEXTS

ALL = Redaction(BUILT_IN)


def test_a_pattern_of_the_operators_own() -> None:
    own = Redaction(["ticket", "email"], own={"ticket": re.compile(r"T-[0-9]{4}")})

    assert own.text("T-1234 of ada@example.com") == "[redacted:ticket] of [redacted:email]"


@pytest.mark.parametrize(
    "pattern", [r"\bT{3}\b", r"(?<=x.)T{3}(?=.{0,9}x)", r"T{3}(?!\Z)(?!.?$)", r"^T{3}", r"T{1,40}"]
)
@pytest.mark.parametrize("size", [40_000, 4_096 * 2 - 3, 4_096 * 3 + 1])
def test_in_a_long_text_an_own_pattern_finds_what_it_finds_at_one_go(pattern: str, size: int) -> None:
    text = ("TTT x TTTT,x.TTT\n" * 10_000)[:size]
    compiled = re.compile(pattern)

    assert Redaction(["own"], own={"own": compiled}).text(text) == compiled.sub("[redacted:own]", text)


def test_an_own_pattern_lets_others_run_while_it_looks_through_a_long_text() -> None:
    looked: list[tuple[int, int]] = []

    class Watched:
        def finditer(self, text: str, start: int, end: int) -> list[re.Match[str]]:
            looked.append((start, end))
            return []

    Redaction(["own"], own={"own": Watched()}).text("a" * 1_000_000)  # type: ignore[dict-item]

    assert max(end - start for start, end in looked) < 20_000
    assert looked[-1][1] == 1_000_000


def test_keys_that_are_redacted_alike_stay_apart() -> None:
    labels = {"ada@example.com": "a", "bob@example.com": "b", "[redacted:email]": "c", "eve@example.com": "d", "x": "e"}

    kept = Redaction(["email"]).metadata(labels)

    assert kept == {
        "[redacted:email]#2": "a",
        "[redacted:email]#3": "b",
        "[redacted:email]": "c",
        "[redacted:email]#4": "d",
        "x": "e",
    }
    assert Redaction(["email"]).metadata(kept) == kept


def test_what_redaction_makes_longer_is_still_a_label() -> None:
    """An update takes 64 characters of a key and 512 of a value, as the API does; then the marks are short ones."""
    labels = {f"{at}{' ::1' * 15}": " ::1" * 128 for at in range(3)}

    kept = Redaction(["ip"]).metadata(labels)

    assert kept == {f"{at}{' *' * 15}": " *" * 128 for at in range(3)}


def test_long_keys_that_are_redacted_alike_stay_apart_and_short_enough() -> None:
    labels = {f"{'a' * 61}::{at}": "x" for at in range(1, 4)} | {f"{'a' * 60} ::{at}": "x" for at in range(1, 5)}

    kept = Redaction(["ip"]).metadata(labels)

    assert len(kept) == 7
    assert max(map(len, kept)) <= 64
    assert "::4" not in str(kept)


@given(
    labels=st.dictionaries(
        st.text("a:1@.b* ", max_size=64) | st.sampled_from(["ada@example.com", "b@example.com", "[redacted:email]"]),
        st.text("a:1@.b ", max_size=512) | st.just("a@b.cc " * 73),
        max_size=16,
    )
)
def test_labels_stay_as_many_and_as_short_as_an_update_takes(labels: dict[str, str]) -> None:
    kept = ALL.metadata(labels)

    assert list(map(bool, kept.values())) == list(map(bool, labels.values()))
    assert all(len(key) <= 64 and len(value) <= 512 for key, value in kept.items())


def test_names_in_a_document_that_are_redacted_alike_stay_apart() -> None:
    body = {"tools": [{"ada@example.com": 1, "bob@example.com": 2, "[redacted:email]": 3}], "x": {"bob@example.com": 4}}

    kept = json.loads(Redaction(["email"]).request(json.dumps(body).encode()))

    [tool] = kept["tools"]
    assert list(tool.values()) == [1, 2, 3]
    assert "example" not in str(kept)
    assert list(kept["x"]) == [list(tool)[1]]


@pytest.mark.parametrize("name", ["id", "object", "system_fingerprint"])
def test_what_only_a_reply_has_is_in_a_request_like_all_else(name: str) -> None:
    body = json.dumps({name: "ada@example.com"}).encode()

    assert b"ada" not in ALL.request(body)
    assert ALL.reply(body) is body


def test_of_a_name_that_is_there_twice_only_the_last_one_counts() -> None:
    said = '{"model":"%","messages":[{"role":"%","tool_calls":[{"id":"%"}]}],"user":"u",'
    counts = '"messages":[{"role":"%","role":"&"}],"model":"&"}'

    body = (said + counts).replace("%", "ada@example.com").replace("&", "bob@example.com").encode()

    kept = ALL.request(body)
    assert b"ada" not in kept
    assert kept == (said + counts).replace("%", "[redacted:email]").replace("&", "bob@example.com").encode()


def test_a_file_under_a_name_that_is_there_twice_is_text() -> None:
    card = "4242424242424242"
    body = f'{{"messages":[{{"content":[{{"image_url":{{"url":"{card}","url":"https://x"}}}}]}}]}}'.encode()

    assert card.encode() not in ALL.request(body)


def test_an_own_pattern_does_not_take_the_names_away_that_a_document_is_read_by() -> None:
    """Else a stored completion had no ``messages`` and no ``id``."""
    own = Redaction(["own"], own={"own": re.compile("[a-z]{1,20}")})

    assert own.request(b'{"messages":[{"role":"user","content":"hi"}]}') == (
        b'{"messages":[{"role":"user","content":"[redacted:own]"}]}'
    )
    assert own.reply(b'{"id":"a","model":"m","choices":[]}') == b'{"id":"a","model":"m","choices":[]}'


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Unknown):
        Redaction(["email", "ticket"])


def test_all_around_it_stays_byte_for_byte() -> None:
    body = b'{ "model":"m",\n "temperature":1.0, "top_p": 1e-7,"messages" : [{"content":"to %s \\ud83d"}]}'

    kept = Redaction(["email"]).request(body.replace(b"%s", b"\\u0061da@example.com"))

    assert kept == body.replace(b"%s", b"[redacted:email]")


def test_without_a_find_it_is_the_very_same() -> None:
    body = b'{"messages":[{"content":"Hello"}]}'

    assert ALL.request(body) is body


def test_keys_go_as_well_and_what_says_how_a_document_is_made_stays() -> None:
    call = {"id": "ada@example.com", "type": "ada@example.com"}
    asked = {
        "metadata": {"ada@example.com": "x"},
        "model": "ada@example.com",
        "messages": [{"role": "ada@example.com", "tool_calls": [call]}],
    }
    answered = {
        "id": "ada@example.com",
        "choices": [{"finish_reason": "ada@example.com", "message": {"tool_calls": [call]}}],
    }

    kept = json.loads(Redaction(["email"]).request(json.dumps(asked).encode()))

    assert kept == {**asked, "metadata": {"[redacted:email]": "x"}}
    assert json.loads(Redaction(["email"]).reply(json.dumps(answered).encode())) == answered


def test_a_text_in_a_list_behind_an_id_is_not_left_alone() -> None:
    body = b'{"a":[{"id":"x"},"ada@example.com"],"id":["ada@example.com"]}'

    assert b"ada" not in Redaction(["email"]).request(body)


CARD = "4242424242424242"  # and base64 as well
PNG = f"data:image/png;base64,{CARD}"


def _asking(part: Any, **fields: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": [part]}], **fields}).encode()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "input_audio", "input_audio": {"data": CARD, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:;base64,{CARD}=="}},
        {"type": "file", "file": {"file_data": f"data:text/plain;charset=utf-8;base64,{CARD}"}},
        {"type": "file", "file": {"file_data": CARD}},
    ],
)
def test_a_file_in_a_request_is_no_text(part: Any) -> None:
    body = _asking(part)

    assert ALL.request(body) is body


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": f"data: my card is {CARD}"},
        {"type": "text", "text": PNG},
        {"type": "image_url", "image_url": {"url": f"data:text/plain,{CARD}"}},
        {"type": "image_url", "image_url": {"url": f"data:text/plain;base64,{CARD} and"}},
        {"type": "image_url", "image_url": {"url": f"data:text/plain;name=a@b;base64,{CARD}"}},
        {"type": "input_audio", "input_audio": {"data": f"the card {CARD}"}},
        {"type": "file", "file": {"file_data": f"data:text/plain,{CARD}"}},
        {"type": "file", "file": {"filename": PNG}},
        {"type": "file", "file": [PNG]},
    ],
)
def test_what_is_no_file_is_text(part: Any) -> None:
    assert CARD.encode() not in ALL.request(_asking(part))


@pytest.mark.parametrize("name", ["id", "model", "role", "type", "data", "file_data", "tool_call_id"])
@pytest.mark.parametrize("around", [["metadata"], ["tools", "function", "parameters"], ["extra", "messages"], [""]])
def test_a_name_of_the_contract_elsewhere_is_one_like_any_other(name: str, around: list[str]) -> None:
    said: Any = CARD
    for each in [name, *reversed(around)]:
        said = {each: said}

    assert CARD.encode() not in ALL.request(json.dumps(said).encode())
    assert CARD.encode() not in ALL.request(_asking({"type": "text", "text": "x"}, **said))


def test_a_text_behind_an_object_in_a_list_is_not_left_alone() -> None:
    body = json.dumps({"messages": [{"role": 5}, CARD, {"tool_calls": [{"id": {}}, CARD]}], "model": [{}, CARD]})

    assert CARD.encode() not in ALL.request(body.encode())


def test_what_is_said_in_the_arguments_of_a_call_goes() -> None:
    body = json.dumps({"arguments": json.dumps({"to": "ada@example.com"})}).encode()

    assert json.loads(json.loads(Redaction(["email"]).request(body))["arguments"]) == {"to": "[redacted:email]"}


def test_tokens_that_spell_it_again_go() -> None:
    tokens = [{"token": "ada@", "bytes": [97], "logprob": 0.0, "top_logprobs": []}]
    reply = {"choices": [{"message": {"content": "ada@example.com"}, "logprobs": {"content": tokens}}]}

    kept = json.loads(Redaction(["email"]).reply(json.dumps(reply).encode()))

    assert kept == {"choices": [{"message": {"content": "[redacted:email]"}, "logprobs": None}]}


def test_tokens_of_a_reply_without_a_find_stay() -> None:
    reply = json.dumps({"choices": [{"message": {"content": "Hi"}, "logprobs": {"content": []}}]}).encode()

    assert ALL.reply(reply) is reply


# Some of what is left alone, by the way to it, and names that lead there.
_ALONE = {
    "request": {("model",), ("messages", "role"), ("messages", "tool_calls", "id")},
    "reply": {("id",), ("model",), ("choices", "message", "role"), ("choices", "message", "tool_calls", "id")},
}
_NAMES = st.sampled_from(sorted({name for ways in _ALONE.values() for way in ways for name in way}))
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | _NAMES, inner, max_size=4),
    max_leaves=20,
)


class _Expected:
    """The same rule over what was parsed."""

    def __init__(self, kind: str) -> None:
        self._alone = _ALONE[kind]
        self._names: dict[str, str] = {}

    def of(self, document: Any, way: tuple[str, ...] = (), *, is_listed: bool = False) -> Any:
        if isinstance(document, dict):
            return {self._name(key): self.of(value, (*way, key)) for key, value in document.items()}
        if isinstance(document, list):
            return [self.of(each, way, is_listed=True) for each in document]
        if isinstance(document, str) and (is_listed or way not in self._alone):
            return ALL.text(document)
        return document

    def _name(self, name: str) -> str:
        if name not in self._names:
            kept = ALL.text(name)
            free = (each for each in (kept, *(f"{kept}#{at}" for at in range(2, 99))) if each not in self._taken)
            self._names[name] = next(free)
        return self._names[name]

    @property
    def _taken(self) -> set[str]:
        return set(self._names.values())


@pytest.mark.parametrize("kind", ["request", "reply"])
@given(document=_DOCUMENTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
@example(document={"a\\": 'b"', "c": ["\\", "ada@example.com"]}, ascii_only=True, indent=None)
def test_every_string_of_any_document_is_looked_at(
    kind: str, document: Any, ascii_only: bool, indent: int | None
) -> None:
    if kind == "reply":
        document = {**(document if isinstance(document, dict) else {}), "choices": [document]}
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)

    kept = getattr(ALL, kind)(text.encode("utf-8", "surrogatepass"))

    assert json.loads(kept) == _Expected(kind).of(document)


@pytest.mark.parametrize(
    "body",
    [
        "{" + '"model":"a@b.cc",' * 12_000 + '"a":1}',
        "{" + '"messages":[{"role":"a@b.cc"}],' * 6_000 + '"a":1}',
        json.dumps({f"u{at}@b.cc": 1 for at in range(12_000)}),
        json.dumps({f"[redacted:email]#{at}": 1 for at in range(6_000)} | {f"u{at}@b.cc": 1 for at in range(6_000)}),
    ],
    ids=["a name twice", "a list twice", "alike", "taken"],
)
def test_no_names_make_it_slow(body: str) -> None:
    began = time.process_time()
    ALL.request(body.encode())

    assert time.process_time() - began < 2.0  # one that counts anew for each name takes minutes


def test_no_list_makes_it_slow() -> None:
    body = json.dumps({"id": ["a"] * 200_000}).encode()
    began = time.process_time()
    ALL.request(body)

    assert time.process_time() - began < 2.0  # one that looks back to the key each time takes 7
