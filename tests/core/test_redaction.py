"""core/redaction.py: what each pattern finds and leaves, and what becomes of the JSON around it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.core import finders
from hansard.core.redaction import BUILT_IN, Redaction, Unknown

ALL = Redaction(BUILT_IN)

FOUND = {
    "email": ["ada@example.com", "a.b+c@mail.example.co.uk", "jürgen@müller.example"],
    # Test numbers of the schemes: https://docs.stripe.com/testing
    "credit_card": ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "6011111111111117"],
    # The examples of the registry: https://www.swift.com/standards/data-standards/iban
    "iban": ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947", "de89 3704 0044 0532 0130 00"],
    "phone": ["+49 30 901820", "+1 (202) 456-1111", "+442079460000", "(202) 456-1111", "202-456-1111"],
    # RFC 5737 and RFC 3849 keep these for documents.
    "ip": ["192.0.2.1", "203.0.113.255", "2001:db8::1", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "::1"],
    "secret": [
        "sk-hansard-abcdefghijklmnopqrstuvwxyz",
        "ghp_" + "a1" * 18,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
    ],
}
LEFT = {
    "email": ["@ada", "a@b", "5 @ 3.50", "def f(a): @property"],
    "credit_card": ["4242424242424241", "1234567890123456", "0000000000000000", "2026-11-28 12:00:00", "1 2 3 4 5 6"],
    "iban": ["DE00370400440532013000", "in 24 hours it will be done", "GB29"],
    "phone": ["2026-11-28", "3.14159265358979", "+1", "12345678901234567890", "version 1.2.3"],
    "ip": ["1.2.3", "999.1.1.1", "std::vector", "12:30:45", "1.2.3.4.5", "::", "a: b"],
    "secret": ["sk-short", "risk-assessment", "task_management_is_what_we_do_here"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts])
@pytest.mark.parametrize("around", ["{}", "It is {}, thanks.", "({})", "a\n{}\nb", "{} {}"])
def test_what_is_to_go_goes(name: str, text: str, around: str) -> None:
    if text.startswith("-----") and "END" not in text:
        around = "It is {}"  # which goes to its end
    assert Redaction([name]).text(around.replace("{}", text)) == around.replace("{}", f"[redacted:{name}]")


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LEFT.items() for text in texts])
def test_what_only_looks_so_stays(name: str, text: str) -> None:
    assert Redaction([name]).text(text) == text


def test_a_card_behind_another_number_is_found() -> None:
    assert (
        Redaction(["credit_card"]).text("order 12 4242 4242 4242 4242 11 29") == "order 12 [redacted:credit_card] 11 29"
    )


def test_of_many_numbers_in_a_row_each_card_is_found() -> None:
    """However many are looked at together: one may lie over the end of these."""
    found = Redaction(["credit_card"]).text("1111 " * 3 + "4242 4242 4242 4242 " * 1_000)

    assert found == "1111 " * 3 + "[redacted:credit_card] " * 1_000


def test_a_phone_number_of_single_digits_goes_whole() -> None:
    assert Redaction(["phone"]).text("+4 9 3 0 9 0 1 8 2 0, she said") == "[redacted:phone], she said"


@pytest.mark.parametrize(
    "text", ["Bearer AKIAIOSFODNN7EXAMPLE.and.more", "-----BEGIN PRIVATE KEY-----\nsk-" + "a" * 16 + "\ncut off"]
)
def test_of_secrets_in_one_another_the_whole_goes(text: str) -> None:
    assert Redaction(["secret"]).text(text).removeprefix("Bearer ") == "[redacted:secret]"


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


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Unknown):
        Redaction(["email", "ticket"])


def test_all_around_it_stays_byte_for_byte() -> None:
    body = b'{ "model":"m",\n "temperature":1.0, "top_p": 1e-7,"messages" : [{"content":"to %s \\ud83d"}]}'

    kept = Redaction(["email"]).json(body.replace(b"%s", b"\\u0061da@example.com"))

    assert kept == body.replace(b"%s", b"[redacted:email]")


def test_without_a_find_it_is_the_very_same() -> None:
    body = b'{"messages":[{"content":"Hello"}]}'

    assert ALL.json(body) is body


def test_keys_go_as_well_and_what_says_how_a_document_is_made_stays() -> None:
    call = {"id": "ada@example.com", "type": "ada@example.com"}
    said = {
        "metadata": {"ada@example.com": "x"},
        "id": "ada@example.com",
        "messages": [{"role": "ada@example.com", "tool_calls": [call]}],
        "choices": [{"finish_reason": "ada@example.com", "message": {"tool_calls": [call]}}],
    }

    kept = json.loads(Redaction(["email"]).json(json.dumps(said).encode()))

    assert kept == {**said, "metadata": {"[redacted:email]": "x"}}


def test_a_text_in_a_list_behind_an_id_is_not_left_alone() -> None:
    body = b'{"a":[{"id":"x"},"ada@example.com"],"id":["ada@example.com"]}'

    assert b"ada" not in Redaction(["email"]).json(body)


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

    assert ALL.json(body) is body


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
    assert CARD.encode() not in ALL.json(_asking(part))


@pytest.mark.parametrize("name", ["id", "model", "role", "type", "data", "file_data", "tool_call_id"])
@pytest.mark.parametrize("around", [["metadata"], ["tools", "function", "parameters"], ["extra", "messages"], [""]])
def test_a_name_of_the_contract_elsewhere_is_one_like_any_other(name: str, around: list[str]) -> None:
    said: Any = CARD
    for each in [name, *reversed(around)]:
        said = {each: said}

    assert CARD.encode() not in ALL.json(json.dumps(said).encode())
    assert CARD.encode() not in ALL.json(_asking({"type": "text", "text": "x"}, **said))


def test_a_text_behind_an_object_in_a_list_is_not_left_alone() -> None:
    body = json.dumps({"messages": [{"role": 5}, CARD, {"tool_calls": [{"id": {}}, CARD]}], "model": [{}, CARD]})

    assert CARD.encode() not in ALL.json(body.encode())


def test_what_is_said_in_the_arguments_of_a_call_goes() -> None:
    body = json.dumps({"arguments": json.dumps({"to": "ada@example.com"})}).encode()

    assert json.loads(json.loads(Redaction(["email"]).json(body))["arguments"]) == {"to": "[redacted:email]"}


def test_tokens_that_spell_it_again_go() -> None:
    tokens = [{"token": "ada@", "bytes": [97], "logprob": 0.0, "top_logprobs": []}]
    reply = {"choices": [{"message": {"content": "ada@example.com"}, "logprobs": {"content": tokens}}]}

    kept = json.loads(Redaction(["email"]).reply(json.dumps(reply).encode()))

    assert kept == {"choices": [{"message": {"content": "[redacted:email]"}, "logprobs": None}]}


def test_tokens_of_a_reply_without_a_find_stay() -> None:
    reply = json.dumps({"choices": [{"message": {"content": "Hi"}, "logprobs": {"content": []}}]}).encode()

    assert ALL.reply(reply) is reply


_MARK = re.compile(r"\[redacted:\w+\]")
_TEXTS = st.text() | st.sampled_from([text for texts in FOUND.values() for text in texts])
# Some of what is left alone, by the way to it, and names that lead there.
_ALONE = {
    *(("id",), ("model",), ("messages", "role"), ("messages", "tool_calls", "id"), ("choices", "message", "role")),
    ("choices", "message", "tool_calls", "id"),
}
_NAMES = st.sampled_from(sorted({name for way in _ALONE for name in way}))
_DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS | _NAMES, inner, max_size=4),
    max_leaves=20,
)


def _redacted(document: Any, way: tuple[str, ...] = (), *, is_listed: bool = False) -> Any:
    """The same rule over what was parsed."""
    if isinstance(document, dict):
        return {ALL.text(key): _redacted(value, (*way, key)) for key, value in document.items()}
    if isinstance(document, list):
        return [_redacted(each, way, is_listed=True) for each in document]
    if isinstance(document, str) and (is_listed or way not in _ALONE):
        return ALL.text(document)
    return document


@given(document=_DOCUMENTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
@example(document={"a\\": 'b"', "c": ["\\", "ada@example.com"]}, ascii_only=True, indent=None)
def test_every_string_of_any_document_is_looked_at(document: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)

    assert json.loads(ALL.json(text.encode("utf-8", "surrogatepass"))) == _redacted(document)


@given(text=st.lists(_TEXTS, max_size=5).map(" ".join))
@example(text="+10000000 (200)200.0000")
def test_what_was_blacked_out_is_nothing_to_black_out_again(text: str) -> None:
    """More may be found a second time: what stood glued to a hit, and so was none, stands alone then."""
    once = Counter(_MARK.findall(ALL.text(text)))
    twice = Counter(_MARK.findall(ALL.text(ALL.text(text))))

    assert once <= twice


@pytest.mark.parametrize("text", ["+10000000 (200)200.0000", "0010000000 (200) 200-0000"])
def test_a_number_that_others_follow_is_found_with_them(text: str) -> None:
    """Together they have more digits than a number can have."""
    assert Redaction(["phone"]).text(text) == "[redacted:phone]"


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 200_000, "1 " * 100_000, "1" * 200_000, "a@" * 100_000, "DE89 " * 20_000, ":" * 200_000),
        *("sk-" * 60_000, "-----BEGIN PRIVATE KEY-----" * 7_000, "eyJ" + "a" * 200_000, "a." * 100_000),
        *("1.1." * 50_000, "+1-" * 60_000, "1234 " * 40_000, "eyJ-" * 50_000, "+11111111111111s " * 12_000),
        *("AB12 " * 80_000, "123-" * 100_000, "000 " * 50_000, "@" * 200_000, "::) " * 50_000),
    ],
    ids=lambda text: text[:6],
)
def test_no_text_makes_it_slow(text: str) -> None:
    began = time.process_time()
    ALL.text(text)

    assert time.process_time() - began < 2.0  # what backs up takes 18 s a MB and more, and a quadratic one minutes


@given(lines=st.lists(st.lists(_TEXTS, max_size=3).map(" ".join), max_size=6))
@example(
    lines=["a" * 30, "ada@example.com", "", "+49 30 901820", "-----BEGIN PRIVATE KEY-----", "x", "4242424242424242"]
)
def test_by_lines_it_finds_the_same(lines: list[str]) -> None:
    text = "\n".join(lines)
    whole = ALL.text(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finders, "LONG", 7)

        assert ALL.text(text) == whole


def test_in_a_long_text_all_is_found() -> None:
    line = "to ada@example.com\n"

    assert ALL.text(line * 20_000) == line.replace("ada@example.com", "[redacted:email]") * 20_000


def test_no_list_makes_it_slow() -> None:
    body = json.dumps({"id": ["a"] * 200_000}).encode()
    began = time.process_time()
    ALL.json(body)

    assert time.process_time() - began < 2.0  # one that looks back to the key each time takes 7
