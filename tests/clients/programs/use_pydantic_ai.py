"""Pydantic AI, as its users write it: with `openai-chat:`, because plain `openai:` speaks the Responses API."""

from __future__ import annotations

import asyncio
import os

from openai import OpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModelSettings
from report import report

METADATA = {"team": "search", "run": os.environ["RUN"]}
FRANCE = "What is the capital of France?"

agent = Agent("openai-chat:hansard-tiny")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(location: str) -> str:
    """Get the current weather in a city"""
    return '{"temperature": 21, "condition": "sunny"}'


def create():
    return agent.run_sync(FRANCE).output


def stream():
    async def pieces():
        async with agent.run_stream(FRANCE) as reply:
            return [piece async for piece in reply.stream_text(delta=True, debounce_by=None)]

    return asyncio.run(pieces())


def call_a_tool():
    weather = Agent("openai-chat:hansard-tiny", tools=[get_weather], model_settings={"temperature": 0})
    reply = weather.run_sync("What is the weather in Paris today?")
    (call,) = [part for message in reply.all_messages() for part in message.parts if isinstance(part, ToolCallPart)]
    return {"name": call.tool_name, "arguments": call.args_as_dict(), "answer": reply.output}


def structured_output():
    reading = Agent("openai-chat:hansard-tiny", output_type=NativeOutput(Person), model_settings={"temperature": 0})
    return reading.run_sync("Alice is 30 years old").output.model_dump()


def store_with_metadata():
    keep = OpenAIChatModelSettings(openai_store=True, extra_body={"metadata": METADATA})
    return agent.run_sync(FRANCE, model_settings=keep).response.provider_response_id


def list_stored():
    return [stored.id for stored in OpenAI().chat.completions.list(metadata=METADATA)]


report(create, stream, call_a_tool, structured_output, store_with_metadata, list_stored)
