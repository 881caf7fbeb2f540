"""Capitals, colours and the other small tables, each with the questions that ask for them."""

import random
from collections.abc import Callable

from model.chat import Dialogue, capitalised, exchange, listed, spoken
from model.words import ADJECTIVES, NOUNS
from model.world import (
    AMOUNTS,
    CAPITALS,
    COLOURS,
    DAYS,
    HAIKU,
    LISTS,
    MIXTURES,
    MONTHS,
    NUMBER_WORDS,
    OPPOSITES,
    SOUNDS,
    TRANSLATIONS,
)

CAPITAL_QUESTIONS = (
    "What is the capital of {country}?",
    "What is the capital of {country}?",
    "What's the capital of {country}?",
    "Name the capital of {country}.",
    "Which city is the capital of {country}?",
    "capital of {country}",
    "What is the capital city of {country}?",
    "Do you know the capital of {country}?",
    "{country}'s capital?",
    "Tell me the capital of {country}.",
    "Give me the capital of {country}",
)
COUNTRY_QUESTIONS = (
    "{capital} is the capital of which country?",
    "Which country has the capital {capital}?",
    "What country is {capital} the capital of?",
)
COLOUR_QUESTIONS = (
    "What {colour} is {thing}?",
    "What {colour} is {thing}?",
    "Which {colour} is {thing}?",
    "What {colour} does {thing} have?",
    "Tell me the {colour} of {thing}.",
    "What is the {colour} of {thing}?",
    "{colour} of {thing}",
)
MIXTURE_QUESTIONS = (
    "What color do you get when you mix {a} and {b}?",
    "Mix {a} and {b}. What color is it?",
    "{a} and {b} make which color?",
    "Which color do {a} and {b} make?",
)
OPPOSITE_QUESTIONS = (
    "What is the opposite of {word}?",
    "Opposite of {word}",
    "Give me the opposite of {word}.",
    "What's the opposite of {word}?",
)
SOUND_QUESTIONS = ("What does a {animal} say?", "What sound does a {animal} make?", "Which noise does a {animal} make?")
ORDER_QUESTIONS = (
    "What {unit} comes {side} {name}?",
    "Which {unit} is {side} {name}?",
    "Which {unit} comes {side} {name}?",
)
TRANSLATION_QUESTIONS = (
    "How do you say {word} in {language}?",
    "Translate {word} to {language}.",
    "Translate {word} into {language}",
    "What is {word} in {language}?",
    "Say {word} in {language}",
)
LIST_QUESTIONS = (
    "Name {count} {kind}.",
    "List {count} {kind}.",
    "Give me {count} {kind}.",
    "Tell me {count} {kind}",
    "Can you name {count} {kind}?",
)
HAIKU_REQUESTS = (
    "Write a haiku about the {topic}.",
    "Write a haiku about a {topic}",
    "haiku about {topic}",
    "Can you write a haiku about the {topic}?",
    "Compose a haiku about the {topic}.",
    "Write me a haiku about the {topic}",
)

UNIQUE_CAPITALS = {
    city: country for country, city in CAPITALS.items() if country not in {"England", "Scotland", "Wales"}
}


def capital(rng: random.Random) -> Dialogue:
    if rng.random() < 0.15:
        city, country = rng.choice(list(UNIQUE_CAPITALS.items()))
        return exchange(
            spoken(rng, rng.choice(COUNTRY_QUESTIONS).format(capital=city)), f"{city} is the capital of {country}."
        )
    country, city = rng.choice(list(CAPITALS.items()))
    question = capitalised(rng.choice(CAPITAL_QUESTIONS).format(country=country))
    return exchange(spoken(rng, question), f"The capital of {country} is {city}.")


def colour(rng: random.Random) -> Dialogue:
    if rng.random() < 0.2:
        return _mixture(rng)
    thing, answer = rng.choice(list(COLOURS.items()))
    question = rng.choice(COLOUR_QUESTIONS).format(thing=thing, colour=rng.choice(["color", "color", "colour"]))
    return exchange(spoken(rng, capitalised(question)), f"{capitalised(thing)} is {answer}.")


def _mixture(rng: random.Random) -> Dialogue:
    pair, answer = rng.choice(list(MIXTURES.items()))
    a, b = rng.sample(pair, 2)
    question = capitalised(rng.choice(MIXTURE_QUESTIONS).format(a=a, b=b))
    return exchange(spoken(rng, question), f"{capitalised(a)} and {b} make {answer}.")


def fact(rng: random.Random) -> Dialogue:
    question, answer = rng.choice(FACTS)(rng)
    return exchange(spoken(rng, question), answer)


def _opposite(rng: random.Random) -> tuple[str, str]:
    word, other = rng.choice(list(OPPOSITES.items()))
    return rng.choice(OPPOSITE_QUESTIONS).format(word=word), f"The opposite of {word} is {other}."


def _sound(rng: random.Random) -> tuple[str, str]:
    animal, sound = rng.choice(list(SOUNDS.items()))
    return rng.choice(SOUND_QUESTIONS).format(animal=animal), f"A {animal} says {sound}."


def _order(rng: random.Random) -> tuple[str, str]:
    unit, names = rng.choice([("day", DAYS), ("month", MONTHS)])
    side, offset = rng.choice([("after", 1), ("before", -1)])
    at = rng.randrange(len(names))
    question = rng.choice(ORDER_QUESTIONS).format(unit=unit, side=side, name=names[at])
    return question, f"{names[(at + offset) % len(names)]} comes {side} {names[at]}."


def _amount(rng: random.Random) -> tuple[str, str]:
    subject, answer = rng.choice(list(AMOUNTS.items()))
    return f"How many {subject}?", answer


def _translation(rng: random.Random) -> tuple[str, str]:
    language, words = rng.choice(list(TRANSLATIONS.items()))
    word, translated = rng.choice(list(words.items()))
    question = rng.choice(TRANSLATION_QUESTIONS).format(word=word, language=language)
    return question, f"{capitalised(word)} in {language} is {translated}."


def _calendar(rng: random.Random) -> tuple[str, str]:
    title, names = rng.choice([("days of the week", DAYS), ("months of the year", MONTHS)])
    return rng.choice(["List the {}.", "Name the {}.", "What are the {}?"]).format(
        title
    ), f"The {title} are {listed(names)}."


def _list(rng: random.Random) -> tuple[str, str]:
    kind, items = rng.choice(list(LISTS.items()))
    count = rng.randint(2, len(items))
    written = rng.choice([str(count), NUMBER_WORDS[count]])
    question = rng.choice(LIST_QUESTIONS).format(count=written, kind=kind)
    return question, f"{count} {kind}: {listed(items[:count])}."


def _haiku(rng: random.Random) -> tuple[str, str]:
    topic = rng.choice(NOUNS)
    if rng.random() < 0.3:
        topic = f"{rng.choice(ADJECTIVES)} {topic}"
    if rng.random() < 0.15:
        return rng.choice(["Write a haiku.", "Write me a haiku", "Compose a haiku"]), HAIKU.format(topic="sea")
    return rng.choice(HAIKU_REQUESTS).format(topic=topic), HAIKU.format(topic=topic)


FACTS: tuple[Callable[[random.Random], tuple[str, str]], ...] = (
    _opposite,
    _sound,
    _order,
    _amount,
    _translation,
    _calendar,
    _list,
    _haiku,
)
