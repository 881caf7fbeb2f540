"""Servers that call other tools than they may, or tell of their calls in another form."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Asked, Document, Mutant, drops, sets

CREATE = ("POST", "/chat/completions")
CALLS = ("choices", "message", "tool_calls")


def _mutant(name: str, *fails: str, answer: Callable[[Answered], None]) -> Mutant:
    return Mutant(name=f"tools-{name}", fails=fails, answer=answer, only_to=CREATE)


def _asks(name: str, *fails: str, ask: Callable[[Document], Document]) -> Mutant:
    def edit(asked: Asked) -> None:
        asked.document = ask(asked.document)

    return Mutant(name=f"tools-{name}", fails=fails, ask=edit, only_to=CREATE)


def _without(*names: str) -> Callable[[Document], Document]:
    return lambda asked: {name: value for name, value in asked.items() if name not in names}


def _edits_calls(edit: Callable[[Document], None]) -> Callable[[Answered], None]:
    """Edits every call of a plain reply, and every piece of a streamed one."""

    def answer(answered: Answered) -> None:
        if answered.status != 200:
            return
        documents = answered.chunks if answered.is_stream else [answered.document]
        for document in documents:
            for choice in document["choices"]:
                for call in (choice.get("message") or choice.get("delta") or {}).get("tool_calls") or ():
                    edit(call)
        if answered.is_stream:
            answered.chunks = documents
        else:
            answered.document = documents[0]

    return answer


def _edits_deltas(edit: Callable[[Document], None]) -> Callable[[Answered], None]:
    def answer(answered: Answered) -> None:
        if answered.status == 200 and answered.is_stream:
            chunks = answered.chunks
            for chunk in chunks:
                for choice in chunk["choices"]:
                    edit(choice["delta"])
            answered.chunks = chunks

    return answer


def _arguments_as_object(call: Document) -> None:
    call["function"]["arguments"] = {}


def _calls_another(call: Document) -> None:
    if "name" in call.get("function", {}):
        call["function"]["name"] = "get_time"


def _has_more_arguments(call: Document) -> None:
    if "arguments" in call.get("function", {}):
        call["function"]["arguments"] = '{"city": "Rome", "unit": "C"}'


def _says_another_input(call: Document) -> None:
    if "custom" in call:
        call["custom"]["input"] = "green"


def _is_a_function(call: Document) -> None:
    if "custom" in call:
        call["function"] = {"name": call["custom"]["name"], "arguments": call.pop("custom")["input"]}


def _names_every_piece(call: Document) -> None:
    for kind in ("function", "custom"):
        if kind in call:
            call[kind].setdefault("name", "get_weather")


def _opens_with_content(delta: Document) -> None:
    if "role" in delta:
        delta["content"] = ""


def _names_every_function_call(delta: Document) -> None:
    if "function_call" in delta:
        delta["function_call"].setdefault("name", "get_weather")


def _doubled(answered: Answered) -> None:
    if answered.status == 200 and not answered.is_stream:
        made = answered.document
        message = made["choices"][0]["message"]
        message["tool_calls"] = message.get("tool_calls", []) * 2
        answered.document = made


def _cannot_go_on(asked: Document) -> Document:
    if asked["messages"][-1]["role"] == "tool":
        return {**asked, "messages": asked["messages"][-1:]}
    return asked


def _in_the_new_form(answered: Answered) -> None:
    if answered.status == 200 and not answered.is_stream:
        made = answered.document
        message = made["choices"][0]["message"]
        if function := message.get("function_call"):
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        answered.document = made


def _calls_at_the_end(answered: Answered) -> None:
    if answered.status == 200:
        sets("tool_calls", "choices", "finish_reason")(answered)


MUTANTS = (
    _mutant(
        "calls-another",
        "create.a_named_tool_is_called",
        "create.allowed_tools_are_those_called",
        answer=_edits_calls(_calls_another),
    ),
    _mutant("always-ends-with-tool-calls", "create.a_named_tool_ends_with_stop", answer=_calls_at_the_end),
    _mutant(
        "always-ends-with-stop",
        "create.required_calls_a_tool",
        "stream.a_streamed_required_call_ends_with_tool_calls",
        answer=sets("stop", "choices", "finish_reason"),
    ),
    _mutant(
        "with-an-index", "create.a_call_has_its_three_keys", answer=_edits_calls(lambda call: call.update(index=0))
    ),
    _mutant("of-another-type", "create.a_call_is_of_type_function", answer=sets("tool", *CALLS, "type")),
    _mutant("with-numbers", "create.call_ids_look_like_ids", "create.call_ids_differ", answer=sets("0", *CALLS, "id")),
    _mutant("with-objects", "create.arguments_are_json_text", answer=_edits_calls(_arguments_as_object)),
    _mutant(
        "outside-the-schema",
        "create.strict_arguments_keep_the_schema",
        answer=_edits_calls(_has_more_arguments),
    ),
    _mutant(
        "between-multiples",
        "create.strict_arguments_keep_bounds_and_formats",
        answer=sets('{"share": 3.5, "weeks": 30, "host": "10.0.0.1"}', *CALLS, "function", "arguments"),
    ),
    _mutant(
        "with-empty-content", "create.content_is_null_beside_calls", answer=sets("", "choices", "message", "content")
    ),
    _asks(
        "without-choice",
        "create.none_calls_no_tool",
        ask=lambda asked: {**asked, "tool_choice": "required"} if "tools" in asked else asked,
    ),
    _asks("without-tools", "create.required_calls_a_tool", ask=_without("tools", "tool_choice", "parallel_tool_calls")),
    _mutant("decides-without-telling", "create.auto_is_the_default", answer=_calls_at_the_end),
    _mutant("always-in-parallel", "create.parallel_calls_can_be_declined", answer=_doubled),
    _asks("without-answers", "create.a_call_can_be_answered", ask=_cannot_go_on),
    Mutant(
        name="tools-not-stored",
        fails=("create.calls_are_stored", "stream.a_streamed_call_is_stored"),
        answer=drops("choices", "message", "tool_calls"),
        only_to=("GET", "/chat/completions/{id}"),
    ),
    _mutant("custom-as-functions", "create.a_custom_tool_is_called", answer=_edits_calls(_is_a_function)),
    _mutant(
        "without-grammars",
        "create.a_regex_is_kept",
        "create.a_lark_grammar_is_kept",
        answer=_edits_calls(_says_another_input),
    ),
    _mutant("in-the-new-form-too", "create.a_function_is_called_in_the_old_form", answer=_in_the_new_form),
    _mutant(
        "open-with-arguments",
        "stream.a_streamed_call_opens_whole",
        "stream.streamed_arguments_are_those_of_the_plain_reply",
        answer=_edits_calls(_has_more_arguments),
    ),
    _mutant(
        "open-with-content",
        "stream.a_streamed_call_opens_without_content",
        answer=_edits_deltas(_opens_with_content),
    ),
    _mutant(
        "named-in-every-piece",
        "stream.arguments_come_in_pieces_of_two_keys",
        "stream.a_streamed_custom_call_has_its_input_in_pieces",
        answer=_edits_calls(_names_every_piece),
    ),
    _mutant(
        "old-form-named-in-every-piece",
        "stream.a_streamed_function_call_comes_in_pieces",
        answer=_edits_deltas(_names_every_function_call),
    ),
)
