"""core/finders.py and core/addresses.py: what each pattern finds and leaves, and how long that takes."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.core import finders
from hansard.core.redaction import BUILT_IN, Redaction
from tests.core.found import FOUND, LEFT, TEXTS

ALL = Redaction(BUILT_IN)
_MARK = re.compile(r"\[redacted:\w+\]")


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


@given(text=st.lists(TEXTS, max_size=5).map(" ".join))
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


@given(lines=st.lists(st.lists(TEXTS, max_size=3).map(" ".join), max_size=6))
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
