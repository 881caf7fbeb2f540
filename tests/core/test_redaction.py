"""core/redaction.py: what each pattern finds and leaves, and what becomes of the JSON around it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.core import finders
from hansard.core.redaction import BUILT_IN, Redaction, Unknown

ALL = Redaction(BUILT_IN)

FOUND = {
    "email": [
        *("ada@example.com", "a.b+c@mail.example.co.uk", "jürgen@müller.example"),
        # https://data.iana.org/TLD/tlds-alpha-by-domain.txt has 150 that begin with xn--.
        *("x@example.xn--p1ai", "x@example.XN--VERMGENSBERATUNG-PWB", "o'brien@example.com", "ada%40example.com"),
    ],
    # Test numbers of the schemes: https://docs.stripe.com/testing
    "credit_card": ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "6011111111111117"]
    + [
        f"4242{gap}4242{gap}4242{gap}4242"
        for gap in "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{NON-BREAKING HYPHEN}"
    ],
    # The examples of the registry: https://www.swift.com/standards/data-standards/iban
    "iban": [
        *("DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947", "de89 3704 0044 0532 0130 00"),
        "GB29 NWBK 6016 1331 9268 19".replace(" ", "\N{NO-BREAK SPACE}"),
    ],
    "phone": [
        *("+49 30 901820", "+1 (202) 456-1111", "+442079460000", "(202) 456-1111", "202-456-1111", "202.456.1111"),
        *("1-202-456-1111", "1 (202) 456-1111", "1.202.456.1111", "1 202 456 1111", "(202)456-1111", "202/456-1111"),
        *("(202).456.1111", "202-456-1111x55", "202-456-1111 ext. 55", "+49 30 901820x12", "+(49) 30 901820"),
        *("+49(0)30/901820", "+49.30.901820", "+49\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}901820", "0049 30 901820"),
    ],
    # RFC 5737 and RFC 3849 keep these for documents.
    "ip": [
        *("192.0.2.1", "203.0.113.255", "192.000.002.001", "2001:db8::1", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
        *("::1", "fe80::1", "::ffff:192.0.2.1", "2001:db8::"),
    ],
    "secret": [
        "sk-hansard-abcdefghijklmnopqrstuvwxyz",
        "ghp_" + "a1" * 18,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
        # Vendors' own pages show the beginnings; the rest is made up.
        *(f"{begins}{'a1B2' * 9}" for begins in ("gsk_", "xai-", "nvapi-", "pplx-", "r8_", "csk-", "npm_", "pypi-")),
        *("sk-ant-api03-" + "a1B2" * 9, "sk_live_" + "a1B2" * 6, "glpat-" + "a1B2" * 5, "xapp-1-" + "A1B2" * 9),
        "ya29." + "a1B2" * 9,
    ],
}
LEFT = {
    "email": ["@ada", "a@b", "5 @ 3.50", "def f(a): @property"],
    "credit_card": ["4242424242424241", "1234567890123456", "0000000000000000", "2026-11-28 12:00:00", "1 2 3 4 5 6"],
    "iban": ["DE00370400440532013000", "in 24 hours it will be done", "GB29"],
    "phone": [
        *("2026-11-28", "3.14159265358979", "+1", "12345678901234567890", "version 1.2.3", "hotel: 20261128"),
        *("3-202-456-1111", "x1-202-456-1111", "202-456-1111-3", "1-102-456-1111"),
    ],
    "ip": [
        *("1.2.3", "999.1.1.1", "std::vector", "12:30:45", "1.2.3.4.5", "::", "a: b", "at:12:30:45: go"),
        *("v1.2.3.4", "foo::1", "Foo::Bar::Baz", "a::foo", "2001:db8:1::2::3", "1:2:3:4:5:6:7:8:9:10"),
        # The address of a network card, and fingerprints of keys.
        *("mac:00:1A:2B:3C:4D:5E", "AA:" * 15 + "AA", "x:" + "AA:" * 19 + "AA", "MD5:" + "0a:" * 15 + "0a"),
    ],
    "secret": ["sk-short", "risk-assessment", "task_management_is_what_we_do_here", "bearer of news", "BEARER BONDS"],
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


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("ip", "192.0.2.1:8080", "*:8080"),
        ("ip", "http://192.0.2.1:80/x", "http://*:80/x"),
        ("ip", "ip:192.0.2.1", "ip:*"),
        ("ip", "from 192.0.2.1: hello", "from *: hello"),
        ("ip", "192.0.2.1:192.0.2.2", "*:*"),
        ("ip", "...192.0.2.1...", "...*..."),
        ("ip", "192.0.2.0/24", "*/24"),
        ("ip", "ip_192.0.2.1_x", "ip_*_x"),
        ("ip", "host.192.0.2.1.example", "host.*.example"),
        ("ip", "http://[2001:db8::1]:443/", "http://[*]:443/"),
        ("ip", "[fe80::1%eth0]:80", "[*%eth0]:80"),
        ("ip", "fe80::1%25eth0", "*%25eth0"),
        ("ip", "ip:2001:db8::1", "ip:*"),
        ("ip", "node:2001:db8::1", "node:*"),
        ("ip", "from 2001:db8::1: hello", "from *: hello"),
        ("ip", "2001:db8::1:hello", "*:hello"),
        ("ip", "2001:db8::1/64.", "*/64."),
        ("ip", "2001:db8::1.Then", "*.Then"),
        ("ip", "::1.be", "*.be"),
        ("phone", "at 5.+49 30 901820", "at 5.*"),
        ("ip", "2001:db8:1:2:3:4:5:6:8080", "*:8080"),
        ("phone", "tel:+1-202-456-1111", "tel:*"),
        ("phone", "tel:030901820;ext=5", "tel:*;ext=5"),
        ("phone", "TEL: 030/90 18 20", "TEL: *"),
        ("phone", "Tel.: (030) 901820.", "Tel.: *."),
        ("phone", "fax:901820, sms:901821", "fax:*, sms:*"),
        ("phone", "call...202-456-1111!", "call...*!"),
        ("secret", f"BEARER {'a1' * 10}", "BEARER *"),
        ("secret", f"authorization: bearer {'a1' * 10}==", "authorization: bearer *"),
        ("secret", f"bEaReR\t{'a1' * 10}", "bEaReR\t*"),
        ("secret", f"Bearer  \t{'a1' * 10}", "Bearer  \t*"),
        ("email", "<mailto:x@example.xn--p1ai>", "<mailto:*>"),
        ("email", "who='ada@example.com'", "who='*'"),
        ("email", "?to=ada%40example.com&x=1", "?to=*&x=1"),
    ],
)
def test_of_what_stands_beside_it_all_stays(name: str, text: str, kept: str) -> None:
    assert Redaction([name]).text(text) == kept.replace("*", f"[redacted:{name}]")


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts[:1]])
@pytest.mark.parametrize("before", ["\n", "\t", "\r", "<"])
def test_in_arguments_what_stands_behind_an_escape_goes_and_they_stay_json(name: str, text: str, before: str) -> None:
    """Some, Go's among them, spell < as an escape too."""
    spelled = json.dumps({"said": f"{before}{text}{before}"}).replace("<", r"\u003c")

    kept = Redaction([name]).text(spelled)

    assert json.loads(kept) == {"said": f"{before}[redacted:{name}]{before}"}


def test_of_an_address_with_an_escaped_letter_in_arguments_the_whole_goes() -> None:
    assert Redaction(["email"]).text(json.dumps("jürgen@example.com")) == '"[redacted:email]"'


_GROUPS_OF_IPV6 = st.lists(st.text("0123456789aF", max_size=5) | st.just("192.0.2.1"), min_size=2, max_size=9)


@given(
    text=st.text("0123456789abcdefF:.", max_size=45).filter(lambda text: ":" in text) | _GROUPS_OF_IPV6.map(":".join)
)
@example(text="1:2:3:4:5:6:7::")
@example(text="1:2:3:4:5:6:192.0.2.1")
@example(text="1::2::3")
@example(text="::192.0.2.1:1")
def test_what_is_an_address_alone_is_found_alone(text: str) -> None:
    """As the standard library has it, but for what no address has a digit or letter of."""
    try:
        address: object = ip_address(text)
    except ValueError:
        address = None

    found = Redaction(["ip"]).text(text) == "[redacted:ip]"

    assert found == (address is not None and text != "::")


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


_MARK = re.compile(r"\[redacted:\w+\]")
_TEXTS = st.text() | st.sampled_from([text for texts in FOUND.values() for text in texts])
# Some of what is left alone, by the way to it, and names that lead there.
_ALONE = {
    "request": {("model",), ("messages", "role"), ("messages", "tool_calls", "id")},
    "reply": {("id",), ("model",), ("choices", "message", "role"), ("choices", "message", "tool_calls", "id")},
}
_NAMES = st.sampled_from(sorted({name for ways in _ALONE.values() for way in ways for name in way}))
_DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS | _NAMES, inner, max_size=4),
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
        *("1.1.1.1:" * 25_000, "x:::1 " * 30_000, "tel:1" * 40_000, "(202)" * 40_000, "(" * 200_000, "a'" * 100_000),
        *("%40b.cc " * 25_000, "\\n" * 100_000, r"\u0020" * 30_000, "bearer " * 28_000, "0049 1 " * 28_000),
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
