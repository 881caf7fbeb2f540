"""LlamaIndex, as its users write it: OpenAILike has to be told that this is a chat model, and that it calls tools."""

from __future__ import annotations

import os

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from openai import OpenAI
from pydantic import BaseModel
from report import report

MODEL = "hansard-tiny"
METADATA = {"team": "search", "run": os.environ["RUN"]}
FRANCE = "What is the capital of France?"

llm = OpenAILike(
    model="hansard-tiny",
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    is_chat_model=True,
    is_function_calling_model=True,
    should_use_structured_outputs=True,
    temperature=0,
)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(location: str) -> str:
    """Get the current weather in a city"""
    return '{"temperature": 21, "condition": "sunny"}'


def create():
    return llm.complete(FRANCE).text


def stream():
    return [piece.delta for piece in llm.stream_chat([ChatMessage(role="user", content=FRANCE)])]


def call_a_tool():
    tool = FunctionTool.from_defaults(get_weather)
    messages = [ChatMessage(role="user", content="What is the weather in Paris today?")]
    asked = llm.chat_with_tools([tool], chat_history=messages)
    (call,) = llm.get_tool_calls_from_response(asked)
    result = tool(**call.tool_kwargs).content
    messages += [
        asked.message,
        ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id}),
    ]
    told = llm.chat_with_tools([tool], chat_history=messages)
    return {"name": call.tool_name, "arguments": call.tool_kwargs, "answer": told.message.content}


def structured_output():
    asked = [ChatMessage(role="user", content="Alice is 30 years old")]
    return llm.as_structured_llm(Person).chat(asked).raw.model_dump()


def store_with_metadata():
    keeping = OpenAILike(
        model="hansard-tiny",
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
        is_chat_model=True,
        additional_kwargs={"store": True, "metadata": METADATA},
    )
    return keeping.chat([ChatMessage(role="user", content=FRANCE)]).raw.id


def list_stored():
    return [stored.id for stored in OpenAI().chat.completions.list(metadata=METADATA)]


report(create, stream, call_a_tool, structured_output, store_with_metadata, list_stored)
