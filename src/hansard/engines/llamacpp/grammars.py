"""Grammars of custom tools: are they sound, and how the engine is bound by one.

LLGuidance, in the engine, follows them. One that it cannot read it would drop in silence, so the same compiler reads it
here first, within its own limits of size and work.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hansard.contract import Document
from hansard.contract.request import Grammar
from hansard.errors import InvalidRequest

if TYPE_CHECKING:
    from llguidance import LLTokenizer

# 15,000 characters of alternatives take 7 ms to check; a grammar that is no accident is a few thousand long.
MOST_CHARACTERS = 20_000
# Of all that binds one answer: 300,000 characters of schemas take 270 ms.
MOST_TOGETHER = 500_000
MARK = "%llguidance {}\n"
# What a grammar of ours must not meet: a template that opens a train of thought first.
NO_THINKING: Document = {"reasoning_format": "none", "chat_template_kwargs": {"enable_thinking": False}}

# Attributes of a rule that speak of the model's tokens, which the engine passes over or nobody could check.
_OF_TOKENS = re.compile(r"^[ \t]*[?!]*\w+[ \t]*\[[^\]\n]*\b(max_tokens|temperature)[ \t]*=", re.MULTILINE)
_SLASH = re.compile(r"(\\.)|/", re.DOTALL)
_LINE_ENDS = {"\n": "\\n", "\r": "\\r"}


def check(grammar: Grammar) -> str | None:
    """What is wrong with a grammar, in its compiler's words, or None."""
    if len(grammar.definition) > MOST_CHARACTERS:
        return f"expected at most {MOST_CHARACTERS} characters, but received {len(grammar.definition)}"
    if grammar.syntax == "lark" and (found := _OF_TOKENS.search(grammar.definition)) is not None:
        return f"'{found[1]}' is not supported"
    return wrong(lark(grammar))


def wrong(source: str) -> str | None:
    """What the compiler says against a grammar, or None."""
    if len(source) > MOST_TOGETHER:
        return f"expected at most {MOST_TOGETHER} characters in all, but received {len(source)}"
    from llguidance import LLMatcher  # here, because most requests have no grammar

    return LLMatcher.validate_grammar(source, letters()).strip() or None


def sound(source: str, *, param: str) -> str:
    """The same grammar, made of parts that were sound alone; raises ``InvalidRequest``.

    What is left to find are keywords of schemas that LLGuidance does not know.
    """
    if (found := wrong(source)) is not None:
        raise InvalidRequest(f"Invalid schema together with a pattern or a grammar: {found}", param=param)
    return source


@functools.cache
def letters() -> LLTokenizer:
    """The vocabulary of all bytes, in which a grammar is read where there is no model."""
    from llguidance import LLTokenizer

    return LLTokenizer("byte")


def lark(grammar: Grammar) -> str:
    """The grammar in the one syntax that the engine reads."""
    if grammar.syntax == "lark":
        return grammar.definition
    escaped = _SLASH.sub(lambda found: found[1] or "\\/", grammar.definition)
    return f"start: /(?:{''.join(_LINE_ENDS.get(letter, letter) for letter in escaped)})/"


def head(name: str) -> str:
    """What the engine writes before the input of a call, which then goes on as it is to the end of the answer."""
    return f'{{"name": {json.dumps(name)}, "arguments": '


def call_form(name: str, source: str) -> str:
    """The form of a call: its head, and the input after it."""
    return f"{json.dumps(head(name))} %lark {{\n{source}\n}}"


def one_of(forms: Iterable[str]) -> str:
    """The grammar of an answer in one of these forms."""
    return "start: " + "\n  | ".join(forms)


def constraint(source: str) -> Document:
    """The body fields that make the engine write what the grammar allows and nothing else."""
    return {"grammar": MARK + source, **NO_THINKING}
