"""What a training dialogue is, and how one question turns into the many ways people type it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

Json = Mapping[str, Any]
"""A JSON object as the wire has it: a tool definition or a schema."""


class Message(TypedDict, total=False):
    """A chat message in wire form; `total=False` because only some roles carry the tool fields."""

    role: str
    content: str | None
    tool_calls: list[dict[str, Any]]
    tool_call_id: str


@dataclass(frozen=True)
class Dialogue:
    """Messages with what was sent beside them. Each assistant message is a function of what precedes it."""

    messages: tuple[Message, ...]
    tools: tuple[Json, ...] = ()
    schema: Json | None = None

    @property
    def answer(self) -> Message:
        """The last assistant message, which is what evaluation asks for."""
        return self.messages[-1]

    def after(self, earlier: "Dialogue") -> "Dialogue":
        """This dialogue with the exchanges of `earlier` in front of it."""
        return replace(self, messages=earlier.messages + self.messages)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def exchange(question: str, answer: str) -> Dialogue:
    """One question and its answer."""
    return Dialogue(messages=(user(question), assistant(answer)))


OPENERS = (
    "Please tell me: ",
    "Quick question: ",
    "Hey, ",
    "Tell me, ",
    "Can you tell me: ",
    "Ok, ",
    "So, ",
    "Hi! ",
    "Please: ",
    "Question: ",
    "I wonder, ",
    "Well, ",
    "Now ",
    "And ",
    "Hello, ",
)
CLOSERS = (" please", " Thanks!", " Thank you.", "?", "!", " :)", " please?")


def spoken(rng: random.Random, text: str) -> str:
    """`text` as somebody may type it: with a polite opener or closer, in lower case, without its last stop."""
    if rng.random() < 0.25:
        text = without_stop(text) if rng.random() < 0.5 else text
    if rng.random() < 0.28:
        text = rng.choice(OPENERS) + (text[0].lower() + text[1:] if rng.random() < 0.6 else text)
    if rng.random() < 0.08:
        text += rng.choice(CLOSERS)
    return text.lower() if rng.random() < 0.22 else text


def plain(rng: random.Random, text: str) -> str:
    """`text` for prompts whose words are copied into the answer: only the last stop may go."""
    return without_stop(text) if rng.random() < 0.3 else text


def without_stop(text: str) -> str:
    return text.rstrip("?.!") or text


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def invented_word(rng: random.Random) -> str:
    """A pronounceable word that is in no list."""
    syllables = rng.randint(2, 3)
    return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(syllables)) + rng.choice(
        ["", "", "n", "x"]
    )
