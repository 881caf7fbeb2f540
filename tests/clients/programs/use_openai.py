"""The official Python SDK, as its users write it. Its 2.x and 3.x lines both run this."""

from __future__ import annotations

import json
import os

from openai import OpenAI
from pydantic import BaseModel
from report import report

MODEL = "hansard-tiny"
METADATA = {"team": "search", "run": os.environ["RUN"]}
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
GET_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
}

client = OpenAI()


class Person(BaseModel):
    name: str
    age: int


def create():
    completion = client.chat.completions.create(model=MODEL, messages=FRANCE)
    return completion.choices[0].message.content


def stream():
    chunks = client.chat.completions.create(model=MODEL, messages=FRANCE, stream=True)
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


def call_a_tool():
    messages = [{"role": "user", "content": "What is the weather in Paris today?"}]
    asked = client.chat.completions.create(model=MODEL, messages=messages, tools=[GET_WEATHER], temperature=0)
    (call,) = asked.choices[0].message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21, "condition": "sunny"}'}
    messages += [asked.choices[0].message, result]
    told = client.chat.completions.create(model=MODEL, messages=messages, tools=[GET_WEATHER], temperature=0)
    arguments = json.loads(call.function.arguments)
    return {"name": call.function.name, "arguments": arguments, "answer": told.choices[0].message.content}


def structured_output():
    messages = [{"role": "user", "content": "Alice is 30 years old"}]
    parsed = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Person, temperature=0)
    return parsed.choices[0].message.parsed.model_dump()


def store_with_metadata():
    completion = client.chat.completions.create(model=MODEL, messages=FRANCE, store=True, metadata=METADATA)
    return completion.id


def list_stored():
    return [stored.id for stored in client.chat.completions.list(metadata=METADATA)]


report(create, stream, call_a_tool, structured_output, store_with_metadata, list_stored)
