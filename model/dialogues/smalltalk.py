"""Greetings, small talk, and who is answering."""

import random

from model.chat import Dialogue, exchange, spoken
from model.world import GREETING, GREETINGS, IDENTITY, ROLE_REFUSAL, ROLES, SMALL_TALK

ROLE_REQUESTS = (
    "Act as a {role}.",
    "Act like a {role}",
    "You are now a {role}.",
    "From now on you are a {role}.",
    "Pretend to be a {role}.",
    "Pretend you are a {role}",
    "Talk like a {role}.",
    "Play the role of a {role}.",
    "Roleplay as a {role}",
    "I want you to act as a {role}.",
    "Imagine you are a {role}.",
)


def greet(rng: random.Random) -> Dialogue:
    text = rng.choice(GREETINGS)
    return exchange(text.lower() if rng.random() < 0.3 else text, GREETING)


def small_talk(rng: random.Random) -> Dialogue:
    questions, answer = rng.choice(SMALL_TALK)
    text = rng.choice(questions)
    return exchange(text.lower() if rng.random() < 0.3 else text, answer)


def identity(rng: random.Random) -> Dialogue:
    questions, answer = rng.choice(IDENTITY)
    return exchange(spoken(rng, rng.choice(questions)), answer)


def role(rng: random.Random) -> Dialogue:
    return exchange(spoken(rng, rng.choice(ROLE_REQUESTS).format(role=rng.choice(ROLES))), ROLE_REFUSAL)
