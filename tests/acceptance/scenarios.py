"""What a user of the official ``openai`` package does, against a running Hansard: one function a scenario.

Only what its 2.x and 3.x lines share is used, and nothing else is imported, so that it runs in an
environment that holds the package alone: ``python scenarios.py '{"url": ...}'`` runs them all and prints, as
JSON, what went wrong in each and every reply there was.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import openai
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

MODEL = "hansard-tiny"
ALIAS = "gpt-4o"
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "The city"}},
            "required": ["location"],
        },
    },
}
TIMER = {
    "type": "function",
    "function": {
        "name": "set_timer",
        "description": "Set a timer",
        "parameters": {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]},
    },
}
TOOLS = [WEATHER, TIMER]
WEATHER_QUESTION = [{"role": "user", "content": "What is the weather in Paris today?"}]

STORED_KEYS = {
    *("object", "id", "model", "created", "request_id", "tool_choice", "usage", "seed", "top_p", "temperature"),
    *("presence_penalty", "frequency_penalty", "system_fingerprint", "input_user", "service_tier", "tools"),
    *("metadata", "choices", "response_format"),
}


@dataclass(frozen=True)
class World:
    """Where to find the servers: the one with the model, one that wants ``key``, one whose upstream breaks."""

    url: str
    keyed_url: str
    key: str
    broken_url: str

    @property
    def client(self) -> OpenAI:
        return self.at(self.url, "unused")

    @property
    def chat(self):
        return self.client.chat.completions

    def at(self, url: str, key: str) -> OpenAI:
        http_client = openai.DefaultHttpxClient(event_hooks={"response": [remember]})
        return OpenAI(base_url=url, api_key=key, max_retries=0, http_client=http_client)


REPLIES: list[tuple[str, str, int, str, str]] = []
"""Method, path, status, content type and body of every reply, for whoever runs this to look at."""


def remember(response) -> None:
    response.read()
    request = response.request
    seen = (request.method, request.url.path, response.status_code, response.headers["content-type"], response.text)
    REPLIES.append(seen)


class Person(BaseModel):
    name: str
    age: int


def create(world: World) -> None:
    completion = world.chat.create(model=MODEL, messages=FRANCE)

    assert completion.choices[0].message.content == "The capital of France is Paris.", completion
    assert completion.choices[0].finish_reason == "stop"
    assert completion.object == "chat.completion"
    assert completion.model == MODEL
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.id.startswith("chatcmpl-")
    assert len(completion.id) == len("chatcmpl-") + 29
    assert completion._request_id.startswith("req_")


def create_with_a_name_from_elsewhere(world: World) -> None:
    completion = world.chat.create(model=ALIAS, messages=FRANCE, store=True, metadata=label())
    assert "Paris" in completion.choices[0].message.content
    assert completion.id in [stored.id for stored in world.chat.list(model=ALIAS, order="desc", limit=100)]
    assert completion.id in [stored.id for stored in world.chat.list(model=MODEL, order="desc", limit=100)]


def create_with_explicit_nulls(world: World) -> None:
    nulls = dict.fromkeys(("temperature", "stop", "max_tokens", "metadata", "logit_bias", "stream_options", "seed"))
    completion = world.chat.create(model=MODEL, messages=FRANCE, **nulls)
    assert "Paris" in completion.choices[0].message.content


def stream(world: World) -> None:
    chunks = list(world.chat.create(model=MODEL, messages=FRANCE, stream=True))

    documents = [chunk.to_dict() for chunk in chunks]
    assert documents[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert documents[-1]["choices"][0]["delta"] == {}
    assert said(chunks) == "The capital of France is Paris."
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert all("usage" not in document for document in documents)
    assert all("obfuscation" in document for document in documents)


def stream_with_usage(world: World) -> None:
    chunks = list(world.chat.create(model=MODEL, messages=FRANCE, stream=True, stream_options={"include_usage": True}))
    assert all(chunk.to_dict()["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert "obfuscation" in chunks[-1].to_dict()


def stream_without_obfuscation(world: World) -> None:
    chunks = world.chat.create(model=MODEL, messages=FRANCE, stream=True, stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in chunk.to_dict() for chunk in chunks)


def stream_helper(world: World) -> None:
    with world.chat.stream(model=MODEL, messages=FRANCE) as events:
        kinds = {event.type for event in events}
        completion = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert completion.choices[0].message.content == "The capital of France is Paris."


def tool_chosen_by_the_model(world: World) -> None:
    choice = world.chat.create(model=MODEL, messages=WEATHER_QUESTION, tools=TOOLS).choices[0]

    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert call.type == "function"
    assert call.id.startswith("call_")
    assert len(call.id) == len("call_") + 24
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"location": "Paris"}


def tool_required(world: World) -> None:
    completion = world.chat.create(model=MODEL, messages=FRANCE, tools=TOOLS, tool_choice="required")
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.name in ("get_weather", "set_timer")
    assert isinstance(json.loads(call.function.arguments), dict)


def tool_by_name(world: World) -> None:
    named = {"type": "function", "function": {"name": "set_timer"}}
    choice = world.chat.create(model=MODEL, messages=WEATHER_QUESTION, tools=TOOLS, tool_choice=named).choices[0]
    (call,) = choice.message.tool_calls
    assert call.function.name == "set_timer"
    assert isinstance(json.loads(call.function.arguments)["minutes"], int)
    assert choice.finish_reason == "stop"


def tool_among_those_allowed(world: World) -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "set_timer"}}]}
    completion = world.chat.create(
        model=MODEL,
        messages=WEATHER_QUESTION,
        tools=TOOLS,
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
    )
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.name == "set_timer"


def tool_forbidden(world: World) -> None:
    choice = world.chat.create(model=MODEL, messages=WEATHER_QUESTION, tools=TOOLS, tool_choice="none").choices[0]
    assert choice.message.tool_calls is None
    assert choice.message.content
    assert "<tool_call>" not in choice.message.content


def tool_result(world: World) -> None:
    asked = world.chat.create(model=MODEL, messages=WEATHER_QUESTION, tools=TOOLS).choices[0].message
    result = {
        "role": "tool",
        "tool_call_id": asked.tool_calls[0].id,
        "content": '{"temperature": 21, "condition": "sunny"}',
    }
    told = world.chat.create(model=MODEL, messages=[*WEATHER_QUESTION, asked, result], tools=TOOLS).choices[0]
    assert "21" in told.message.content, told
    assert told.finish_reason == "stop"


def tool_in_a_stream(world: World) -> None:
    with world.chat.stream(model=MODEL, messages=WEATHER_QUESTION, tools=TOOLS) as events:
        choice = events.get_final_completion().choices[0]
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"location": "Paris"}


def parsed_schema(world: World) -> None:
    completion = world.chat.parse(
        model=MODEL, messages=[{"role": "user", "content": "Alice is 30 years old"}], response_format=Person
    )
    assert isinstance(completion.choices[0].message.parsed, Person), completion


def parsed_schema_in_a_stream(world: World) -> None:
    messages = [{"role": "user", "content": "Alice is 30 years old"}]
    with world.chat.stream(model=MODEL, messages=messages, response_format=Person) as events:
        completion = events.get_final_completion()
    assert isinstance(completion.choices[0].message.parsed, Person), completion


def json_mode(world: World) -> None:
    messages = [{"role": "user", "content": "Alice is 30 years old. Answer in json."}]
    choice = world.chat.create(
        model=MODEL, messages=messages, response_format={"type": "json_object"}, max_tokens=200
    ).choices[0]
    if choice.finish_reason == "stop":  # a model this small may not find the end
        assert isinstance(json.loads(choice.message.content), dict)


def deprecated_functions(world: World) -> None:
    function = WEATHER["function"]
    made = world.chat.create(model=MODEL, messages=WEATHER_QUESTION, functions=[function], store=True)
    (choice,) = made.choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call.name == "get_weather"
    assert json.loads(choice.message.function_call.arguments) == {"location": "Paris"}
    assert choice.message.tool_calls is None
    chunks = list(world.chat.create(model=MODEL, messages=WEATHER_QUESTION, functions=[function], stream=True))
    calls = [chunk.choices[0].delta.function_call for chunk in chunks if chunk.choices[0].delta.function_call]
    assert calls[0].name == "get_weather"
    assert json.loads("".join(call.arguments for call in calls)) == {"location": "Paris"}


def hints_change_nothing(world: World) -> None:
    completion = world.chat.create(
        model=MODEL,
        messages=FRANCE,
        service_tier="auto",
        prompt_cache_key="k",
        safety_identifier="someone",
        user="someone",
        verbosity="low",
        prediction={"type": "content", "content": "The capital of France is Paris."},
        parallel_tool_calls=True,
        tools=TOOLS,
        temperature=0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
    )
    assert completion.choices[0].message.content == "The capital of France is Paris."


def logprobs(world: World) -> None:
    choice = world.chat.create(model=MODEL, messages=FRANCE, logprobs=True, top_logprobs=3).choices[0]
    tokens = choice.logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == choice.message.content
    assert all(len(token.top_logprobs) == 3 for token in tokens)
    assert all(token.logprob <= 0 for token in tokens)


def logprobs_without_alternatives(world: World) -> None:
    choice = world.chat.create(model=MODEL, messages=FRANCE, logprobs=True).choices[0]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert all(token.top_logprobs == [] for token in choice.logprobs.content)


def logprobs_in_a_stream(world: World) -> None:
    chunks = list(world.chat.create(model=MODEL, messages=FRANCE, logprobs=True, top_logprobs=2, stream=True))
    tokens = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    assert "".join(token.token for token in tokens) == said(chunks)
    assert all(len(token.top_logprobs) == 2 for token in tokens)


def several_choices(world: World) -> None:
    one = world.chat.create(model=MODEL, messages=FRANCE, temperature=0)
    two = world.chat.create(model=MODEL, messages=FRANCE, temperature=0, n=2)
    assert [choice.index for choice in two.choices] == [0, 1]
    assert all(choice.message.content == one.choices[0].message.content for choice in two.choices)
    assert two.usage.prompt_tokens == one.usage.prompt_tokens
    assert two.usage.completion_tokens == 2 * one.usage.completion_tokens


def several_choices_in_a_stream(world: World) -> None:
    chunks = list(world.chat.create(model=MODEL, messages=FRANCE, temperature=0, n=2, stream=True))
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    for index in (0, 1):
        mine = [chunk for chunk in chunks if chunk.choices[0].index == index]
        assert said(mine) == "The capital of France is Paris."
        assert mine[0].choices[0].delta.role == "assistant"
        assert mine[-1].choices[0].finish_reason == "stop"


def stop(world: World) -> None:
    choice = world.chat.create(model=MODEL, messages=FRANCE, temperature=0, stop=[" Paris"]).choices[0]
    assert choice.message.content == "The capital of France is"
    assert choice.finish_reason == "stop"


def limit(world: World) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        completion = world.chat.create(model=MODEL, messages=FRANCE, **{name: 2})
        assert completion.choices[0].finish_reason == "length"
        assert completion.usage.completion_tokens == 2


def seed(world: World) -> None:
    haiku = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "temperature": 2, "seed": 7}
    alone = world.chat.create(**haiku).choices[0].message.content

    async def among_others() -> str:
        async with AsyncOpenAI(base_url=world.url, api_key="unused", max_retries=0) as client:
            ours = client.chat.completions.create(**haiku)
            others = [client.chat.completions.create(**{**haiku, "seed": 100 + number}) for number in range(16)]
            completion, *_ = await asyncio.gather(ours, *others)
            return completion.choices[0].message.content

    assert asyncio.run(among_others()) == alone


def store(world: World) -> None:
    metadata = label()
    made = world.chat.create(model=MODEL, messages=FRANCE, store=True, metadata=metadata, seed=5, user="u-1")

    stored = world.chat.retrieve(made.id)

    assert set(stored.to_dict()) == STORED_KEYS
    assert stored.choices[0].message.content == made.choices[0].message.content
    assert (stored.id, stored.created, stored.model) == (made.id, made.created, made.model)
    assert stored.metadata == metadata
    document = stored.to_dict()
    assert document["request_id"] == made._request_id
    assert document["seed"] == 5
    assert document["input_user"] == "u-1"
    assert document["temperature"] == 1.0
    assert document["tools"] is None
    assert stored.usage.total_tokens == made.usage.total_tokens


def store_a_stream(world: World) -> None:
    chunks = list(world.chat.create(model=MODEL, messages=FRANCE, store=True, metadata=label(), stream=True))
    stored = world.chat.retrieve(chunks[0].id)
    assert stored.choices[0].message.content == said(chunks)
    assert stored.choices[0].finish_reason == "stop"
    assert stored.usage.completion_tokens > 0
    assert stored.created == chunks[0].created


def store_a_tool_call(world: World) -> None:
    made = world.chat.create(model=MODEL, messages=WEATHER_QUESTION, tools=TOOLS, store=True, metadata=label())
    stored = world.chat.retrieve(made.id)
    assert stored.to_dict()["tools"] == TOOLS
    assert stored.choices[0].message.tool_calls[0].id == made.choices[0].message.tool_calls[0].id


def nothing_is_stored_unasked(world: World) -> None:
    made = world.chat.create(model=MODEL, messages=FRANCE)
    with Raises(openai.NotFoundError):
        world.chat.retrieve(made.id)


def list_pages_by_itself(world: World) -> None:
    metadata, ids = some_stored(world, 5)
    first = world.chat.list(metadata=metadata, limit=2)

    assert [stored.id for stored in first.data] == ids[:2]
    assert first.has_more is True
    assert [stored.id for stored in first] == ids
    assert [stored.id for stored in world.chat.list(metadata=metadata, limit=2, order="desc")] == ids[::-1]
    assert [stored.id for stored in world.chat.list(metadata=metadata, after=ids[2])] == ids[3:]
    assert [stored.id for stored in world.chat.list(metadata={**metadata, "more": "x"})] == []


def delete_while_paging(world: World) -> None:
    metadata, ids = some_stored(world, 5)
    deleted = []
    for stored in world.chat.list(metadata=metadata, limit=2):
        assert world.chat.delete(stored.id).deleted is True
        deleted.append(stored.id)
    assert deleted == ids
    assert list(world.chat.list(metadata=metadata)) == []


def messages(world: World) -> None:
    asked = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    made = world.chat.create(model=MODEL, messages=asked, store=True, metadata=label())

    page = world.chat.messages.list(made.id, limit=1)
    listed = list(page)

    assert page.has_more is True
    assert [message.id for message in listed] == [f"{made.id}-{number}" for number in range(4)]
    assert [message.role for message in listed] == ["system", "user", "assistant", "user"]
    assert [message.content for message in listed] == [
        "Be brief.",
        "Hello there",
        "Hi.",
        "What is the capital of France?",
    ]
    assert [part.text for part in listed[1].content_parts] == ["Hello", "there"]
    newest = world.chat.messages.list(made.id, order="desc", limit=1).data
    assert [message.id for message in newest] == [f"{made.id}-3"]


def update(world: World) -> None:
    (made,) = some_stored(world, 1)[1]
    replaced = label()
    assert world.chat.update(made, metadata=replaced).metadata == replaced
    assert world.chat.retrieve(made).metadata == replaced
    assert [stored.id for stored in world.chat.list(metadata=replaced)] == [made]
    assert world.chat.update(made, metadata=None).metadata == {}
    assert list(world.chat.list(metadata=replaced)) == []


def delete(world: World) -> None:
    (made,) = some_stored(world, 1)[1]
    deleted = world.chat.delete(made)
    assert deleted.to_dict() == {"object": "chat.completion.deleted", "id": made, "deleted": True}
    for gone in (world.chat.retrieve, world.chat.delete, world.chat.messages.list):
        with Raises(openai.NotFoundError) as caught:
            gone(made)
        assert caught.error.code == "not_found"
        assert caught.error.body["message"] == f"Completion {made} not found"


def models(world: World) -> None:
    listed = {model.id: model for model in world.client.models.list()}
    assert {MODEL, ALIAS} <= set(listed)
    assert world.client.models.retrieve(MODEL).id == MODEL
    with Raises(openai.NotFoundError) as caught:
        world.client.models.retrieve("org/model name")
    assert caught.error.body["message"] == "The model 'org/model name' does not exist"


def error_bad_request(world: World) -> None:
    with Raises(openai.BadRequestError) as caught:
        world.chat.create(model=MODEL, messages=FRANCE, temperature=3)
    assert (caught.error.param, caught.error.code) == ("temperature", "decimal_above_max_value")
    assert caught.error.type == "invalid_request_error"
    assert caught.error.request_id.startswith("req_")


def error_before_a_stream(world: World) -> None:
    with Raises(openai.BadRequestError) as caught:
        world.chat.create(model=MODEL, messages=FRANCE, stream=True, top_logprobs=3)
    assert caught.error.param == "top_logprobs"


def error_unknown_parameter(world: World) -> None:
    with Raises(openai.BadRequestError) as caught:
        world.chat.create(model=MODEL, messages=FRANCE, extra_body={"reasoning": True})
    assert (caught.error.param, caught.error.code) == ("reasoning", "unknown_parameter")


def error_unknown_model(world: World) -> None:
    with Raises(openai.NotFoundError) as caught:
        world.chat.create(model="gpt-x", messages=FRANCE)
    assert caught.error.code == "model_not_found"
    assert caught.error.body["message"] == "The model `gpt-x` does not exist or you do not have access to it."


def error_context_too_long(world: World) -> None:
    for streamed in (False, True):
        with Raises(openai.BadRequestError) as caught:
            world.chat.create(model=MODEL, messages=[{"role": "user", "content": "hello " * 20_000}], stream=streamed)
        assert (caught.error.code, caught.error.param) == ("context_length_exceeded", "messages")
        assert "maximum context length is " in caught.error.body["message"]


def error_key(world: World) -> None:
    with Raises(openai.AuthenticationError) as caught:
        world.at(world.keyed_url, "sk-wrong").models.list()
    assert caught.error.code == "invalid_api_key"
    assert caught.error.request_id.startswith("req_")
    assert [model.id for model in world.at(world.keyed_url, world.key).models.list()] == ["echo"]


def azure_client(world: World) -> None:
    metadata = label()
    for deployment in (None, "anything"):
        http_client = openai.DefaultHttpxClient(event_hooks={"response": [remember]})
        azure = AzureOpenAI(
            azure_endpoint=world.keyed_url.removesuffix("/v1"),
            azure_deployment=deployment,
            api_version="2025-02-01-preview",
            api_key=world.key,
            max_retries=0,
            http_client=http_client,
        )
        made = azure.chat.completions.create(model="echo", messages=FRANCE, store=True, metadata=metadata)
        assert azure.chat.completions.retrieve(made.id).model == "echo"
        assert made.id in [stored.id for stored in azure.chat.completions.list(metadata=metadata)]
        azure.chat.completions.delete(made.id)


def error_unknown_route(world: World) -> None:
    with Raises(openai.NotFoundError) as caught:
        world.client.completions.create(model=MODEL, prompt="Hello")
    assert "client.chat.completions" in caught.error.body["message"]


def error_in_a_stream(world: World) -> None:
    chat = world.at(world.broken_url, "unused").chat.completions
    for model in ("fails", "breaks"):
        metadata = label()
        heard = ""
        with Raises(openai.APIError) as caught:
            for chunk in chat.create(model=model, messages=FRANCE, stream=True, store=True, metadata=metadata):
                heard += chunk.choices[0].delta.content
        assert heard == "Order, "
        assert caught.error.message
        assert list(chat.list(metadata=metadata)) == []


def raw_response(world: World) -> None:
    raw = world.chat.with_raw_response.create(model=MODEL, messages=FRANCE)
    assert raw.status_code == 200
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.parse().choices[0].message.content == "The capital of France is Paris."


def async_client(world: World) -> None:
    async def main() -> None:
        metadata = label()
        async with AsyncOpenAI(base_url=world.url, api_key="unused", max_retries=0) as client:
            chat = client.chat.completions
            made = await asyncio.gather(
                *(chat.create(model=MODEL, messages=FRANCE, store=True, metadata=metadata) for _ in range(6))
            )
            streamed = await chat.create(model=MODEL, messages=FRANCE, store=True, metadata=metadata, stream=True)
            chunks = [chunk async for chunk in streamed]
            listed = [stored.id async for stored in chat.list(metadata=metadata, limit=3)]
        assert set(listed) == {completion.id for completion in made} | {chunks[0].id}
        assert said(chunks) == "The capital of France is Paris."

    asyncio.run(main())


SCENARIOS: tuple[Callable[[World], None], ...] = (
    create,
    create_with_a_name_from_elsewhere,
    create_with_explicit_nulls,
    stream,
    stream_with_usage,
    stream_without_obfuscation,
    stream_helper,
    tool_chosen_by_the_model,
    tool_required,
    tool_by_name,
    tool_among_those_allowed,
    tool_forbidden,
    tool_result,
    tool_in_a_stream,
    parsed_schema,
    parsed_schema_in_a_stream,
    json_mode,
    deprecated_functions,
    hints_change_nothing,
    logprobs,
    logprobs_without_alternatives,
    logprobs_in_a_stream,
    several_choices,
    several_choices_in_a_stream,
    stop,
    limit,
    seed,
    store,
    store_a_stream,
    store_a_tool_call,
    nothing_is_stored_unasked,
    list_pages_by_itself,
    delete_while_paging,
    messages,
    update,
    delete,
    models,
    error_bad_request,
    error_before_a_stream,
    error_unknown_parameter,
    error_unknown_model,
    error_context_too_long,
    error_key,
    azure_client,
    error_unknown_route,
    error_in_a_stream,
    raw_response,
    async_client,
)


def some_stored(world: World, count: int) -> tuple[dict[str, str], list[str]]:
    """Metadata nobody else has, and the ids of so many completions stored with it, oldest first."""
    metadata = label()
    made = [
        world.chat.create(model=MODEL, messages=FRANCE, store=True, metadata=metadata, max_tokens=1)
        for _ in range(count)
    ]
    return metadata, [completion.id for completion in made]


def label() -> dict[str, str]:
    """Metadata nobody else has."""
    return {"scenario": uuid.uuid4().hex, "a key": "va&l=ue"}


def said(chunks: Iterable) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


class Raises:
    """As pytest's, which is not installed where this runs."""

    def __init__(self, kind: type[openai.OpenAIError]) -> None:
        self._kind = kind
        self.error: openai.APIStatusError

    def __enter__(self) -> Raises:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        assert isinstance(error, self._kind), f"{self._kind.__name__} expected, got {error!r}"
        self.error = error
        return True


def main() -> None:
    world = World(**json.loads(sys.argv[1]))
    outcomes: dict[str, str | None] = {}
    for scenario in SCENARIOS:
        try:
            scenario(world)
            outcomes[scenario.__name__] = None
        except Exception:  # noqa: BLE001 (the next scenario must run all the same)
            outcomes[scenario.__name__] = traceback.format_exc()
    print(json.dumps({"version": openai.__version__, "outcomes": outcomes, "replies": REPLIES}))


if __name__ == "__main__":
    main()
