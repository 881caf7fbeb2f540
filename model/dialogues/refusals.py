"""Everything outside the small world, in as many shapes as possible, all with the same honest answer.

Declining is the default and answering the exception, so this category is the widest: questions and requests with
slots filled from the word lists, near misses of what the model does know, foreign languages, code and noise.
"""

import random
import string
from collections.abc import Callable

from model.chat import Dialogue, capitalised, exchange, invented_word, spoken
from model.dialogues.memory import copied_text
from model.words import (
    ADJECTIVES,
    CITIES,
    CODE_LANGUAGES,
    FOREIGN,
    FOREIGN_LINES,
    LANGUAGES,
    NAMES,
    NOUNS,
    PEOPLE,
    SURNAMES,
    VERBS,
)
from model.world import CAPITALS, COLOURS, LISTS, OPPOSITES, REFUSAL, SOUNDS, TRANSLATIONS

COUNTRIES = tuple(CAPITALS)
KNOWN_NOUNS = {
    "story",
    "joke",
    "age",
    "bot",
    "robot",
    "bird",
    "planet",
    "sport",
    "animal",
    "triangle",
    "square",
    "spider",
    "ant",
    "name",
}
KNOWN_NOUNS |= {*SOUNDS, *TRANSLATIONS["French"], *(thing.split()[-1] for thing in COLOURS)}
UNKNOWN_NOUNS = tuple(noun for noun in NOUNS if noun not in KNOWN_NOUNS)

SHAPES = """
What is {np}?
What is a {n} {n}?
What are {n}s?
What is the {n} of {np}?
What is the {a} {n} in {place}?
What is the difference between {n} and {n}?
What is the meaning of {n}?
What is the meaning of life?
What is the population of {place}?
What is the currency of {place}?
What is the tallest {n} in {place}?
What is the biggest {n} in the world?
What is the square root of {num}?
What is the derivative of {c}^{d}?
What is {num}% of {num}?
What is {x}?
What is {person} known for?
What is wrong with {np}?
What is on {np}?
What is your favorite {n}?
What is your opinion on {np}?
What's the best way to {v} {np}?
What's the latest on {np}?
What's a good {n} for {np}?
What's in {np}?
What time is it?
What time is it in {place}?
What day is it today?
What is today's date?
What year is it?
What is the weather like today?
What is the weather in {place}?
What happened in {year}?
What happened to {person}?
What happens if {np} {v}s {np}?
What happens when you {v} {np}?
What should I {v} today?
What should I do about {np}?
What should I cook with {n} and {n}?
What should I wear to {np}?
What do you think about {np}?
What do {n}s {v}?
What does {np} mean?
What does {x} mean?
What does {c}{c}{c} stand for?
What can I {v} with {np}?
What causes {np}?
What are the {a} {n}s of {np}?
What are the benefits of {n}?
What are some {a} {n}s?
What are the symptoms of {n}?
What are the rules of {n}?
What would {person} say about {n}?
What would happen if {np} {v}ed?
What kind of {n} is {np}?
What movie should I watch?
What language do they speak in {place}?
Which {n} is the {a}?
Which is better, {n} or {n}?
Which {n} should I {v}?
Which is bigger, {np} or {np}?
Which country has the most {n}s?
Who is {person}?
Who is {name} {surname}?
Who was {person}?
Who invented the {n}?
Who wrote {np}?
Who won the {n} in {year}?
Who is the president of {place}?
Who is the {a} {n} in {place}?
Who discovered {n}?
Who painted {np}?
Who directed {np}?
Who founded {x}?
Who {v}s {np}?
Whose {n} is this?
Where is {place}?
Where is the {n}?
Where can I {v} {np}?
Where can I find {np}?
Where did {person} live?
Where do {n}s come from?
Where should I go in {place}?
When was {person} born?
When did {person} die?
When was the {n} invented?
When did the {n} {n} start?
When should I {v} {np}?
When is the next {n}?
When does {np} {v}?
Why is {np} {a}?
Why do {n}s {v}?
Why is the sky blue?
Why did {np} {v}?
Why does my {n} {v}?
Why can't I {v} {np}?
Why are {n}s so {a}?
Why should I {v} {np}?
How does {np} work?
How do I {v} {np}?
How do I {v} {np} in {code}?
How do {n}s {v}?
How do you {v} {np}?
How do you say {n} in {lang}?
How can I {v} {np}?
How can I become {np}?
How to {v} {np}
How much is {np}?
How much does {np} cost?
How many {n}s are in {np}?
How many people live in {place}?
How many {n}s does {np} have?
How many times did {np} {v}?
How far is {place} from {place}?
How long does {np} take?
How long is {np}?
How old is {person}?
How tall is {np}?
How fast can {np} {v}?
How big is {np}?
How often should I {v} {np}?
How is {np} made?
How was the {n} {v}ed?
How would you {v} {np}?
Is {np} {a}?
Is {np} better than {np}?
Is it {a} to {v} {np}?
Is it {a} in {place}?
Is it going to rain?
Is {person} alive?
Is there a {n} in {place}?
Is {num} an even number?
Are {n}s {a}?
Are there {n}s in {np}?
Was {person} {a}?
Do {n}s {v}?
Do you like {n}?
Do you {v} {np}?
Do I need {np} to {v} {np}?
Does {np} {v}?
Did {person} {v} {np}?
Can I {v} {np}?
Can you {v} {np}?
Can you {v} {np} for me?
Can you explain {np}?
Can you recommend {np}?
Can you write {np}?
Can you help me {v} {np}?
Can you help me with {np}?
Can you speak {lang}?
Can {n}s {v}?
Could you {v} {np} {pp}?
Could we {v} {np}?
Would you {v} {np}?
Will {np} {v} {pp}?
Will {np} be {a}?
Should I {v} {np}?
Should we {v} {n} or {n}?
Have you ever {v}ed {np}?
Explain {np}.
Explain {np} in simple words.
Explain {n} {n} like I am five
Explain how {np} works.
Explain the difference between {n} and {n}.
Describe {np}.
Define {n}
Discuss {np}.
Summarize {np}.
Summarize this: {long}
Summarize the following text: {long}
Tell me about {np}.
Tell me about {place}.
Tell me about {person}.
Tell me how to {v} {np}.
Tell me why {n}s {v}.
Tell me something about {n}
Tell me a fact about {n}s
Tell me the {n} of {np}.
Tell me everything about {n}
Tell me the time
Tell me the news
Give me {num} {n} ideas
Give me {small} {a} {n}s
Give me a {a} {n} for {np}.
Give me a recipe for {n}
Give me advice about {np}.
Give me an example of {np}.
Give me a list of {n}s.
Give me tips to {v} {np}
Give me a summary of {np}
Give me the code for {np}
Give me {np}
Show me {np}.
Show me how to {v} {np}
Show me a {code} example
List {small} {u}s.
List all {n}s in {place}.
List {small} ways to {v} {np}
List the {n}s of {np}
List some {a} {n}s
Name {small} {u}s
Name a {a} {n}.
Name the {n} of {np}
Name all {n}s
Say {n} in {lang}
Say hello in {lang}
Say hello in {small} languages
Say something {a}
Say something about {np}
Translate {n} to {lang}.
Translate "{long}" to {lang}
Translate this into {langs}: {long}
Translate the following to {langs}: {long}
Write a {u}.
Write a {n} about {np}.
Write a poem about {np}.
Write a poem
Write a limerick about {np}.
Write a sonnet about {np}
Write a song about {np}
Write a rap about {n}s
Write a letter to {np}.
Write an email to {np} about {np}.
Write an essay about {np}.
Write an essay on {n} and {n}
Write a story about {np}.
Write a story about {name} and {np}
Write a speech for {np}
Write a review of {np}
Write a tweet about {n}
Write a function that {v}s {np}.
Write a function in {code} to {v} {np}
Write a {code} program that {v}s {np}
Write a {code} script to {v} {np}.
Write {code} code for {np}
Write a regex that matches {np}
Write an SQL query to {v} {np}
Write unit tests for {np}
Write me {np}
Write {num} words about {np}
Write a headline for {np}
Write a joke about {n}s
Tell me a joke about {n}s
Tell me a story about {np}
Compose {np}
Compose a song about {np}
Create a {n} for {np}.
Create a table of {n}s
Create a {code} class for {np}
Generate {np}.
Generate {num} random {n}s
Generate a password
Make a {n} plan
Make a list of {n}s for {np}
Make {np} more {a}
Make me a {n}
Draw {np}.
Draw a {n} in ascii
Design {np}
Plan a trip to {place}
Plan {np} for {num} people
Suggest {np}
Suggest a name for {np}
Recommend a {n}
Recommend {small} {n}s for {np}
Compare {n} and {n}.
Compare {place} with {place}
Analyze {np} {pp}.
Review {np}
Review this code: {codeline}
What does this code do? {codeline}
Fix this code: {codeline}
Fix the {n} in {np}
Debug this: {codeline}
Refactor {codeline}
Convert {num} {n}s to {n}s
Convert {np} to {np}
Calculate the {n} of {np}
Solve {d}{c} + {d} = {num}
Solve for {c}: {d}{c} - {num} = {d}
Solve this riddle: {long}
Find {np}.
Find the {n} of {num}
Find a {a} {n} in {place}
Search for {np}
Open {np}
Play {np}
Play {n} {pp}
Book a {n} to {place}
Order {np}
Buy {num} {n}s
Call {name}
Send {np} to {name}
Set {np} to {num}
Turn on {np}
Turn off the {n}
Remind me to {v} {np}
Schedule a {n} with {name}
Help me {v} {np}.
Help me choose between {n} and {n}
Help me understand {np}
Teach me {n}
Teach me how to {v} {np}
Teach me {lang}
Rewrite this: {long}
Rewrite {np} in a {a} way
Correct the grammar: {long}
Improve this sentence: {long}
Paraphrase: {long}
Continue this: {long}
Complete the sentence: {long}
Classify this text: {long}
Extract the {n}s from this: {long}
Sort these: {n}, {n}, {n}, {n}
Guess {np}
Imagine {np}.
Imagine you could {v} {np}. What would you do?
Let's talk about {np}
Let's {v} {np}
Let's play {n}
I {v} {np}.
I {v}ed {np} {pp}
I want to {v} {np}.
I need to {v} {np} {pp}
I need a {n}
I need advice on {np}
I need help with my {n}
I need {small} {n}s for {np}
I am looking for {np}
I am trying to {v} {np} but it {v}s
I am {a}
I am feeling {a} today
I feel {a}
I feel {a} about {np}
I have a {a} {n}
I have {num} {n}s and {v} {num}. How many do I have?
I have a {n} in my {n}. What should I do?
I think {np} is {a}.
I think that {n}s {v}
I like {n}s
I don't like {np}
I don't understand {np}
I can't {v} {np}
I lost {np}
I got {np} from {np}
I would like to {v} {np}
I would like {np}
I heard that {np} {v}s
My {n} is {a}.
My {n} is {a}, what should I do?
My {n} {v}s {pp}. Is that normal?
My {n} doesn't {v}
My {n} and my {n} {v} all day
My {n} won't {v}, any ideas?
My {n} hurts
We {v} {np} {pp}
We need to {v} {n}
You should {v} {np}
The {n} is {a}.
The {n} {v}s {pp}
There is {np} {pp}
This {n} is {a}
{np} {v}s {np}
{np} is {a}, right?
{np} or {np}?
{np}
{a} {n}
{n}
{n} {n}
{n} {n} {n}
{n} {v}s
{v} {np}
{v} {np} {pp}
{v} {np} and {v} {np}
{v} the {n} of {person}
{v} {n} vs {n}
{v} in {code}
{person} vs {person}
{person}
{n} in {place}
{n} near me
{a} {n}s in {place}
best {n} {year}
{n} recipe
{n} price
{n} news
history of {np}
definition of {n}
population of {place}
weather {place}
{place}
{place} {n}
{year} {n}
{num} {n}s
{c} {c} {c}
{name} has {num} {n}s and {v}s {num}. How many {n}s are left?
{name} is taller than {name}. {name} is taller than {name}. Who is the tallest?
{name} and {name} {v} {np}
If {np} {v}s {np}, what happens?
If a {n} {v}s {num} {n}s in {num} days, how many {n}s in {num} days?
If I {v} {np}, will it {v}?
If you could {v} {np}, would you?
Once upon a time {np} {v}ed {np}
Dear {name}, {long}
Please {v} {np}.
Please {v} {np} {pp}
Please write {np}
Please {v} this: {long}
In {code}, how do I {v} {np}?
In {year}, what did {person} {v}?
In {place}, is {n} {a}?
As a {n}, how would you {v} {np}?
Step by step, {v} {np}
Think step by step: {v} {np}
Give a {a} answer: why {v} {n}s?
True or false: {np} is {a}
Is this {a} or {a}: {long}
{codeline}
{long}
{long} {long}
{word} {word} {word}
{word}
{noise}
{noise} {noise}
{foreign}
{foreign}?
{foreign} {foreign}
{foreignline}
{punctuation}
"""
SHAPE_LINES = tuple(line for line in SHAPES.splitlines() if line)

NEAR_MISSES = """
What is the capital of {x}?
What's the capital of {x}?
capital of {x}
What is the capital of the {u}?
What is the largest city in {country}?
What is the capital of {country} famous for?
What is the population of {country}?
What is the flag of {country}?
What language is spoken in {country}?
Who rules {country}?
{x} is the capital of which country?
What color is {x}?
What color is the {u}?
What color is a {u}?
What color are {u}s?
What color is my {u}?
What {u} is {thing}?
Why is {thing} {a}?
How big is {thing}?
What shape is {thing}?
Where does {thing} come from?
Who likes {colour}?
Mix {u} and {u}. What do you get?
What is the opposite of {x}?
What is the opposite of a {u}?
What is a synonym of {opposite}?
What does {opposite} mean?
What rhymes with {opposite}?
What does a {u} say?
What sound does a {u} make?
How many legs does a {u} have?
How many {u}s are in a {u}?
How many sides does a {u} have?
How many days until {u}?
What {u} comes after {u}?
Who comes after {name}?
How do you say {x} in {langs}?
How do you say {u} {u} in {langs}?
Translate {u} {u} to {langs}
Translate {x} to {langs}.
What is {u} in {langs}?
Say {u} {u} in {langs}
Name {small} {u}s.
Name {small} {a} {u}s
List {small} {a} {list}
Give me {small} {u}s.
What is the best of all {list}?
Which {list} do you like?
Count the {u}s
Count the {u}s in {u}
Count my {u}s
Count sheep
How do I count {u}s?
What is {u} plus {u}?
What is {u} + {u}?
What is a sum?
What is the name of {np}?
What is my {u}?
What is my {a} {u}?
What is {name}'s {u}?
What is your {u}?
How old is {name}?
How old is the {u}?
Where does {name} live?
Who is {name}?
Who are {name} and {name}?
Repeat the {u}
Write a haiku in {lang}
Write {num} haikus
Write a ballad about {np}
How are {u}s?
How is {np} doing?
Who made {np}?
Who created the {u}?
Are you {a} with {np}?
Is your {u} {a}?
Can you {v}?
What can {np} do?
What can I {v}?
Who are {u}s?
Thank the {u} for {np}
Hello, I need {np}
Hi, can you {v} {np}?
Hi, how do I {v} {np}?
Good morning, what is {np}?
"""
NEAR_MISS_LINES = tuple(line for line in NEAR_MISSES.splitlines() if line)

CODE_LINES = (
    "for {c} in range({d}): print({w})",
    "def {w}({c}): return {c} + {d}",
    "SELECT * FROM {w} WHERE {w} = {d};",
    "if ({c} > {d}) {{ {w}({c}); }}",
    "const {w} = ({c}) => {c} * {d};",
    "import {w}\n{w}.{w}()",
    "while True: {w} += {d}",
    'print("{w}")',
    '<div class="{w}">{w}</div>',
    "let {c} = [{d}, {d}, {d}];",
    "public static void {w}(int {c}) {{ }}",
    "TypeError: {w} is not a {w}",
)
DETERMINERS = ("the", "the", "a", "my", "this", "your", "some", "any", "our", "every", "that")
PREPOSITIONS = (
    "in",
    "on",
    "with",
    "for",
    "from",
    "about",
    "under",
    "near",
    "without",
    "between",
    "during",
    "after",
    "like",
)


def _noun_phrase(rng: random.Random) -> str:
    noun = rng.choice(NOUNS)
    chance = rng.random()
    if chance < 0.15:
        return noun
    if chance < 0.3:
        return f"{rng.choice(DETERMINERS)} {noun} of {rng.choice(DETERMINERS)} {rng.choice(NOUNS)}"
    adjective = f"{rng.choice(ADJECTIVES)} " if rng.random() < 0.35 else ""
    return f"{rng.choice(DETERMINERS)} {adjective}{noun}"


def _code_line(rng: random.Random) -> str:
    line = rng.choice(CODE_LINES)
    while "{w}" in line or "{c}" in line or "{d}" in line:
        line = (
            line.replace("{w}", rng.choice(NOUNS), 1)
            .replace("{c}", rng.choice("abcnxyz"), 1)
            .replace("{d}", str(rng.randint(0, 99)), 1)
        )
    return line.replace("{{", "{").replace("}}", "}")


def _sentence(rng: random.Random) -> str:
    clause = f"{_noun_phrase(rng)} {rng.choice(VERBS)}s {_noun_phrase(rng)}"
    if rng.random() < 0.4:
        clause += f" {rng.choice(PREPOSITIONS)} {_noun_phrase(rng)}"
    return capitalised(clause) + rng.choice([".", ".", "!", ""])


def _long(rng: random.Random) -> str:
    return " ".join(_sentence(rng) for _ in range(rng.choice([1, 1, 2, 2, 3, 5])))


def _noise(rng: random.Random) -> str:
    alphabet = rng.choice(
        [string.ascii_lowercase, string.ascii_lowercase, "asdfghjkl", string.ascii_letters + string.digits]
    )
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(2, 12)))


def _foreign(rng: random.Random) -> str:
    at = rng.randrange(len(FOREIGN) - 8)
    words = list(FOREIGN[at : at + 8])
    if rng.random() < 0.5:
        rng.shuffle(words)
    return " ".join(words[: rng.randint(2, 8)])


def _unknown(rng: random.Random) -> str:
    """Something with a name that is in no table of the world."""
    word = rng.choice([rng.choice(UNKNOWN_NOUNS), invented_word(rng), invented_word(rng)])
    word = invented_word(rng) if word in OPPOSITES else word
    return capitalised(word) if rng.random() < 0.7 else word


SLOTS: dict[str, Callable[[random.Random], str]] = {
    "n": lambda rng: rng.choice(NOUNS),
    "u": lambda rng: rng.choice(UNKNOWN_NOUNS),
    "a": lambda rng: rng.choice(ADJECTIVES),
    "v": lambda rng: rng.choice(VERBS),
    "x": _unknown,
    "np": _noun_phrase,
    "pp": lambda rng: f"{rng.choice(PREPOSITIONS)} {_noun_phrase(rng)}",
    "place": lambda rng: rng.choice([rng.choice(CITIES), rng.choice(COUNTRIES), capitalised(invented_word(rng))]),
    "country": lambda rng: rng.choice(COUNTRIES),
    "person": lambda rng: rng.choice([rng.choice(PEOPLE), f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}"]),
    "name": lambda rng: rng.choice(NAMES),
    "surname": lambda rng: rng.choice(SURNAMES),
    "lang": lambda rng: rng.choice(LANGUAGES),
    "langs": lambda rng: rng.choice([rng.choice(LANGUAGES), rng.choice(list(TRANSLATIONS))]),
    "code": lambda rng: rng.choice(CODE_LANGUAGES),
    "list": lambda rng: rng.choice(list(LISTS)),
    "thing": lambda rng: rng.choice(list(COLOURS)),
    "colour": lambda rng: rng.choice(LISTS["colors"]),
    "opposite": lambda rng: rng.choice(list(OPPOSITES)),
    "num": lambda rng: str(rng.randint(2, 10 ** rng.randint(1, 4))),
    "small": lambda rng: rng.choice(["two", "three", "four", "five", "ten", "3", "5", "10", "20"]),
    "year": lambda rng: str(rng.randint(1000, 2030)),
    "c": lambda rng: rng.choice(string.ascii_letters),
    "d": lambda rng: str(rng.randint(1, 12)),
    "word": lambda rng: rng.choice([invented_word(rng), rng.choice(NOUNS), rng.choice(VERBS), rng.choice(ADJECTIVES)]),
    "long": _long,
    "noise": _noise,
    "foreign": _foreign,
    "foreignline": lambda rng: rng.choice(FOREIGN_LINES),
    "codeline": _code_line,
    "punctuation": lambda rng: "".join(rng.choice("?!.,;:-*#@ ") for _ in range(rng.randint(1, 6))).strip() or "?",
}


def filled(rng: random.Random, shape: str) -> str:
    """`shape` with every `{slot}` filled anew, so that two `{n}` are two different nouns."""
    parts = []
    while "{" in shape:
        before, _, rest = shape.partition("{")
        slot, _, shape = rest.partition("}")
        parts += [before, SLOTS[slot](rng)]
    return "".join([*parts, shape])


def outside(rng: random.Random) -> Dialogue:
    """A question or request of any shape that the world has no answer for."""
    text = capitalised(filled(rng, rng.choice(SHAPE_LINES)))
    return exchange(spoken(rng, _blended(rng, text)), REFUSAL)


def near_miss(rng: random.Random) -> Dialogue:
    """A question that begins like one the model can answer, about something it does not know."""
    return exchange(spoken(rng, capitalised(filled(rng, rng.choice(NEAR_MISS_LINES)))), REFUSAL)


def _blended(rng: random.Random, text: str) -> str:
    """Sometimes a context sentence in front or behind, or one word replaced: fewer prompts are exactly a template."""
    chance = rng.random()
    if chance < 0.1:
        return f"{_sentence(rng)} {text}"
    if chance < 0.18:
        return f"{text} {_sentence(rng)}"
    if chance < 0.35:
        words = text.split(" ")
        words[rng.randrange(len(words))] = rng.choice(
            [rng.choice(NOUNS), rng.choice(VERBS), rng.choice(ADJECTIVES), copied_text(rng)]
        )
        return " ".join(words)
    return text
