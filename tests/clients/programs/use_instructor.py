"""Instructor, as its users write it: it wraps the official SDK, asks for objects, and passes everything else on."""

from __future__ import annotations

import os

import instructor
from openai import OpenAI
from pydantic import BaseModel, Field
from report import report

MODEL = "hansard-tiny"
METADATA = {"team": "search", "run": os.environ["RUN"]}
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]

by_tools = instructor.from_openai(OpenAI())
by_schema = instructor.from_openai(OpenAI(), mode=instructor.Mode.JSON_SCHEMA)


class Person(BaseModel):
    """A person"""

    name: str
    age: int


class get_weather(BaseModel):  # noqa: N801 (the class's name is the tool's)
    """Get the current weather in a city"""

    location: str = Field(description="The city")


def create():
    completion = by_tools.chat.completions.create(model=MODEL, messages=FRANCE, response_model=None)
    return completion.choices[0].message.content


def stream():
    messages = [{"role": "user", "content": "Alice is 30 years old"}]
    seen = by_schema.create_partial(model=MODEL, messages=messages, response_model=Person, temperature=0)
    return [person.model_dump() for person in seen]


def call_a_tool():
    messages = [{"role": "user", "content": "What is the weather in Paris today?"}]
    wanted, completion = by_tools.create_with_completion(
        model=MODEL, messages=messages, response_model=get_weather, temperature=0
    )
    (call,) = completion.choices[0].message.tool_calls
    return {"name": call.function.name, "arguments": wanted.model_dump()}


def structured_output():
    messages = [{"role": "user", "content": "Alice is 30 years old"}]
    return by_schema.create(model=MODEL, messages=messages, response_model=Person, temperature=0).model_dump()


def store_with_metadata():
    messages = [{"role": "user", "content": "Alice is 30 years old"}]
    _, completion = by_schema.create_with_completion(
        model=MODEL, messages=messages, response_model=Person, store=True, metadata=METADATA
    )
    return completion.id


def list_stored():
    return [stored.id for stored in by_tools.client.chat.completions.list(metadata=METADATA)]


report(create, stream, call_a_tool, structured_output, store_with_metadata, list_stored)
