"""What the engine is asked: a body built field by field, because every field it knows and we do not is live.

Pure: a checked request in, an order out. What comes back is read by ``reply``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest, JsonObjectFormat, JsonSchemaFormat
from hansard.core import normalize, rules
from hansard.core.normalize import given
from hansard.engines.llamacpp import grammars, prompt, schema, tools, watch
from hansard.engines.llamacpp.prompt import Abilities
from hansard.engines.llamacpp.tools import ToolPlan
from hansard.engines.llamacpp.watch import Watch
from hansard.errors import InvalidRequest

SCHEMA_SENTENCE = "Respond with JSON that matches this schema:\n"
OBJECT_SENTENCE = "Respond with a JSON object."
INT32_MAX = 2**31 - 1  # past it the engine cuts numbers off
SEEDS = 2**32 - 1  # one more would mean "draw one" to the engine

# Sent where the client sent them; the engine's defaults for them are the API's.
PASSED_ON = ("presence_penalty", "frequency_penalty", "reasoning_effort")

# Asking for these changes what an answer is, so they are refused by name and never dropped (decision 36).
UNSUPPORTED = ("modalities", "audio", "web_search_options", "moderation")

# What has schemas and grammars in it. The template of a model writes 500 KB of them in 2 s, and nobody can stop it.
READ = ("tools", "functions", "response_format")
MOST_READ = 500_000
BYTES_OF_A_TOKEN = 16  # more than in any JSON

# Always streamed: only streams can be cancelled, and with progress even before the first token.
ALWAYS: Document = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "return_progress": True,
    "cache_prompt": True,
}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, all but the seed, and how to read what comes. ``logprobs`` is the number of alternatives.

    ``stops`` are those that the engine is not told of, ``cap`` is what the client wants for the answer, in tokens.
    ``images`` is where they stand in the request.
    """

    body: Document
    n: int
    logprobs: int | None
    tools: ToolPlan | None
    stops: Sequence[str] = ()
    cap: int | None = None
    images: Sequence[str] = ()


class BoundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that has to be JSON: its schema, and the sentence that tells the model, since the engine does not.

    ``name`` is the client's for the schema.
    """

    schema: Document
    sentence: str
    name: str | None = None


def compiles(request: ChatRequest) -> bool:
    """Whether the order of this request has schemas or grammars to read, which takes milliseconds."""
    wanted = given(request.response_format)
    return isinstance(wanted, JsonSchemaFormat) or bool(given(request.tools) or given(request.functions))


def outline(request: ChatRequest, abilities: Abilities, *, context: int) -> Document | None:
    """What the prompt of such a request is written from, told before its grammars are read; ``context`` is in tokens.

    None where it is the engine's to count: no token has less than a byte. Raises ``InvalidRequest`` for what is too
    large to be read at all.
    """
    size = _size(request, most=max(MOST_READ, BYTES_OF_A_TOKEN * context))
    if size <= context:
        return None
    try:
        answer = _bound_answer(request)
        drafted = tools.draft(request, bound=answer is not None)
        conversation = _conversation(request, abilities, answer, forced=drafted is not None and drafted.forced)
    except InvalidRequest:
        return None  # ``order`` knows which of its mistakes is the first
    effort = given(request.reasoning_effort)
    return {
        "messages": conversation,
        **({} if effort is None else {"reasoning_effort": effort}),
        **({} if drafted is None else {"tools": drafted.offered}),
        **(
            {}
            if drafted is None or drafted.in_json
            else {"parallel_tool_calls": normalize.parallel_tool_calls(request)}
        ),
    }


def order(request: ChatRequest, abilities: Abilities, *, fields: Iterable[str] = ()) -> Order:
    """The order for a request; raises ``InvalidRequest`` for what this engine cannot do.

    Of several such things, the first in ``fields``, the names as the client wrote them.
    """
    try:
        return _order(request, abilities)
    except InvalidRequest as mistake:
        raise rules.first_of([mistake, *_mistakes(request, abilities)], fields) from None  # perhaps the same one


def refusals(request: ChatRequest, abilities: Abilities | None) -> Iterator[InvalidRequest]:
    """What can be said of it without reading schemas and grammars; of a model not loaded yet, whatever it can do."""
    tried: list[Callable[[], object]] = [partial(_refuse_unsupported, request, name) for name in UNSUPPORTED]
    if abilities is not None:
        tried.append(partial(prompt.messages, request.messages, abilities))
    return _raised(tried)


def _mistakes(request: ChatRequest, abilities: Abilities) -> Iterator[InvalidRequest]:
    """The first of each field that this engine has something to say about."""
    yield from refusals(request, abilities)
    yield from _raised(
        [
            partial(_refuse_two_forms, request),
            partial(_refuse_unknown_tokens, request, abilities),
            partial(_bound_answer, request),
            partial(tools.plan, request, bound=False),
        ]
    )


def _raised(tried: Iterable[Callable[[], object]]) -> Iterator[InvalidRequest]:
    for refuse in tried:
        try:
            refuse()
        except InvalidRequest as mistake:
            yield mistake


def _order(request: ChatRequest, abilities: Abilities) -> Order:
    for name in UNSUPPORTED:
        _refuse_unsupported(request, name)
    _refuse_two_forms(request)
    _refuse_unknown_tokens(request, abilities)
    answer = _bound_answer(request)
    plan = tools.plan(request, bound=answer is not None)
    logprobs = normalize.top_logprobs(request)
    conversation = _conversation(request, abilities, answer, forced=plan is not None and plan.forced)
    body = {
        "messages": conversation,
        # Always, so that the model file's defaults for them never count: the store keeps what was used.
        "temperature": normalize.temperature(request),
        "top_p": normalize.top_p(request),
        **{name: value for name in PASSED_ON if (value := given(getattr(request, name))) is not None},
        **_limits(request),
        **ALWAYS,
        **_form(plan, answer),
    }
    if logprobs is not None:
        # Its own name for them: under the API's it refuses them beside tools in a stream. At 0 it reports none at all.
        body["n_probs"] = max(1, logprobs)
    # With stops of its own it would merge tokens that may begin one, and with them their log probabilities.
    stops: Sequence[str] = () if logprobs is None or plan is not None else body.pop("stop", ())
    if abilities.thinks or stops or (plan is not None and plan.grammars):
        body["timings_per_token"] = True  # the only place where it counts thoughts, or what was written until we stop
    return Order(
        body=body,
        n=normalize.n(request),
        logprobs=logprobs,
        tools=plan,
        stops=stops,
        cap=normalize.max_tokens(request),
        images=prompt.image_places(request.messages) if abilities.sees_images else (),
    )


def seeded(body: Document, seed: int) -> Document:
    """The body for one choice; choice k of a call has the call's seed plus k."""
    return {**body, "seed": seed % SEEDS}


def input_of(order: Order, name: str, *, written: int) -> Document:
    """The body that asks once more for the call that the model began ``written`` tokens into its answer, now bound."""
    assert order.tools is not None
    body = {key: value for key, value in order.body.items() if key != "parallel_tool_calls"}
    if "max_tokens" in body:
        body["max_tokens"] -= written
    again = grammars.one_of([grammars.call_form(name, order.tools.grammars[name])])
    return {**body, "tool_choice": "none", **grammars.constraint(again)}


def watched(order: Order, body: Document) -> Watch | None:
    """What follows the answer to this body of the order, if LLGuidance binds it. Compiles the grammar once more."""
    source = body.get("grammar")
    if source is None:
        return None
    return watch.by(source, may_break_off=bool(order.stops or body.get("stop")))


def _size(request: ChatRequest, *, most: int) -> int:
    """The bytes of the schemas and grammars in a request; raises ``InvalidRequest`` for a field with too many."""
    sizes = {name: len(msgspec.json.encode(value)) for name in READ if (value := given(getattr(request, name)))}
    for name, size in sizes.items():
        if size > most:
            text = f"Invalid '{name}': too long. Expected at most {most} bytes of JSON, but got {size} instead."
            raise InvalidRequest(text, param=name, code="string_above_max_length")
    return sum(sizes.values())


def _conversation(
    request: ChatRequest, abilities: Abilities, answer: BoundAnswer | None, *, forced: bool
) -> list[Document]:
    conversation = prompt.messages(request.messages, abilities)
    return conversation if answer is None or forced else prompt.instructed(conversation, answer.sentence)


def _refuse_unsupported(request: ChatRequest, name: str) -> None:
    wanted = given(getattr(request, name))
    if wanted is not None and (name != "modalities" or "audio" in wanted):
        text = f"Unsupported parameter: '{name}' is not supported with this model."
        raise InvalidRequest(text, param=name, code="unsupported_parameter")


def _refuse_two_forms(request: ChatRequest) -> None:
    """Each form has a choice of its own and the answer one place for calls, so one of them would be dropped."""
    if given(request.tools) and given(request.functions):
        text = "Setting 'tools' and 'functions' at the same time is not supported with this model."
        raise InvalidRequest(text, param="functions", code="invalid_parameter_combination")


def _refuse_unknown_tokens(request: ChatRequest, abilities: Abilities) -> None:
    """The engine passes over a bias of a token that it does not have."""
    most, bias = abilities.vocabulary, given(request.logit_bias)
    if most is None or not bias:
        return
    if len(bias) > most:
        text = f"Invalid 'logit_bias': expected at most {most} tokens, but received {len(bias)}."
        raise InvalidRequest(text, param="logit_bias", code="invalid_value")
    for name in bias:
        if _token(name) >= most:
            text = f"Invalid key in 'logit_bias': {name}. This model's tokens are 0 to {most - 1}."
            raise InvalidRequest(text, param=f"logit_bias.{name}", code="invalid_value")


def _limits(request: ChatRequest) -> Document:
    fields: Document = {}
    if (cap := normalize.max_tokens(request)) is not None:
        fields["max_tokens"] = min(cap, INT32_MAX)
    if stop := normalize.stop(request):
        fields["stop"] = stop
    if bias := given(request.logit_bias):
        fields["logit_bias"] = [[_token(name), amount] for name, amount in bias.items()]
    return fields


def _token(name: str) -> int:
    return min(int(name.lstrip("0")[:11] or "0"), INT32_MAX)  # past any vocabulary


def _form(plan: ToolPlan | None, answer: BoundAnswer | None) -> Document:
    """What the engine is free to write. Without a plan there are no tools: in the prompt, they would be called."""
    if plan is None:
        if answer is None:
            return {}
        return schema.constraint(answer.schema, param="response_format", name=answer.name)
    if not plan.in_json:
        return {"tools": plan.offered, "tool_choice": "auto", "parallel_tool_calls": plan.parallel}
    instead = None if plan.forced or answer is None else answer.schema
    if plan.grammars:
        bound = grammars.constraint(tools.grammar_of_one(plan, instead))
    else:
        bound = schema.constraint(tools.schema_of_one(plan.offered, instead), param="tools")
    return {"tools": plan.offered, "tool_choice": "none", **bound}


def _bound_answer(request: ChatRequest) -> BoundAnswer | None:
    wanted = given(request.response_format)
    if isinstance(wanted, JsonSchemaFormat) and (described := given(wanted.json_schema.schema)) is not None:
        wrong = schema.check(described)
        if wrong is not None:
            text = f"Invalid schema for response_format '{wanted.json_schema.name}': {wrong}"
            raise InvalidRequest(text, param="response_format")
        spelled = json.dumps(schema.told(described), separators=(",", ":"), ensure_ascii=False)
        return BoundAnswer(schema=described, sentence=SCHEMA_SENTENCE + spelled, name=wanted.json_schema.name)
    if isinstance(wanted, JsonSchemaFormat | JsonObjectFormat):
        return BoundAnswer(schema=schema.ANY_OBJECT, sentence=OBJECT_SENTENCE)
    return None
