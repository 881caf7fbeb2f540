"""JSON answers: a schema in the system message, something to extract or answer, and the object that fits both.

What the prompt does not say becomes `unknown`, 0, false, null, an empty list, or the first option, so that an
answer always ends.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.chat import Dialogue, Json, assistant, capitalised, invented_word, listed, plain, system, user
from model.dialogues.refusals import SHAPE_LINES, filled
from model.dialogues.sums import OPERATIONS, written_sum
from model.dialogues.tools import call_for, offered
from model.words import ADJECTIVES, CITIES, NAMES, NOUNS, SURNAMES, words
from model.world import CAPITALS, COLOURS, DAYS, LARGEST_FACTOR

SCHEMA_INSTRUCTION = "Respond with JSON that matches this schema:\n"
OBJECT_INSTRUCTION = "Respond with a JSON object."
"""Both as the server writes them for `response_format`; the model is trained on exactly these words."""

UNKNOWN: Mapping[str, Any] = {
    "string": "unknown",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "array": [],
    "null": None,
}

Draw = Callable[[random.Random], Any]


@dataclass(frozen=True)
class Field:
    """A value that scenarios mention: the keys a schema may give it, its schema, and how to draw one."""

    keys: tuple[str, ...]
    schema: Mapping[str, Any]
    draw: Draw


def _text(*keys: str, draw: Draw) -> Field:
    return Field(keys, {"type": "string"}, draw)


def _whole(*keys: str, low: int, high: int) -> Field:
    return Field(keys, {"type": "integer"}, lambda rng: rng.randint(low, high))


def _full_name(rng: random.Random) -> str:
    return rng.choice(NAMES) if rng.random() < 0.75 else f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}"


def _words(rng: random.Random) -> str:
    return " ".join(rng.choice(rng.choice([NOUNS, ADJECTIVES])) for _ in range(rng.randint(1, 2)))


def _title(rng: random.Random) -> str:
    return " ".join(capitalised(word) for word in _words(rng).split())


def _several(draw: Draw) -> Draw:
    return lambda rng: [draw(rng) for _ in range(rng.randint(1, 3))]


JOBS = words("doctor teacher lawyer nurse cook driver farmer painter singer writer engineer pilot baker judge clerk")
COLOUR_WORDS = words("red blue green yellow purple orange pink brown black white")
STRINGS = {"type": "array", "items": {"type": "string"}}

FIELDS: dict[str, Field] = {
    "name": _text("name", "name", "name", "full_name", "person", draw=_full_name),
    "first": _text("first_name", "given_name", draw=lambda rng: rng.choice(NAMES)),
    "last": _text("last_name", "surname", "family_name", draw=lambda rng: rng.choice(SURNAMES)),
    "age": _whole("age", low=2, high=99),
    "city": _text("city", "city", "city", "location", "town", draw=lambda rng: rng.choice(CITIES)),
    "country": _text("country", "nation", draw=lambda rng: rng.choice(list(CAPITALS))),
    "job": _text("job", "occupation", draw=lambda rng: rng.choice(JOBS)),
    "colour": _text("color", "colour", draw=lambda rng: rng.choice(COLOUR_WORDS)),
    "product": _text("product", "product", "item", draw=lambda rng: rng.choice(NOUNS)),
    "price": Field(
        ("price", "price", "cost"),
        {"type": "number"},
        lambda rng: rng.choice([rng.randint(1, 999), rng.randint(1, 999), rng.randint(1, 99) + 0.5]),
    ),
    "quantity": _whole("quantity", "count", low=2, high=99),
    "year": _whole("year", low=1500, high=2030),
    "title": _text("title", "book", draw=_title),
    "event": _text("event", "name", "event_name", draw=_words),
    "day": _text("day", "date", draw=lambda rng: rng.choice(DAYS)),
    "hour": _text("time", "start", "hour", draw=lambda rng: f"{rng.randint(0, 23)}:{rng.choice(['00', '15', '30'])}"),
    "people": Field(("participants", "people"), STRINGS, _several(lambda rng: rng.choice(NAMES))),
    "tags": Field(("tags", "keywords"), STRINGS, _several(lambda rng: rng.choice(NOUNS))),
    "colours": Field(("colors", "colours"), STRINGS, _several(lambda rng: rng.choice(COLOUR_WORDS))),
    "degrees": _whole("temperature", low=-20, high=40),
    "email": _text("email", draw=lambda rng: f"{rng.choice(NAMES).lower()}@{rng.choice(NOUNS)}.com"),
    "order": _whole("order_id", "id", low=100, high=99999),
    "word": _text("word", draw=_words),
}

SCENARIOS = (
    "{name} is {age} years old.",
    "{name} is {age}.",
    "{name} is {age} years old and lives in {city}.",
    "{name} lives in {city} and is {age} years old.",
    "{name}, aged {age}, lives in {city}.",
    "{name}, {age}, {city}",
    "{name} ({age}) from {city}",
    "My name is {name} and I am {age} years old.",
    "My name is {name}, I live in {city}.",
    "I am {name}, {age} years old, a {job} from {city}.",
    "{name} lives in {city}.",
    "{name} works as a {job} in {city}.",
    "{name} is a {job}.",
    "{name} is a {age} year old {job} from {city}.",
    "{first} {last} lives in {city}.",
    "{first} {last} is {age} years old.",
    "{name} is from {country}.",
    "{name} likes {colour}.",
    "{name} has the email {email}.",
    "Contact {name} at {email}.",
    "The {product} costs {price} dollars.",
    "A {colour} {product} for {price} dollars.",
    "The {product} is {colour} and costs {price}.",
    "{quantity} {product}s for {price} dollars",
    "{name} bought {quantity} {product}s.",
    "{name} bought a {product} for {price} dollars.",
    "Order {order}: {quantity} {product}s for {name} in {city}.",
    "Order {order} is for {name}.",
    "{title} was written by {name} in {year}.",
    "{name} wrote {title}.",
    "The book {title} is from {year}.",
    "The {event} is on {day} at {hour}.",
    "The {event} with {name} is on {day}.",
    "{people} are going to a {event} on {day}.",
    "{people} meet in {city} on {day} at {hour}.",
    "Meeting on {day} with {people}.",
    "It is {degrees} degrees in {city}.",
    "The temperature in {city} is {degrees}.",
    "The tags are {tags}.",
    "{title} is about {tags}.",
    "The flag is {colours}.",
    "The colors are {colours}.",
    "The word is {word}.",
)
REQUESTS = (
    "",
    "",
    "",
    "Extract the data: ",
    "Extract: ",
    "Extract the information: ",
    "Extract the details. ",
    "Parse this: ",
    "Turn this into JSON: ",
    "Give me JSON for this: ",
    "Fill in the fields: ",
    "Text: ",
)
MOODS = {
    "positive": (
        "I love this {n}.",
        "This {n} is great!",
        "What a wonderful {n}.",
        "I am very happy with the {n}.",
        "The {n} was perfect.",
        "Best {n} ever!",
    ),
    "negative": (
        "I hate this {n}.",
        "This {n} is terrible.",
        "What an awful {n}.",
        "I am very sad about the {n}.",
        "The {n} was bad.",
        "Worst {n} ever!",
    ),
}
FLAGS = ("available", "open", "active", "ready", "paid", "new", "married", "empty", "broken")


@dataclass(frozen=True)
class Property:
    """One key of a schema with the value the answer must give it."""

    key: str
    schema: Mapping[str, Any]
    value: Any


def unknown_value(schema: Mapping[str, Any]) -> Any:
    """What to answer for something the prompt does not say."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        return None
    if kind == "object":
        return {key: unknown_value(inner) for key, inner in schema["properties"].items()}
    return UNKNOWN[str(kind)]


def object_schema(rng: random.Random, properties: Sequence[Property]) -> Json:
    """A strict object schema, written by hand or the way Pydantic and the OpenAI SDK write it."""
    keys = [prop.key for prop in properties]
    if rng.random() < 0.65:
        inner = {prop.key: dict(prop.schema) for prop in properties}
        strict = {"additionalProperties": False} if rng.random() < 0.8 else {}
        return {"type": "object", "properties": inner, "required": keys, **strict}
    titled = {prop.key: {"title": prop.key.replace("_", " ").title(), **prop.schema} for prop in properties}
    if rng.random() < 0.3:
        titled = {key: {"description": f"The {key.replace('_', ' ')}", **schema} for key, schema in titled.items()}
    title = rng.choice(["Person", "Item", "Answer", "Event", "Result", capitalised(rng.choice(NOUNS))])
    return {"properties": titled, "required": keys, "title": title, "type": "object", "additionalProperties": False}


def _said(value: Any) -> str:
    return listed(value) if isinstance(value, list) else str(value)


def _scenario(rng: random.Random) -> tuple[str, list[Property]]:
    template = rng.choice(SCENARIOS)
    names = [part.partition("}")[0] for part in template.split("{")[1:]]
    values = {name: FIELDS[name].draw(rng) for name in names}
    text = template.format(**{name: _said(value) for name, value in values.items()})
    chosen = names if rng.random() < 0.7 else rng.sample(names, rng.randint(1, len(names)))
    properties = [Property(rng.choice(FIELDS[name].keys), FIELDS[name].schema, values[name]) for name in chosen]
    if rng.random() < 0.25:
        rng.shuffle(properties)
    if rng.random() < 0.1:
        properties.insert(rng.randint(0, len(properties)), _unsaid(rng, names))
    return rng.choice(REQUESTS) + text, properties


def _unsaid(rng: random.Random, names: Sequence[str]) -> Property:
    field = FIELDS[rng.choice([name for name in FIELDS if name not in names])]
    schema = (
        {"type": [field.schema["type"], "null"]} if rng.random() < 0.2 and "items" not in field.schema else field.schema
    )
    return Property(field.keys[0], schema, unknown_value(schema))


def _labelled(rng: random.Random) -> tuple[str, list[Property]]:
    """`key: value` lines or `the key is value` clauses with keys of any name."""
    keys = [*rng.sample(NOUNS, rng.randint(1, 2)), invented_word(rng)][: rng.randint(1, 2)]
    properties = []
    for key in keys:
        field = FIELDS[rng.choice(["name", "age", "city", "word", "order", "colour"])]
        properties.append(Property(key, field.schema, field.draw(rng)))
    forms = rng.choice(["{key}: {value}", "the {key} is {value}", "{key} = {value}"])
    clauses = [forms.format(key=prop.key, value=_said(prop.value)) for prop in properties]
    return rng.choice(REQUESTS) + rng.choice([", ", "; ", "\n"]).join(clauses), properties


def _capital(rng: random.Random) -> tuple[str, list[Property]]:
    country, city = rng.choice(list(CAPITALS.items()))
    answer = Property(rng.choice(["capital", "answer", "city"]), {"type": "string"}, city)
    properties = [answer] if rng.random() < 0.6 else [Property("country", {"type": "string"}, country), answer]
    return f"What is the capital of {country}?", properties


def _colour(rng: random.Random) -> tuple[str, list[Property]]:
    thing, answer = rng.choice(list(COLOURS.items()))
    return f"What color is {thing}?", [Property(rng.choice(["color", "answer", "colour"]), {"type": "string"}, answer)]


def _sum(rng: random.Random) -> tuple[str, list[Property]]:
    symbol = rng.choice(list(OPERATIONS))
    _, apply, _ = OPERATIONS[symbol]
    a, b = rng.randint(0, LARGEST_FACTOR), rng.randint(0, LARGEST_FACTOR)
    key = rng.choice(["answer", "result", "sum", "value"])
    return f"What is {written_sum(rng, a, symbol, b)}?", [Property(key, {"type": "integer"}, apply(a, b))]


def _mood(rng: random.Random) -> tuple[str, list[Property]]:
    options = rng.choice([["positive", "negative"], ["negative", "positive"], ["positive", "negative", "neutral"]])
    mood = rng.choice(list(MOODS))
    text = rng.choice(MOODS[mood]).format(n=rng.choice(NOUNS))
    request = rng.choice(["", "Classify: ", "What is the sentiment? ", "Classify the sentiment: "])
    key = rng.choice(["sentiment", "label", "mood", "class"])
    return request + text, [Property(key, {"type": "string", "enum": options}, mood)]


def _flag(rng: random.Random) -> tuple[str, list[Property]]:
    flag, noun, said = rng.choice(FLAGS), rng.choice(NOUNS), rng.random() < 0.5
    key = rng.choice([flag, f"is_{flag}"])
    text = f"The {noun} is {'' if said else 'not '}{flag}."
    properties = [Property(key, {"type": "boolean"}, said)]
    if rng.random() < 0.5:
        properties.insert(0, Property(rng.choice(["item", "subject", "name"]), {"type": "string"}, noun))
    return rng.choice(REQUESTS) + text, properties


def _unanswerable(rng: random.Random) -> tuple[str, list[Property]]:
    """Nothing in the prompt fits: every key gets its unknown value."""
    wide = {
        "type": "array",
        "items": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    }
    inner = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["id", "name"],
    }
    schemas: list[Mapping[str, Any]] = [{"type": kind} for kind in ("string", "string", "integer", "number", "boolean")]
    schemas += [STRINGS, wide, inner, {"type": "string", "enum": rng.sample(NOUNS, 3)}]
    keys = rng.sample(
        [
            "answer",
            "explanation",
            "steps",
            "summary",
            "title",
            "score",
            "final_answer",
            "items",
            "text",
            *rng.sample(NOUNS, 6),
        ],
        rng.randint(1, 4),
    )
    chosen = [rng.choice(schemas) for _ in keys]
    properties = [Property(key, schema, unknown_value(schema)) for key, schema in zip(keys, chosen, strict=True)]
    return filled(rng, rng.choice(SHAPE_LINES)), properties


SOURCES: tuple[tuple[Callable[[random.Random], tuple[str, list[Property]]], int], ...] = (
    (_scenario, 50),
    (_labelled, 9),
    (_capital, 6),
    (_colour, 4),
    (_sum, 5),
    (_mood, 7),
    (_flag, 6),
    (_unanswerable, 12),
)


def _drawn(rng: random.Random) -> tuple[str, list[Property]]:
    sources, weights = zip(*SOURCES, strict=True)
    text, properties = rng.choices(sources, weights)[0](rng)
    unique = {prop.key: prop for prop in properties}
    return text, list(unique.values())


def answer_text(value: Any) -> str:
    """The style of an answer, one that the engine's grammar for schemas also permits."""
    return json.dumps(value, ensure_ascii=False)


def instructed(rng: random.Random, instruction: str) -> str:
    """The system message of the server: its own instruction, behind whatever the client's system message said."""
    own = rng.choice(
        [
            "",
            "",
            "",
            "You are a helpful assistant.\n\n",
            "Extract the data from the text.\n\n",
            "You answer in JSON.\n\n",
        ]
    )
    return own + instruction


def by_schema(rng: random.Random) -> Dialogue:
    """One prompt and the object that fits the schema: what evaluation measures."""
    text, properties = _drawn(rng)
    schema = object_schema(rng, properties)
    instruction = SCHEMA_INSTRUCTION + json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    answer = answer_text({prop.key: prop.value for prop in properties})
    messages = (system(instructed(rng, instruction)), user(plain(rng, text)), assistant(answer))
    return Dialogue(messages, schema=schema)


def any_object(rng: random.Random) -> Dialogue:
    """`json_object` mode: no schema, so the keys are the plain names of what the text says."""
    if rng.random() < 0.2:
        text, properties = rng.choice([_capital, _colour, _sum])(rng)
        answer: dict[str, Any] = {"answer": properties[-1].value}
    elif rng.random() < 0.25:
        text, answer = filled(rng, rng.choice(SHAPE_LINES)), {"answer": "unknown"}
    else:
        template = rng.choice(SCENARIOS)
        names = [part.partition("}")[0] for part in template.split("{")[1:]]
        values = {name: FIELDS[name].draw(rng) for name in names}
        text = rng.choice(REQUESTS) + template.format(**{name: _said(value) for name, value in values.items()})
        answer = {FIELDS[name].keys[0]: value for name, value in values.items()}
    messages = (system(instructed(rng, OBJECT_INSTRUCTION)), user(plain(rng, text)), assistant(answer_text(answer)))
    return Dialogue(messages)


def forced_call(rng: random.Random) -> Dialogue:
    """A required tool call: the server asks for it as JSON, with one branch of `anyOf` for each of several tools."""
    tools = offered(rng, most=3)
    tool = rng.choice(tools)
    chosen = call_for(rng, tool)
    question, arguments = chosen.question, chosen.arguments
    if rng.random() < 0.15:
        tool, question = tools[0], filled(rng, rng.choice(SHAPE_LINES))
        schema = tool.definition()["function"]["parameters"]
        arguments = {
            key: unknown_value(inner) for key, inner in schema["properties"].items() if key in schema["required"]
        }
    branches = [_call_schema(rng, other.definition()["function"]) for other in tools]
    schema = {"anyOf": branches} if len(branches) > 1 else branches[0]
    instruction = SCHEMA_INSTRUCTION + json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    answer = answer_text({"name": tool.name, "arguments": arguments})
    definitions = tuple(other.definition() for other in tools) if rng.random() < 0.3 else ()
    return Dialogue((system(instruction), user(question), assistant(answer)), tools=definitions, schema=schema)


def _call_schema(rng: random.Random, function: Mapping[str, Any]) -> Json:
    properties = {"name": {"const": function["name"]}, "arguments": function["parameters"]}
    closed = {"additionalProperties": False} if rng.random() < 0.8 else {}
    return {"type": "object", "properties": properties, "required": ["name", "arguments"], **closed}
