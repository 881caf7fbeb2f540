"""patterns.py: which expressions are taken, and what is said of the others."""

from __future__ import annotations

import time

import pytest

from hansard.patterns import bounded

TAKEN = [
    r"T-[0-9]{4}",
    r"\b[A-Z]{2,3}[0-9]{6,9}\b",
    r"(?i)project (?:lark|wren)",
    r"[0-9]{1,32}+-[0-9]{2}",
    r"(?:[\w-]{1,63}+\.){1,8}example",
    r"(?<=ref: )[A-Z0-9]{1,20}",
    r"(?:ab){3}",
    r"(?:[0-9]{4}[ -]?){4}",
    r"(?:(?:x|a{1,9})b){2}",
    r"\b[A-Z][a-z]{1,30}+ [A-Z][a-z]{1,30}\b",
    r"(?:a|aa){4}c",
]
REFUSED = {
    r"a*b": "a repeat without a bound",
    r"\d+": "a repeat without a bound",
    r"\d++-": "a repeat without a bound",
    r".{1,}": "a repeat without a bound",
    r"a{1,10000}": "a repeat without a bound",
    r"(?:a{1,9}){1,9}": "steps at one place",
    r"(?=(?:a{1,9}){1,9})b": "steps at one place",
    r"a{1,64}b{1,64}c{1,64}": "steps at one place",
    r"(?:a|aa){24}c": "steps at one place",
    "(?:a|aa)" * 24 + "c": "steps at one place",
    r"(?:(?:a|aa){24}c){1,2}+": "steps at one place",
    r"(?>(?:a|aa){24}c)": "steps at one place",
    r"(?:a?){24}b": "steps at one place",
    r"(?:(?:(?:a{256}){256}){256}){256}b": "steps at one place",
    r"(a)\1": "refers back",
    r"(": "no regular expression",
    r"a{0,3}": "finds nothing",
    r"\b": "can find only the empty text",
    r"(?=a)": "can find only the empty text",
    r"^": "finds nothing",
    r"(?<=x)(?:\b|$)(?!y)": "can find only the empty text",
    "a" * 501: "500 characters",
}


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_bounded_is_taken(text: str) -> None:
    assert bounded(text).pattern == text


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_could_take_long_is_refused_and_why(text: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[text]):
        bounded(text)


@pytest.mark.parametrize("text", ["1" * 100_000, "a-" * 50_000, "A" * 100_000, "a" * 100_000, "1111 " * 20_000])
def test_what_is_taken_takes_no_longer_than_its_text(text: str) -> None:
    began = time.process_time()
    for pattern in TAKEN:
        bounded(pattern).sub("", text)

    assert time.process_time() - began < 5.0  # one that backs up over all of it would take hours
