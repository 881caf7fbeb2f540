"""LangChain, as its users write it. What it calls metadata never leaves the program, so ours goes in a header."""

from __future__ import annotations

import json
import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from report import report

MODEL = "hansard-tiny"
METADATA = {"team": "search", "run": os.environ["RUN"]}
FRANCE = "What is the capital of France?"

model = ChatOpenAI(model=MODEL, temperature=0)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(location: str) -> str:
    """Get the current weather in a city"""
    return '{"temperature": 21, "condition": "sunny"}'


def create():
    return model.invoke(FRANCE).content


def stream():
    return [chunk.content for chunk in model.stream(FRANCE)]


def call_a_tool():
    with_tools = model.bind_tools([get_weather])
    messages = [HumanMessage("What is the weather in Paris today?")]
    asked = with_tools.invoke(messages)
    (call,) = asked.tool_calls
    messages += [asked, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    return {"name": call["name"], "arguments": call["args"], "answer": with_tools.invoke(messages).content}


def structured_output():
    return model.with_structured_output(Person).invoke("Alice is 30 years old").model_dump()


def store_with_metadata():
    keeping = ChatOpenAI(model="hansard-tiny", store=True, default_headers={"X-Hansard-Metadata": json.dumps(METADATA)})
    return keeping.invoke(FRANCE).response_metadata["id"]


def list_stored():
    return [stored.id for stored in model.root_client.chat.completions.list(metadata=METADATA)]


report(create, stream, call_a_tool, structured_output, store_with_metadata, list_stored)
