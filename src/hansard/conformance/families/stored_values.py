"""What the stored object keeps of the request, and what it says where the request said nothing."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, Check, check
from hansard.conformance.probe import MARK, Probe

FUNCTION = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
FORCED = {"type": "function", "function": {"name": "get_weather"}}

# An int64 that every client reads exactly.
MAX_SEED = 2**53


def _number_kept(key: str, sent: float, default: float) -> tuple[Check, Check]:
    fields: dict[str, Any] = {key: sent}

    def sent_one(probe: Probe) -> None:
        expect.number(probe.kept(probe.stored(**fields)["id"])[key], sent, key)

    def default_one(probe: Probe) -> None:
        expect.number(probe.kept(probe.stored()["id"])[key], default, key)

    return (
        Check(
            name=f"get.{key}_is_the_one_sent",
            title=f"The stored {key} is the one in the request.",
            operation="get",
            evidence=(OFFICIAL,),
            run=sent_one,
        ),
        Check(
            name=f"get.{key}_has_its_default",
            title=f"Without {key} in the request the stored one is {default}, never null.",
            operation="get",
            evidence=(RECORDED,),
            run=default_one,
        ),
    )


NUMBERS = (
    *_number_kept("temperature", 0.5, 1.0),
    *_number_kept("top_p", 0.5, 1.0),
    *_number_kept("presence_penalty", 0.5, 0.0),
    *_number_kept("frequency_penalty", 0.5, 0.0),
)


def _null_without(key: str) -> Check:
    def run(probe: Probe) -> None:
        kept = probe.kept(probe.stored()["id"])
        expect.has(kept, (key,), "the stored object")
        expect.equal(kept[key], None, key)

    return Check(
        name=f"get.{key}_is_null_without_one",
        title=f"Without one in the request the stored {key} is null, not absent.",
        operation="get",
        evidence=(RECORDED,),
        run=run,
    )


NULLS = tuple(_null_without(key) for key in ("tools", "tool_choice", "response_format", "input_user"))


@check("get", OFFICIAL)
def seed_is_the_one_sent(probe: Probe) -> None:
    """The stored seed is the one in the request."""
    expect.equal(probe.kept(probe.stored(seed=20261120)["id"])["seed"], 20261120, "seed")


@check("get", RECORDED)
def seed_is_an_integer_without_one(probe: Probe) -> None:
    """A seed is stored even where none was sent: an integer that a JavaScript client reads exactly."""
    seed = probe.kept(probe.stored()["id"])["seed"]

    expect.kind(seed, int, "seed")
    expect.that(abs(seed) <= MAX_SEED, "a seed within 2^53", seed)


@check("get", OFFICIAL)
def input_user_is_the_user_sent(probe: Probe) -> None:
    """``input_user`` is the request's ``user``."""
    expect.equal(probe.kept(probe.stored(user="user-42")["id"])["input_user"], "user-42", "input_user")


def _metadata_kept(name: str, title: str, metadata: dict[str, str]) -> Check:
    def run(probe: Probe) -> None:
        kept = probe.kept(probe.stored(metadata=metadata)["id"])
        expect.equal(kept["metadata"], {MARK: probe.mark, **metadata}, "metadata")

    return Check(
        name=f"get.metadata_{name}_is_kept", title=title, operation="get", evidence=(OFFICIAL, RECORDED), run=run
    )


METADATA = (
    _metadata_kept("of_two_pairs", "Metadata comes back as it was sent.", {"customer": "42", "purpose": "test"}),
    _metadata_kept("in_unicode", "Metadata in any script comes back as sent.", {"größe": "grün 緑 🟢"}),
    _metadata_kept("with_an_empty_value", "An empty value is a value.", {"empty": ""}),
    _metadata_kept("with_odd_keys", "Keys may hold spaces, brackets, quotes and signs.", {"a b[c]\"d'&=%": "v"}),
    _metadata_kept(
        "at_its_limits",
        "16 pairs, keys of 64 characters and values of 512 are within the limits.",
        {f"{number:064}": "v" * 512 for number in range(15)},
    ),
)


@check("get", RECORDED)
def metadata_is_an_empty_object_without_one(probe: Probe) -> None:
    """Without metadata in the request the stored one is {}."""
    expect.equal(probe.kept(probe.created(store=True)["id"])["metadata"], {}, "metadata")


def _tool_request() -> dict[str, Any]:
    messages = [{"role": "user", "content": "What is the weather in Paris? Call get_weather."}]
    return {"messages": messages, "tools": [FUNCTION], "tool_choice": FORCED, "max_tokens": 128}


@check("get", OFFICIAL, demands=("tools", "tool_choice"))
def tools_are_those_sent(probe: Probe) -> None:
    """The stored tools are the request's."""
    kept = probe.kept(probe.stored(**_tool_request())["id"])

    expect.that(kept["tools"] == [FUNCTION], f"tools: {[FUNCTION]}", kept["tools"])


@check("get", RECORDED, OFFICIAL, demands=("tools", "tool_choice"))
def tool_choice_is_the_one_sent_or_null(probe: Probe) -> None:
    """The stored tool_choice is the request's, or null as recorded; nothing else."""
    kept = probe.kept(probe.stored(**_tool_request())["id"])

    expect.that(kept["tool_choice"] in (None, FORCED), f"tool_choice: {FORCED} or null", kept["tool_choice"])


@check("get", RECORDED, demands=("tools", "tool_choice"))
def tool_calls_are_those_of_the_create_reply(probe: Probe) -> None:
    """The stored tool calls are those of the create reply, content null."""
    made = probe.stored(**_tool_request())
    message = probe.kept(made["id"])["choices"][0]["message"]

    created = made["choices"][0]["message"]["tool_calls"]
    expect.that(message["tool_calls"] == created, f"tool_calls: {created}", message["tool_calls"])
    expect.equal(message["content"], made["choices"][0]["message"]["content"], "content")


@check("get", RECORDED, demands=("tools", "tool_choice"))
def tool_call_has_its_id_last(probe: Probe) -> None:
    """In a stored tool call the id comes last."""
    [call, *_] = probe.kept(probe.stored(**_tool_request())["id"])["choices"][0]["message"]["tool_calls"]

    expect.equal(list(call)[-1], "id", "last key of a stored tool call")


@check("get", OFFICIAL, demands=("response_format",))
def response_format_is_the_one_sent(probe: Probe) -> None:
    """The stored response_format is the request's."""
    kept = probe.kept(probe.stored(response_format={"type": "text"})["id"])

    expect.equal(kept["response_format"], {"type": "text"}, "response_format")


@check("get", OFFICIAL, demands=("logprobs",))
def logprobs_are_those_of_the_create_reply(probe: Probe) -> None:
    """The stored logprobs are those of the create reply."""
    made = probe.stored(logprobs=True, top_logprobs=2)
    kept = probe.kept(made["id"])

    expect.kind(made["choices"][0]["logprobs"], dict, "logprobs of create")
    expect.equal(kept["choices"][0]["logprobs"], made["choices"][0]["logprobs"], "logprobs")
