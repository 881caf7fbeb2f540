"""Tool calls: who decides whether there is one, its form, and that its arguments keep the schema."""

from __future__ import annotations

import json
from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, check
from hansard.conformance.families.sampling import MEASURES, STEADY, keeps_measures
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Document

CITIES = ("Oslo", "Lima")
WEATHER: Document = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": list(CITIES)}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
TIME: Document = {"type": "function", "function": {"name": "get_time", "description": "The time of day."}}
NAMED: Document = {"type": "function", "function": {"name": "get_weather"}}
NOTE: Document = {"type": "custom", "custom": {"name": "note", "description": "Writes a note."}}
ASKED = [{"role": "user", "content": "What is the weather in Oslo?"}]
DEMANDS = ("tools", "tool_choice")
FUNCTIONS = ("functions", "function_call")


def calling(**fields: Any) -> dict[str, Any]:
    """A request that has to call get_weather, and these fields over it."""
    asked = {"messages": ASKED, "tools": [WEATHER], "tool_choice": NAMED, "max_tokens": 200, **STEADY}
    return {**asked, **fields}


def _choice(probe: Probe, **fields: Any) -> Document:
    found: Document = probe.created(**calling(**fields))["choices"][0]
    return found


def _calls(probe: Probe, **fields: Any) -> list[Document]:
    calls: list[Document] = _choice(probe, **fields)["message"]["tool_calls"]
    expect.that(calls, "a tool call", calls)
    return calls


@check("create", OFFICIAL, demands=DEMANDS)
def a_named_tool_is_called(probe: Probe) -> None:
    """tool_choice names a function: that one is called."""
    expect.equal([call["function"]["name"] for call in _calls(probe)], ["get_weather"], "the calls")


@check("create", RECORDED, demands=DEMANDS)
def a_named_tool_ends_with_stop(probe: Probe) -> None:
    """With a forced function finish_reason is stop, although tool_calls are present."""
    choice = _choice(probe)

    expect.that(choice["message"].get("tool_calls"), "tool_calls", choice)
    expect.equal(choice["finish_reason"], "stop", "finish_reason")


@check("create", OFFICIAL, demands=DEMANDS)
def a_call_has_its_three_keys(probe: Probe) -> None:
    """A call is {id, type, function}, and its function {name, arguments}."""
    for call in _calls(probe):
        expect.keys(call, ("id", "type", "function"), "a call")
        expect.keys(call["function"], ("name", "arguments"), "its function")


@check("create", OFFICIAL, demands=DEMANDS)
def a_call_is_of_type_function(probe: Probe) -> None:
    """A call of a function says so."""
    expect.equal([call["type"] for call in _calls(probe)], ["function"], "the types")


@check("create", RECORDED, demands=DEMANDS)
def call_ids_look_like_ids(probe: Probe) -> None:
    """Ids of calls begin with call_."""
    expect.matches(_calls(probe)[0]["id"], r"call_[A-Za-z0-9]{8,}", "the call's id")


@check("create", OFFICIAL, demands=DEMANDS)
def call_ids_differ(probe: Probe) -> None:
    """Two calls have two ids."""
    first, second = _calls(probe)[0]["id"], _calls(probe)[0]["id"]

    expect.that(first != second, "another id for another call", second)


@check("create", OFFICIAL, demands=DEMANDS)
def arguments_are_json_text(probe: Probe) -> None:
    """arguments are a string that holds a JSON object."""
    arguments = _calls(probe)[0]["function"]["arguments"]

    expect.kind(arguments, str, "arguments")
    expect.kind(json.loads(arguments), dict, "arguments as JSON")


@check("create", OFFICIAL, demands=DEMANDS)
def strict_arguments_keep_the_schema(probe: Probe) -> None:
    """A strict function's arguments keep its schema, to the letter."""
    arguments = json.loads(_calls(probe)[0]["function"]["arguments"])

    expect.keys(arguments, ["city"], "the arguments")
    expect.that(arguments["city"] in CITIES, f"one of {CITIES}", arguments["city"])


@check("create", OFFICIAL, demands=DEMANDS)
def strict_arguments_keep_bounds_and_formats(probe: Probe) -> None:
    """Strict holds minimum, maximum, multipleOf and format in arguments as well."""
    function = {**WEATHER["function"], "parameters": MEASURES}
    calls = _calls(probe, tools=[{"type": "function", "function": function}])

    keeps_measures(json.loads(calls[0]["function"]["arguments"]), "the arguments")


@check("create", RECORDED, demands=DEMANDS)
def content_is_null_beside_calls(probe: Probe) -> None:
    """A message that calls has content null."""
    message = _choice(probe)["message"]

    expect.has(message, ["content", "tool_calls"], "the message")
    expect.equal(message["content"], None, "content")


@check("create", OFFICIAL, demands=DEMANDS)
def required_calls_a_tool(probe: Probe) -> None:
    """tool_choice required: there is a call, and finish_reason says so."""
    choice = _choice(probe, tool_choice="required")

    expect.that(choice["message"].get("tool_calls"), "a tool call", choice["message"])
    expect.equal(choice["finish_reason"], "tool_calls", "finish_reason")


@check("create", OFFICIAL, demands=DEMANDS)
def none_calls_no_tool(probe: Probe) -> None:
    """tool_choice none: the answer is text."""
    message = _choice(probe, tool_choice="none", max_tokens=16)["message"]

    expect.that("tool_calls" not in message, "a message without tool_calls", message)
    expect.kind(message["content"], str, "content")


@check("create", OFFICIAL, demands=DEMANDS)
def auto_is_the_default(probe: Probe) -> None:
    """Without tool_choice the model decides: a call that ends with tool_calls, or text that does not."""
    choice = _choice(probe, tool_choice=...)
    calls = choice["message"].get("tool_calls")

    expect.that(
        (choice["finish_reason"] == "tool_calls") == bool(calls), "finish_reason tool_calls with calls only", choice
    )


@check("create", OFFICIAL, demands=("tools", "tool_choice"))
def allowed_tools_are_those_called(probe: Probe) -> None:
    """allowed_tools: only they are called."""
    allowed = {"mode": "required", "tools": [NAMED]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    calls = _calls(probe, tools=[TIME, WEATHER], tool_choice=choice)

    expect.equal({call["function"]["name"] for call in calls} - {"get_weather"}, set(), "calls of other tools")


@check("create", OFFICIAL, demands=DEMANDS)
def parallel_calls_can_be_declined(probe: Probe) -> None:
    """parallel_tool_calls false: one call at most."""
    calls = _calls(probe, tools=[TIME, WEATHER], tool_choice="required", parallel_tool_calls=False)

    expect.equal(len(calls), 1, "how many calls")


@check("create", OFFICIAL, demands=DEMANDS)
def a_call_can_be_answered(probe: Probe) -> None:
    """The conversation goes on with the call as it came, and its answer."""
    message = _choice(probe)["message"]
    answer = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Sunny."}

    made = probe.created(**calling(messages=[*ASKED, message, answer], tool_choice="none", max_tokens=16))
    expect.kind(made["choices"][0]["message"]["content"], str, "content")


@check("create", OFFICIAL, RECORDED, demands=DEMANDS, needs=("get",))
def calls_are_stored(probe: Probe) -> None:
    """A stored completion keeps its calls, and says which tools there were."""
    made = probe.stored(**calling())
    kept = probe.kept(made["id"])

    ours, theirs = (one["choices"][0]["message"]["tool_calls"] for one in (kept, made))
    # The live API puts the id last here, so keys are not compared by their order.
    expect.that(ours == theirs, "the calls as they were answered", ours)
    expect.equal(kept["tools"][0]["function"]["name"], "get_weather", "the stored tool's name")


@check("create", OFFICIAL, demands=DEMANDS)
def a_custom_tool_is_called(probe: Probe) -> None:
    """A custom tool's call is {id, type, custom: {name, input}}, its input text."""
    named = {"type": "custom", "custom": {"name": "note"}}
    [call] = _calls(probe, tools=[NOTE], tool_choice=named, max_tokens=30)

    expect.keys(call, ("id", "type", "custom"), "the call")
    expect.equal((call["type"], call["custom"]["name"]), ("custom", "note"), "type and name")
    expect.kind(call["custom"]["input"], str, "input")


def _noted(probe: Probe, syntax: str, definition: str) -> str:
    grammar = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
    tool = {"type": "custom", "custom": {"name": "note", "format": grammar}}
    named = {"type": "custom", "custom": {"name": "note"}}
    [call] = _calls(probe, tools=[tool], tool_choice=named)
    text: str = call["custom"]["input"]
    return text


@check("create", OFFICIAL, demands=DEMANDS)
def a_regex_is_kept(probe: Probe) -> None:
    """The input of a custom tool with a regex matches it."""
    expect.matches(_noted(probe, "regex", "[0-9]{3}-(red|blue)"), "[0-9]{3}-(red|blue)", "input")


@check("create", OFFICIAL, demands=DEMANDS)
def a_lark_grammar_is_kept(probe: Probe) -> None:
    """The input of a custom tool with a lark grammar is a sentence of it."""
    # Of two words: a small model would never end a list without one.
    grammar = 'start: COLOUR "," COLOUR\nCOLOUR: "red" | "blue"\n'
    said = _noted(probe, "lark", grammar)

    expect.matches(said, r"(red|blue),(red|blue)", "input")


def _in_the_old_form() -> dict[str, Any]:
    function = {key: value for key, value in WEATHER["function"].items() if key != "strict"}
    call = {"functions": [function], "function_call": {"name": "get_weather"}}
    return {"messages": ASKED, "max_tokens": 200, **STEADY, **call}


@check("create", OFFICIAL, demands=FUNCTIONS)
def a_function_is_called_in_the_old_form(probe: Probe) -> None:
    """The deprecated functions: message.function_call is {name, arguments}."""
    message = probe.created(**_in_the_old_form())["choices"][0]["message"]

    expect.keys(message["function_call"], ("name", "arguments"), "function_call")
    expect.equal(message["function_call"]["name"], "get_weather", "the function's name")
    expect.that("tool_calls" not in message, "no tool_calls beside it", message)


# Streams


def _deltas(probe: Probe, **fields: Any) -> list[Document]:
    chunks = probe.streamed(**calling(**fields)).chunks
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def _pieces(deltas: list[Document]) -> list[Document]:
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


@check("stream", RECORDED, demands=DEMANDS)
def a_streamed_call_opens_whole(probe: Probe) -> None:
    """A call opens with index, id, type and its function's name, arguments empty."""
    opener = _pieces(_deltas(probe))[0]

    expect.keys(opener, ("index", "id", "type", "function"), "the opener")
    expect.equal(opener["function"], {"name": "get_weather", "arguments": ""}, "its function")
    expect.equal((opener["index"], opener["type"]), (0, "function"), "index and type")


@check("stream", RECORDED, demands=DEMANDS)
def a_streamed_call_opens_without_content(probe: Probe) -> None:
    """The first delta of a calling message has role, content null and refusal null."""
    first = _deltas(probe)[0]

    expect.has(first, ("role", "content"), "the first delta")
    expect.equal((first["role"], first["content"]), ("assistant", None), "role and content")


@check("stream", RECORDED, demands=DEMANDS)
def arguments_come_in_pieces_of_two_keys(probe: Probe) -> None:
    """What follows is {index, function: {arguments}}."""
    pieces = _pieces(_deltas(probe))[1:]

    expect.that(pieces, "pieces after the opener", pieces)
    for piece in pieces:
        expect.keys(piece, ("index", "function"), "a piece")
        expect.keys(piece["function"], ("arguments",), "its function")


@check("stream", OFFICIAL, demands=DEMANDS)
def streamed_arguments_are_those_of_the_plain_reply(probe: Probe) -> None:
    """The pieces together are the arguments of the same request without stream."""
    plain = _calls(probe)[0]["function"]["arguments"]
    joined = "".join(piece["function"]["arguments"] for piece in _pieces(_deltas(probe)))

    expect.equal(joined, plain, "the arguments")


@check("stream", OFFICIAL, demands=DEMANDS)
def a_streamed_required_call_ends_with_tool_calls(probe: Probe) -> None:
    """required: the finish chunk says tool_calls, its delta is empty."""
    chunks = probe.streamed(**calling(tool_choice="required")).chunks
    [finish] = [choice for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]

    expect.equal((finish["finish_reason"], finish["delta"]), ("tool_calls", {}), "the finish chunk")


@check("stream", RECORDED, demands=DEMANDS, needs=("get",))
def a_streamed_call_is_stored(probe: Probe) -> None:
    """The stored completion has the call whole."""
    reply = probe.streamed(store=True, **calling())
    kept = probe.kept(reply.chunks[0]["id"])["choices"][0]["message"]["tool_calls"]
    pieces = _pieces([choice["delta"] for chunk in reply.chunks for choice in chunk["choices"]])

    expect.equal(
        [call["function"]["arguments"] for call in kept],
        ["".join(piece["function"]["arguments"] for piece in pieces)],
        "the stored arguments",
    )


@check("stream", RECORDED, demands=DEMANDS)
def a_streamed_custom_call_has_its_input_in_pieces(probe: Probe) -> None:
    """A custom call opens with its name and input empty; the input follows in pieces."""
    named = {"type": "custom", "custom": {"name": "note"}}
    opener, *pieces = _pieces(_deltas(probe, tools=[NOTE], tool_choice=named, max_tokens=30))

    expect.equal((opener["type"], opener["custom"]), ("custom", {"name": "note", "input": ""}), "the opener")
    for piece in pieces:
        expect.keys(piece, ("index", "custom"), "a piece")
        expect.keys(piece["custom"], ("input",), "its input")


@check("stream", RECORDED, demands=FUNCTIONS)
def a_streamed_function_call_comes_in_pieces(probe: Probe) -> None:
    """The deprecated form: delta.function_call {name, arguments ""}, then {arguments}."""
    chunks = probe.streamed(**_in_the_old_form()).chunks
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    opener, *pieces = [delta["function_call"] for delta in deltas if "function_call" in delta]

    expect.equal(opener, {"name": "get_weather", "arguments": ""}, "the opener")
    for piece in pieces:
        expect.keys(piece, ("arguments",), "a piece")
