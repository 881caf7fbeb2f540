"""Grammars of custom tools: are they sound, and how the engine is bound by one.

LLGuidance, in the engine, follows them. One that it cannot read it would drop in silence, so the same compiler reads it
here first, within its own limits of size and work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from hansard.contract import Document
from hansard.contract.request import Grammar

# 15,000 characters of alternatives take 7 ms to check; a grammar that is no accident is a few thousand long.
MOST_CHARACTERS = 20_000
MARK = "%llguidance {}\n"
# What a grammar of ours must not meet: a template that opens a train of thought first.
NO_THINKING: Document = {"reasoning_format": "none", "chat_template_kwargs": {"enable_thinking": False}}

_SLASH = re.compile(r"(\\.)|/", re.DOTALL)
_LINE_ENDS = {"\n": "\\n", "\r": "\\r"}


def check(grammar: Grammar) -> str | None:
    """What is wrong with a grammar, in its compiler's words, or None."""
    if len(grammar.definition) > MOST_CHARACTERS:
        return f"expected at most {MOST_CHARACTERS} characters, but received {len(grammar.definition)}"
    return wrong(lark(grammar))


def wrong(source: str) -> str | None:
    """What the compiler says against a grammar, or None."""
    from llguidance import LLMatcher  # here, because most requests have no grammar

    return LLMatcher.validate_grammar(source).strip() or None


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
