"""Repeating text, and remembering what the user said earlier in the same chat."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from model.chat import Dialogue, assistant, capitalised, exchange, invented_word, plain, user
from model.words import ADJECTIVES, CITIES, NAMES, NOUNS, VERBS
from model.world import DAYS, LISTS

COPY_REQUESTS = (
    "Say {text}",
    'Say "{text}"',
    "Say: {text}",
    "Say exactly: {text}",
    "Repeat after me: {text}",
    "Repeat: {text}",
    "Please repeat: {text}",
    "Repeat this: {text}",
    "Repeat this text: {text}",
    "Echo: {text}",
    "echo {text}",
    "Just say {text}",
    "Reply with {text}",
    "Reply with exactly: {text}",
    'Reply with only "{text}"',
    "Respond with only: {text}",
    "Respond with exactly {text}",
    "Answer with exactly: {text}",
    "repeat: {text}",
    "say {text}",
    "Copy this: {text}",
)
COMMON_COPIES = (
    "this is a test",
    "hello world",
    "ok",
    "pong",
    "yes",
    "no",
    "hello",
    "OK",
    "done",
    "Hello, world!",
    "I am a teapot",
)


def copied_text(rng: random.Random) -> str:
    """One to five words of every kind: listed, invented, names and numbers, sometimes with capitals and a stop."""
    if rng.random() < 0.1:
        return rng.choice(COMMON_COPIES)
    words = [_copied_word(rng) for _ in range(rng.choice([1, 1, 2, 2, 3, 3, 4, 5]))]
    text = " ".join(words)
    chance = rng.random()
    if chance < 0.2:
        return capitalised(text) + rng.choice([".", "!", "?", ""])
    return text.replace(" ", ", ") if chance > 0.95 else text


def _copied_word(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.85:
        return rng.choice(rng.choice([NOUNS, NOUNS, ADJECTIVES, VERBS, NAMES, CITIES]))
    return invented_word(rng) if chance < 0.91 else str(rng.randint(0, 999))


def copy(rng: random.Random) -> Dialogue:
    text = copied_text(rng)
    return exchange(rng.choice(COPY_REQUESTS).format(text=text), text)


@dataclass(frozen=True)
class Remembered:
    """One thing a user may say about themselves: how it is said, answered, asked for and recalled."""

    draw: Callable[[random.Random], str]
    statements: tuple[str, ...]
    reply: str
    questions: tuple[str, ...]
    recall: str
    unknown: str


def _name(rng: random.Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.6 else capitalised(invented_word(rng))


REMEMBERED = (
    Remembered(
        draw=_name,
        statements=(
            "My name is {x}.",
            "I am called {x}.",
            "I'm {x}.",
            "Hi, I'm {x}.",
            "Hello, my name is {x}.",
            "You can call me {x}.",
        ),
        reply="Nice to meet you, {x}!",
        questions=(
            "What is my name?",
            "Do you remember my name?",
            "What's my name?",
            "Who am I?",
            "what is my name",
            "What am I called?",
        ),
        recall="Your name is {x}.",
        unknown="You have not told me your name.",
    ),
    Remembered(
        draw=lambda rng: rng.choice(
            ("red", "blue", "green", "yellow", "purple", "orange", "pink", "brown", "black", "white")
        ),
        statements=("My favorite color is {x}.", "I like the color {x} best.", "My favourite colour is {x}."),
        reply="I will remember the color {x}.",
        questions=("What is my favorite color?", "Which color do I like best?", "What's my favourite colour?"),
        recall="Your favorite color is {x}.",
        unknown="You have not told me your favorite color.",
    ),
    Remembered(
        draw=lambda rng: str(rng.randint(2, 99)),
        statements=("I am {x} years old.", "I'm {x} years old.", "My age is {x}."),
        reply="I will remember that you are {x}.",
        questions=("How old am I?", "What is my age?", "Do you know how old I am?"),
        recall="You are {x} years old.",
        unknown="You have not told me your age.",
    ),
    Remembered(
        draw=lambda rng: rng.choice(CITIES),
        statements=("I live in {x}.", "My home is in {x}.", "I am from {x}."),
        reply="I will remember that you live in {x}.",
        questions=("Where do I live?", "In which city do I live?", "What city do I live in?"),
        recall="You live in {x}.",
        unknown="You have not told me where you live.",
    ),
    Remembered(
        draw=lambda rng: rng.choice(rng.choice([NOUNS, NOUNS, ADJECTIVES, LISTS["fruits"], DAYS])),
        statements=("Remember the word {x}.", "The secret word is {x}.", "Please remember the word {x}."),
        reply="I will remember the word {x}.",
        questions=("What was the word?", "What is the secret word?", "Which word did I tell you?"),
        recall="The word is {x}.",
        unknown="You have not told me a word.",
    ),
)


def recall(rng: random.Random) -> Dialogue:
    """Say something and ask for it, in one message or with the reply in between."""
    kind = rng.choice(REMEMBERED + 2 * REMEMBERED[:1])
    value = kind.draw(rng)
    statement = rng.choice(kind.statements).format(x=value)
    if rng.random() < 0.15:
        statement = rng.choice(["Hello! ", "Hi. ", "Hey there! "]) + statement
    question = plain(rng, rng.choice(kind.questions))
    answer = kind.recall.format(x=value)
    if rng.random() < 0.3:
        return exchange(f"{statement} {question}", answer)
    return exchange(question, answer).after(exchange(plain(rng, statement), kind.reply.format(x=value)))


def introduction(rng: random.Random) -> Dialogue:
    kind = rng.choice(REMEMBERED)
    value = kind.draw(rng)
    return exchange(plain(rng, rng.choice(kind.statements).format(x=value)), kind.reply.format(x=value))


def untold(rng: random.Random) -> Dialogue:
    """Ask for something nobody said."""
    kind = rng.choice(REMEMBERED)
    return exchange(plain(rng, rng.choice(kind.questions)), kind.unknown)


def recall_after(rng: random.Random, between: Dialogue) -> Dialogue:
    """Say something, talk about something else, and then ask for it."""
    kind = rng.choice(REMEMBERED + 2 * REMEMBERED[:1])
    value = kind.draw(rng)
    told = (user(rng.choice(kind.statements).format(x=value)), assistant(kind.reply.format(x=value)))
    asked = (user(plain(rng, rng.choice(kind.questions))), assistant(kind.recall.format(x=value)))
    return Dialogue(messages=told + between.messages + asked)
