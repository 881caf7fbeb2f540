"""Bodies that break the contract, each with the API's literal answer, and bodies that keep it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansard.contract import Document
from hansard.contract.request import NOT_NULLABLE, ChatRequest
from hansard.core import shapes, validate
from hansard.core.rules import metadata_needs_store
from hansard.core.validate import beside_body, parse_create, parse_update
from hansard.errors import InvalidRequest
from tests.core.bodies import USER, body, call, function, no_model, refusal, schema

BAD_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


def test_what_is_received() -> None:
    sent = b'{"messages":[{"content":"h\\u00e9", "role":"user"}],"temperature":1.50,"model":"m","new_key":[1e2]}'

    received = parse_create(sent)

    assert received.request.model == "m"
    assert received.request.temperature == 1.5
    assert received.body == sent
    assert list(received.document) == ["messages", "temperature", "model", "new_key"]
    assert bytes(received.document["temperature"]) == b"1.50"
    assert bytes(received.document["messages"]) == b'[{"content":"h\\u00e9", "role":"user"}]'


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"model":NaN}',
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"unknown":"\xff"}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800 alone"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"unknown":"\\ud800 alone"}',
        b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"n":1e999,"unknown":Infinity}',
        '{"model":"m"}'.encode("utf-16"),
    ],
)
def test_bad_json(sent: bytes) -> None:
    assert refusal(sent) == (BAD_JSON, None, None)


HUGE = "9" * 5_000
OUT_OF_RANGE = [
    (
        f'"n":{HUGE}',
        f"Invalid 'n': integer above maximum value. Expected a value <= 128, but got {'9' * 200} instead.",
        "n",
        "integer_above_max_value",
    ),
    (
        f'"max_tokens":-{HUGE}',
        f"Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got -{'9' * 199} instead.",
        "max_tokens",
        "integer_below_min_value",
    ),
    (
        f'"seed":{HUGE}',
        "Invalid 'seed': integer above maximum value. "
        f"Expected a value <= 9223372036854776000, but got {'9' * 200} instead.",
        "seed",
        "integer_above_max_value",
    ),
    (
        '"temperature":1e999',
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 1e999 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    ('"n":1e999', "Invalid type for 'n': expected an integer, but got a decimal instead.", "n", "invalid_type"),
    (
        f'"user":{HUGE}',
        "Invalid type for 'user': expected a string, but got an integer instead.",
        "user",
        "invalid_type",
    ),
    (
        f'"logit_bias":{{"5":{HUGE}}}',
        f"Invalid 'logit_bias.5': integer above maximum value. Expected a value <= 100, but got {'9' * 200} instead.",
        "logit_bias.5",
        "integer_above_max_value",
    ),
    (
        '"tools":[{"type":"function","function":{"name":"f","parameters":{"allOf":[{"minimum":1e999}]}}}]',
        "Invalid 'tools[0].function.parameters.allOf[0].minimum': number out of range.",
        "tools[0].function.parameters.allOf[0].minimum",
        "invalid_value",
    ),
    (f'"unknown":{HUGE}', "Unknown parameter: 'unknown'.", "unknown", "unknown_parameter"),
]


@pytest.mark.parametrize(("field", "message", "param", "code"), OUT_OF_RANGE)
def test_numbers_out_of_range(field: str, message: str, param: str, code: str) -> None:
    """JSON all the same, so the mistake is the field's."""
    sent = f'{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],{field}}}'

    assert refusal(sent.encode()) == (message, param, code)


def test_numbers_out_of_range_pass_to_an_engine_that_takes_the_unknown() -> None:
    sent = f'{{"model":"m","messages":[{{"role":"user","content":"Hi","at":1e999}}],"unknown":{HUGE}}}'

    received = parse_create(sent.encode())

    assert bytes(received.document["unknown"]) == HUGE.encode()
    assert bytes(received.document["messages"]) == b'[{"role":"user","content":"Hi","at":1e999}]'


@pytest.mark.parametrize("levels", [200, 900, 100_000])
def test_deep_json(levels: int) -> None:
    nested = b"[" * levels + b"]" * levels
    message, _, _ = refusal(b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"unknown":' + nested + b"}")
    assert message == "The request body is nested too deeply. Expected at most 128 levels."


def test_what_only_the_fast_check_refuses_is_a_400_all_the_same() -> None:
    """No such body is known; an error of the conversion alone still names the place."""
    refused = validate._generic(msgspec.ValidationError("Expected `int` - at `$.messages[0].n`"))
    assert (refused.status, refused.message, refused.param) == (
        400,
        "Invalid request: Expected `int`.",
        "messages[0].n",
    )


@pytest.mark.parametrize("model", [b"", b'"model":null,', b'"model":"",'])
def test_no_model(model: bytes) -> None:
    assert refusal(b"{" + model + b'"messages":[]}') == ("you must provide a model parameter", None, None)


# One valid body that holds every field of the contract, to take apart.
FULL: Document = {
    "model": "gpt-x",
    "messages": [
        {
            "role": "developer",
            "content": [
                {
                    "type": "text",
                    "text": "Answer in JSON.",
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"},
                }
            ],
        },
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
                {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("a"), {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "No."}],
            "refusal": None,
            "audio": {"id": "x"},
        },
        {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
        {"role": "function", "name": "old", "content": None},
    ],
    "store": True,
    "metadata": {"a": "b"},
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "max_completion_tokens": 100,
    "n": 2,
    "stop": ["a", "b"],
    "temperature": 0,
    "top_p": 0.5,
    "presence_penalty": -2,
    "frequency_penalty": 2.0,
    "seed": 7,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "top_logprobs": 20,
    "response_format": schema(
        {"type": "object", "properties": {}, "additionalProperties": False}, strict=True, description="d"
    ),
    "tools": [
        function("f", description="d", parameters={"type": "object"}, strict=False),
        {
            "type": "custom",
            "custom": {
                "name": "g",
                "description": "d",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "s"}},
            },
        },
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    "parallel_tool_calls": False,
    "functions": [{"name": "old", "description": "d", "parameters": {}}],
    "function_call": {"name": "old"},
    "reasoning_effort": "low",
    "verbosity": "high",
    "modalities": ["text", "audio"],
    "audio": {"voice": {"id": "v"}, "format": "mp3"},
    "prediction": {"type": "content", "content": [{"type": "text", "text": "x"}]},
    "web_search_options": {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Ulm"}},
    },
    "moderation": {"model": "x", "policy": {"input": {"mode": "score"}, "output": None}},
    "service_tier": "fast",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "safety_identifier": "s" * 128,
    "user": "u",
}


def test_every_field_at_once_is_accepted_and_known() -> None:
    parse_create(msgspec.json.encode(FULL), takes_unknown=no_model)
    # The other token cap cannot stand beside this one.
    assert set(FULL) | {"max_tokens"} == set(ChatRequest.__struct_fields__)
    assert len(ChatRequest.__struct_fields__) == 37


@pytest.mark.parametrize("field", [name for name in ChatRequest.__struct_fields__ if name not in ("model", "messages")])
def test_null_means_absent(field: str) -> None:
    """Decision 30."""
    assert getattr(parse_create(body(**{field: None})).request, field) is None


@pytest.mark.parametrize("field", sorted(NOT_NULLABLE))
def test_null_is_refused_where_the_setting_says_so(field: str) -> None:
    """Decision 30."""
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body(**{field: None}), refuses_nulls=True)
    assert (caught.value.param, caught.value.code) == (field, "invalid_type")
    assert caught.value.message.endswith(", but got null instead.")


def test_null_is_never_refused_where_the_official_document_has_it() -> None:
    nullable = set(ChatRequest.__struct_fields__) - NOT_NULLABLE - {"model", "messages"}
    received = parse_create(body(**dict.fromkeys(nullable)), refuses_nulls=True)
    assert {name for name, value in received.document.items() if bytes(value) == b"null"} == nullable


def test_null_has_the_recorded_words() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body(tools=[function()], parallel_tool_calls=None), refuses_nulls=True)
    assert caught.value.message == ("Invalid type for 'parallel_tool_calls': expected a boolean, but got null instead.")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"bogus": 1, "temperature": "warm"}, "bogus"),
        ({"temperature": "warm", "bogus": 1}, "temperature"),
        ({"tools": [function(bogus=1)], "n": 0}, "tools[0].function.bogus"),
        # Two rules over several fields, and one of each kind.
        ({"top_logprobs": 1, "stream_options": {}}, "top_logprobs"),
        ({"stream_options": {}, "top_logprobs": 1}, "stream_options"),
        ({"stream_options": {}, "bogus": 1}, "stream_options"),
        ({"bogus": 1, "stream_options": {}}, "bogus"),
        ({"stream_options": {}, "temperature": 9}, "stream_options"),
        ({"parallel_tool_calls": True, "tool_choice": "auto"}, "parallel_tool_calls"),
        (
            {"tools": [function(strict=True)], "response_format": {"type": "json_schema"}},
            "tools[0].function.parameters",
        ),
        # A rule is not broken by a field that could not be read.
        ({"tool_choice": "auto", "top_p": 5, "tools": [function()]}, "top_p"),
        ({"metadata": {"a": "b"}, "stream_options": 5}, "metadata"),
    ],
)
def test_of_several_mistakes_the_first_in_the_document_counts(fields: Document, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body(**fields), takes_unknown=no_model, also=[metadata_needs_store])
    assert caught.value.param == param


MESSAGES: list[tuple[list[Document], str]] = [
    (
        [{"role": "tool", "tool_call_id": "x", "content": "x"}, {"role": "assistant", "content": None}],
        "messages.[0].role",
    ),
    ([{"role": "assistant", "tool_calls": [call("x")]}, USER, {"role": "assistant", "content": None}], "messages"),
    (
        [{"role": "assistant", "content": None}, {"role": "tool", "tool_call_id": "x", "content": "x"}],
        "messages.[0].content",
    ),
]


@pytest.mark.parametrize(("messages", "param"), MESSAGES)
def test_of_several_mistakes_the_first_message_counts(messages: list[Document], param: str) -> None:
    assert refusal(body(messages=messages))[1] == param


DIALECT: list[Document] = [
    {"messages": [{"role": "wizard", "spell": "x"}, USER]},
    {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]},
    {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, USER]},
    {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
    {"response_format": {"type": "regex", "pattern": "a+"}},
]


@pytest.mark.parametrize("fields", DIALECT)
def test_roles_and_types_beyond_the_contract_are_for_an_open_engine_to_judge(fields: Document) -> None:
    sent = body(store=True, metadata={"a": "b"}, n=2, **fields)

    received = parse_create(sent)

    assert received.body == sent
    assert {name: json.loads(bytes(received.document[name])) for name in fields} == fields
    assert (received.request.store, received.request.metadata, received.request.n) == (True, {"a": "b"}, 2)
    with pytest.raises(InvalidRequest):
        parse_create(sent, takes_unknown=no_model)


def test_what_stands_beside_a_foreign_role_is_still_checked() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body(messages=[{"role": "wizard"}, USER], temperature=9))
    assert caught.value.param == "temperature"


def test_one_duplicate_key_counts_the_last() -> None:
    received = parse_create(b'{"model":"a","model":"b","messages":[{"role":"user","content":"x"}],"n":"x","n":2}')
    assert (received.request.model, received.request.n) == ("b", 2)
    assert bytes(received.document["model"]) == b'"b"'


@pytest.mark.parametrize(
    ("sent", "metadata"),
    [(b'{"metadata":{"a":"b"}}', {"a": "b"}), (b'{"metadata":{}}', {}), (b'{"metadata":null}', {})],
)
def test_update(sent: bytes, metadata: dict[str, str]) -> None:
    assert parse_update(sent) == metadata


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        (b"{}", "metadata", "missing_required_parameter"),
        (b'{"metadata":{},"model":"m"}', "model", "unknown_parameter"),
        (b'{"metadata":[]}', "metadata", "invalid_type"),
        (b'{"metadata":{"k":1}}', "metadata.k", "invalid_type"),
        (b'{"metadata":{"k":null}}', "metadata.k", "invalid_type"),
        (b"[]", None, None),
        (b"", None, None),
    ],
)
def test_bad_update(sent: bytes, param: str | None, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_update(sent)
    assert (caught.value.param, caught.value.code) == (param, code)


@given(st.binary())
@example(b'{"model":"m","messages":[{"role":"user","content":"x"}],"seed":' + b"1" * 4000 + b"}")
def test_any_bytes_are_a_request_or_refused(sent: bytes) -> None:
    """What is one is a JSON object to another parser as well."""
    for parse in (parse_create, parse_update):
        with suppress(InvalidRequest):
            parse(sent)
            assert isinstance(json.loads(sent, parse_int=str), dict)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "text", "function", "user", "a" * 600]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "role", "name", "x"]), inner),
    max_leaves=4,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, by the steps that lead to it."""
    steps = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [place for step, item in steps for place in ((*path, step), *places(item, (*path, step)))]


PLACES = places(FULL)


@st.composite
def mutated(draw: st.DrawFn) -> Document:
    """The full body with one or two places changed, emptied or gone."""
    document = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 2))):
        *steps, last = draw(st.sampled_from(PLACES))
        with suppress(KeyError, IndexError, TypeError):
            holder: Any = document
            for step in steps:
                holder = holder[step]
            match draw(st.sampled_from(["set", "delete", "add", "repeat"])):
                case "set":
                    holder[last] = draw(VALUES)
                case "delete":
                    del holder[last]
                case "add":
                    holder[last]["surplus"] = draw(VALUES)
                case "repeat":
                    holder[last] *= draw(st.sampled_from([0, 2, 200]))
    return document


def words_of(check: Callable[[], object]) -> str | None:
    try:
        check()
    except InvalidRequest as error:
        return error.message
    return None


@given(mutated())
def test_fast_and_slow_check_agree(document: Document) -> None:
    """The typed conversion says yes where the walk that words the errors finds nothing, and no where it does."""
    sent = msgspec.json.decode(msgspec.json.encode(document))
    shape = shapes.shape(ChatRequest)
    try:
        msgspec.convert(sent, ChatRequest)
    except msgspec.ValidationError:
        assert words_of(lambda: shape.check(sent, "", closed=True)) is not None
    else:
        slow = words_of(lambda: shape.check(sent, ""))
        assert slow is None or validate._lacks_type(sent)


@given(mutated())
def test_any_mutation_is_a_request_or_refused(document: Document) -> None:
    with suppress(InvalidRequest):
        received = parse_create(msgspec.json.encode(document), takes_unknown=no_model)
        assert received.document.keys() == document.keys() <= set(ChatRequest.__struct_fields__)


# Metadata in a header


def beside(header: str | None, **fields: object) -> dict[str, str]:
    return beside_body(header, parse_create(body(**fields)).request)


def test_metadata_in_a_header_is_a_json_object_with_the_fields_limits() -> None:
    assert beside(None) == {}
    assert beside('{"a": "b"}') == {"a": "b"}
    assert beside('{"a": "é"}'.encode().decode("latin-1")) == {"a": "é"}


@pytest.mark.parametrize(
    ("header", "param", "code"),
    [
        ("{", "X-Hansard-Metadata", None),
        ("\xff", "X-Hansard-Metadata", None),
        ("[]", "X-Hansard-Metadata", "invalid_type"),
        ('{"a": 1}', "X-Hansard-Metadata.a", "invalid_type"),
        (json.dumps({"a": "x" * 513}), "X-Hansard-Metadata.a", "string_above_max_length"),
        (json.dumps({str(n): "x" for n in range(17)}), "X-Hansard-Metadata", "object_above_max_properties"),
    ],
)
def test_metadata_in_a_header_is_checked_like_the_field(header: str, param: str, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        beside(header)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_header_and_body_together_are_held_to_the_limit() -> None:
    half = {str(n): "x" for n in range(9)}
    with pytest.raises(InvalidRequest) as refused:
        beside(json.dumps(half), store=True, metadata={f"other {n}": "x" for n in range(9)})
    assert refused.value.param == "metadata"
    assert beside(json.dumps(half), store=True, metadata=half) == half


PART = {"type": "text", "text": "x"}
MANY: list[tuple[str, list[Document], bool]] = [
    ("messages", [USER] * 10_000, True),
    ("one message more", [USER] * 10_001, False),
    ("parts", [{"role": "user", "content": [PART] * 5_000}] * 2, True),
    ("one part more", [{"role": "user", "content": [PART] * 5_000}] * 2 + [{"role": "user", "content": [PART]}], False),
    # Not one of these is right, and none of them is looked at.
    ("calls", [{"role": "assistant", "tool_calls": [{}] * 10_001}], False),
]


@pytest.mark.parametrize(("messages", "is_taken"), [row[1:] for row in MANY], ids=[row[0] for row in MANY])
def test_messages_and_their_parts_are_counted_first(messages: list[Document], is_taken: bool) -> None:
    sent = body(messages=messages)
    if is_taken:
        assert parse_create(sent).body == sent
        return
    with pytest.raises(InvalidRequest) as caught:
        parse_create(sent)
    assert (caught.value.param, caught.value.code) == ("messages", "array_above_max_length")
