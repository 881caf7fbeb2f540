"""Formats: what an answer may be by the grammar that LLGuidance makes of them."""

from __future__ import annotations

import pytest
from llguidance import LLMatcher

from hansard.engines.llamacpp import grammars, schema


def takes(wanted: str, text: str) -> bool:
    """Whether the grammar of this format takes the text to its end."""
    source = grammars.one_of([schema.form({"type": "string", "format": wanted})])
    matcher = LLMatcher(grammars.letters(), grammars.MARK + source)
    letters = list(f'"{text}"'.encode())
    return matcher.consume_tokens(letters) and matcher.is_accepting()


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("date", "2024-02-29"),
        ("date", "2000-02-29"),
        ("time", "23:59:59Z"),
        ("date-time", "2023-12-31T12:00:00.5+01:00"),
        ("email", "a@b.org"),
        ("ipv4", "1.2.3.4"),
        ("ipv6", "::1"),
        ("duration", "P1D"),
        ("password", "anything"),
    ],
)
def test_what_is_of_the_format(wanted: str, text: str) -> None:
    assert takes(wanted, text)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("date", "2023-02-29"),
        ("date", "1900-02-29"),
        ("date", "2024-04-31"),
        ("date", "0000-01-01"),
        ("time", "12:00:60Z"),
        ("time", "12:00:00"),
        ("date-time", "2023-02-29T12:00:00Z"),
        ("date-time", "2023-02-28 12:00:00Z"),
        ("email", "a"),
        ("ipv4", "256.1.1.1"),
        ("ipv6", "1::2::3"),
        ("duration", "PT"),
        ("uuid", "x"),
        ("hostname", "-a"),
    ],
)
def test_what_is_not(wanted: str, text: str) -> None:
    assert not takes(wanted, text)
