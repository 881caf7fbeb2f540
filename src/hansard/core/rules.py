"""The rules that take more than one field to check: one function each, listed in the order they are tried.

A rule raises ``InvalidRequest`` or says nothing. Texts, params and codes: the API's recorded errors; a
text of our own is marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias, TypeVar

from hansard.contract.messages import (
    AssistantMessage,
    FunctionToolCall,
    ImagePart,
    RefusalPart,
    ToolMessage,
    UserMessage,
)
from hansard.contract.request import (
    ChatRequest,
    CustomChoice,
    CustomTool,
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    ToolChoice,
    ToolName,
)
from hansard.core import shapes, strict
from hansard.core.limits import MAX_DEPTH, MAX_REQUEST_ENUM_VALUES, SchemaSize, is_deeper, schema_size, too_large
from hansard.core.normalize import given, json_schema, text_of
from hansard.errors import HansardError, InvalidRequest

# The specification's bounds are too wide for a struct to hold.
_SEED: Final = shapes.Number("integer", -shapes.LARGEST_INTEGER, shapes.LARGEST_INTEGER)
_TOKEN_ID: Final = re.compile(r"[0-9]+\Z", re.ASCII)

_ADDRESS: Final = re.compile(r"(?:https?://[^\s/]|data:[^\s,]*,)", re.ASCII | re.IGNORECASE)

# Where the name of a top-level field ends in the path of a mistake.
_PATH: Final = re.compile(r"[.\[]")


Rule: TypeAlias = Callable[[ChatRequest], object]
Mistake = TypeVar("Mistake", bound=HansardError)


def broken(request: ChatRequest, also: Iterable[Rule] = ()) -> list[InvalidRequest]:
    """What each rule has to say, the first thing only; ``also`` are further rules to try."""
    mistakes = []
    for rule in (*_RULES, *also):
        try:
            rule(request)
        except InvalidRequest as mistake:
            # Without its traceback, which leads to whoever keeps it, and so would keep all of them.
            mistakes.append(mistake.with_traceback(None))
    return mistakes


def first_of(mistakes: Iterable[Mistake], order: Iterable[str]) -> Mistake:
    """The one whose field comes first in ``order``; a field that is not there comes last."""
    place = {name: index for index, name in enumerate(order)}
    return min(mistakes, key=lambda mistake: place.get(_PATH.split(mistake.place or "", maxsplit=1)[0], len(place)))


def _stream_options_need_stream(request: ChatRequest) -> None:
    if given(request.stream_options) is not None and request.stream is not True:
        raise _only_with("stream_options", "stream")


def metadata_needs_store(request: ChatRequest) -> None:
    """Not among the rules that ``check`` tries: what counts as stored is a matter of policy (decision 17)."""
    if given(request.metadata) and request.store is not True:
        raise _only_with("metadata", "store")


def _top_logprobs_need_logprobs(request: ChatRequest) -> None:
    if given(request.top_logprobs) is not None and request.logprobs is not True:
        raise _only_with("top_logprobs", "logprobs")


def _only_with(name: str, switch: str) -> InvalidRequest:
    return InvalidRequest(f"The '{name}' parameter is only allowed when '{switch}' is enabled.", param=name)


def _tool_choice_needs_tools(request: ChatRequest) -> None:
    if given(request.tool_choice) is not None and not given(request.tools):
        raise _only_with_specified("tool_choice", "tools")


def _parallel_tool_calls_need_tools(request: ChatRequest) -> None:
    if given(request.parallel_tool_calls) is not None and not given(request.tools):
        raise _only_with_specified("parallel_tool_calls", "tools")


def _function_call_needs_functions(request: ChatRequest) -> None:
    if given(request.function_call) is not None and not given(request.functions):
        raise _only_with_specified("function_call", "functions")


def _only_with_specified(name: str, needed: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{name}': '{name}' is only allowed when '{needed}' are specified.", param=name
    )


def _one_token_cap(request: ChatRequest) -> None:
    if given(request.max_tokens) is not None and given(request.max_completion_tokens) is not None:
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )


def _seed_is_in_bounds(request: ChatRequest) -> None:
    if (seed := given(request.seed)) is not None:
        _SEED.check(seed, "seed")


def _biases_are_of_tokens(request: ChatRequest) -> None:
    """The text is the live API's."""
    for key in given(request.logit_bias) or ():
        if not _TOKEN_ID.match(key):
            key = shapes.quoted(key)
            raise InvalidRequest(
                f"Invalid key in 'logit_bias': {key}. You should only be submitting non-negative integers.",
                param=f"logit_bias.{key}",
                code="invalid_value",
            )


def _audio_needs_its_form(request: ChatRequest) -> None:
    if "audio" in (given(request.modalities) or ()) and given(request.audio) is None:
        raise shapes.missing("audio")


def _messages_follow_each_other(request: ChatRequest) -> None:
    """Every tool message answers the calls just before it, no call is left without an answer, assistants say something.

    One walk, so that of several mistakes the first is told.
    """
    asked: dict[str, None] = {}
    waiting: dict[str, None] = {}
    for index, message in enumerate(request.messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in asked:
                raise InvalidRequest(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                    "with 'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            waiting.pop(message.tool_call_id, None)
            continue
        if waiting:
            break
        asked = {}
        if isinstance(message, AssistantMessage):
            _says_something(message, index)
            asked = {call.id: None for call in given(message.tool_calls) or ()}
            waiting = dict(asked)
    if waiting:
        raise InvalidRequest(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(map(shapes.quoted, waiting)),
            param="messages",
        )


def _says_something(message: AssistantMessage, index: int) -> None:
    """Content, or a call, a refusal or audio instead; in parts it is text, or one refusal (text of that ours)."""
    content = given(message.content)
    if content is None:
        instead = (message.tool_calls, message.function_call, message.refusal, message.audio)
        if all(given(value) is None for value in instead):
            raise shapes.null_content(index)
    elif isinstance(content, list) and len(content) > 1 and any(isinstance(part, RefusalPart) for part in content):
        path = f"messages[{index}].content"
        raise InvalidRequest(
            f"Invalid '{path}': expected parts of type 'text', or exactly one part of type 'refusal'.",
            param=path,
            code="invalid_value",
        )


def images_have_addresses(request: ChatRequest) -> None:
    """For engines of ours that do not look at images; what an upstream takes is its own affair. Text ours."""
    for index, message in enumerate(request.messages):
        if not isinstance(message, UserMessage) or isinstance(message.content, str):
            continue
        for place, part in enumerate(message.content):
            if isinstance(part, ImagePart) and not _ADDRESS.match(part.image_url.url):
                path = f"messages[{index}].content[{place}].image_url.url"
                raise InvalidRequest(
                    f"Invalid '{path}'. Expected a URL of http, https or data.", param=path, code="invalid_value"
                )


def _json_mode_says_json(request: ChatRequest) -> None:
    if isinstance(given(request.response_format), JsonObjectFormat):
        if any("json" in text_of(message).lower() for message in request.messages):
            return
        raise InvalidRequest(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )


def _chosen_tools_exist(request: ChatRequest) -> None:
    """Text ours, in the API's style."""
    choice: ToolChoice | None = given(request.tool_choice)
    if choice is None or isinstance(choice, str):
        return
    known = {_tool_name(tool) for tool in given(request.tools) or ()}
    chosen = [choice] if isinstance(choice, FunctionChoice | CustomChoice) else choice.allowed_tools.tools
    for kind, name in map(_reference_name, chosen):
        if (kind, name) not in known:
            raise _not_there("tool_choice", f"no tool named '{shapes.quoted(name)}' of type '{kind}' is in 'tools'.")


def _chosen_function_exists(request: ChatRequest) -> None:
    choice = given(request.function_call)
    if isinstance(choice, ToolName) and all(choice.name != known.name for known in given(request.functions) or ()):
        raise _not_there("function_call", f"no function named '{shapes.quoted(choice.name)}' is in 'functions'.")


def _not_there(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{name}': {why}", param=name, code="invalid_value")


def _tool_name(tool: FunctionTool | CustomTool) -> tuple[str, str]:
    return ("function", tool.function.name) if isinstance(tool, FunctionTool) else ("custom", tool.custom.name)


def _reference_name(choice: FunctionChoice | CustomChoice) -> tuple[str, str]:
    return ("function", choice.function.name) if isinstance(choice, FunctionChoice) else ("custom", choice.custom.name)


def _arguments_are_shallow(request: ChatRequest) -> None:
    """Engines parse the arguments of earlier calls, and have died of deep ones. Text ours."""
    for index, message in enumerate(request.messages):
        if not isinstance(message, AssistantMessage):
            continue
        for path, text in _written_texts(message):
            # Fewer brackets than levels settle it, and most arguments are so.
            if text.count("{") + text.count("[") > MAX_DEPTH and is_deeper(text.encode(), MAX_DEPTH):
                raise InvalidRequest(
                    f"Invalid 'messages[{index}].{path}': nested too deeply. Expected at most {MAX_DEPTH} levels.",
                    param=f"messages[{index}].{path}",
                    code="invalid_value",
                )


def _written_texts(message: AssistantMessage) -> Iterator[tuple[str, str]]:
    for index, call in enumerate(given(message.tool_calls) or ()):
        if isinstance(call, FunctionToolCall):
            yield f"tool_calls[{index}].function.arguments", call.function.arguments
        else:
            yield f"tool_calls[{index}].custom.input", call.custom.input
    if (legacy := given(message.function_call)) is not None:
        yield "function_call.arguments", legacy.arguments


def _format_is_sound(request: ChatRequest) -> None:
    wanted = json_schema(request)
    if wanted is None:
        return
    schema = given(wanted.schema)
    if schema is None and wanted.strict is True:
        raise shapes.missing("response_format.json_schema.schema")
    problem, _ = _judged(schema, is_strict=wanted.strict is True)
    if problem is not None:
        raise InvalidRequest(f"Invalid schema for response_format '{wanted.name}': {problem}", param="response_format")


def _functions_are_sound(request: ChatRequest) -> None:
    enum_values = 0
    for path, name, parameters, is_strict in _functions(request):
        problem, size = _judged(parameters, is_strict=is_strict)
        if problem is not None:
            raise _bad_function(name, problem, path)
        enum_values += size.enum_values
        if enum_values > MAX_REQUEST_ENUM_VALUES:
            problem = f"Expected at most {MAX_REQUEST_ENUM_VALUES} enum values in all functions together."
            raise _bad_function(name, problem, path)


def _functions(request: ChatRequest) -> Iterator[tuple[str, str, dict[str, Any] | None, bool]]:
    for index, tool in enumerate(given(request.tools) or ()):
        if isinstance(tool, FunctionTool):
            function = tool.function
            path = f"tools[{index}].function.parameters"
            yield path, function.name, given(function.parameters), function.strict is True
    for index, legacy in enumerate(given(request.functions) or ()):
        yield f"functions[{index}].parameters", legacy.name, given(legacy.parameters), False


def _judged(schema: dict[str, Any] | None, *, is_strict: bool) -> tuple[str | None, SchemaSize]:
    """What is wrong with it, and what it weighs."""
    if is_strict:
        # Recorded: a strict function without parameters is told about those it should have had.
        return strict.judged({"type": "object", "properties": {}} if schema is None else schema)
    size = schema_size(schema)
    return too_large(size), size


def _bad_function(name: str, problem: str, path: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid schema for function '{name}': {problem}", param=path, code="invalid_function_parameters"
    )


_RULES: Final[tuple[Rule, ...]] = (
    _stream_options_need_stream,
    _top_logprobs_need_logprobs,
    _tool_choice_needs_tools,
    _parallel_tool_calls_need_tools,
    _function_call_needs_functions,
    _one_token_cap,
    _seed_is_in_bounds,
    _biases_are_of_tokens,
    _audio_needs_its_form,
    _messages_follow_each_other,
    _json_mode_says_json,
    _chosen_tools_exist,
    _chosen_function_exists,
    _arguments_are_shallow,
    _format_is_sound,
    _functions_are_sound,
)
