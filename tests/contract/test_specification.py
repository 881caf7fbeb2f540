"""Our structs and views against the official specification, where a copy of it lies beside the checkout.

Two things are done to the document first: ``nullable: true`` is spelled out (its 3.1 validators ignore
the old keyword), and the patches of decisions 3 and 4 are applied, where the live API itself departs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from hansard.contract import Document, messages, request, response, stored
from hansard.core import explode, paging, validate, views

SPECIFICATION = Path(__file__).parents[3] / "shared" / "contract" / "openapi-chat.json"

pytestmark = pytest.mark.skipif(not SPECIFICATION.exists(), reason="no copy of the official specification here")


def with_nulls(node: Any) -> Any:
    if isinstance(node, list):
        return [with_nulls(item) for item in node]
    if not isinstance(node, dict):
        return node
    spelled = {key: with_nulls(item) for key, item in node.items() if key != "nullable"}
    return {"anyOf": [spelled, {"type": "null"}]} if node.get("nullable") is True else spelled


@pytest.fixture(scope="module")
def official() -> Document:
    document: Document = json.loads(SPECIFICATION.read_text())
    return document


@pytest.fixture(scope="module")
def schemas(official: Document) -> Document:
    found: Document = with_nulls(official["components"]["schemas"])
    return found


@pytest.fixture(scope="module")
def patched(schemas: Document) -> Document:
    """Decision 3: unused calls are null in stored choices. Decision 4: input messages have real roles."""
    message = json.loads(json.dumps(schemas["ChatCompletionResponseMessage"]))
    for key in ("tool_calls", "function_call"):
        message["properties"][key] = {"anyOf": [message["properties"][key], {"type": "null"}]}
    message["properties"]["role"] = {"enum": ["developer", "system", "user", "assistant", "tool", "function"]}
    return {**schemas, "ChatCompletionResponseMessage": message}


def problems(schemas: Document, name: str, document: Any) -> list[str]:
    validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def bodies(official: Document) -> list[tuple[str, bytes]]:
    """The body of every curl example."""
    found = []
    for path, operations in official["paths"].items():
        for method, operation in operations.items():
            examples = operation["x-oaiMeta"]["examples"]
            for example in examples if isinstance(examples, list) else [examples]:
                _, _, body = example["request"].get("curl", "").partition("-d '")
                if body:
                    found.append((f"{method} {path}", body.rpartition("'")[0].encode()))
    return found


def test_every_official_create_example_is_accepted(official: Document) -> None:
    creates = [body for operation, body in bodies(official) if operation == "post /chat/completions"]
    assert len(creates) == 5
    for body in creates:
        validate.parse_create(body, takes_unknown=lambda _: False)


def test_every_official_update_example_is_accepted(official: Document) -> None:
    [body] = [body for operation, body in bodies(official) if operation == "post /chat/completions/{completion_id}"]
    assert validate.parse_update(body) == {"foo": "bar"}


def properties(schemas: Document, schema: Document) -> Document:
    """The properties of an object schema, those of its ``allOf`` branches and references included."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    found: Document = dict(schema.get("properties", {}))
    for branch in schema.get("allOf", []):
        found |= properties(schemas, branch)
    return found


def test_all_fields_of_a_request_are_known(schemas: Document) -> None:
    assert set(properties(schemas, schemas["CreateChatCompletionRequest"])) == set(
        request.ChatRequest.__struct_fields__
    )


# Fields of ours that the specification's part does not have, each with where it comes from.
BEYOND: dict[type[msgspec.Struct], set[str]] = {
    messages.CacheBreakpoint: {"ttl"},  # the newer Python types
    # Replies that clients send back whole.
    messages.AssistantMessage: {"annotations", "reasoning_content"},
    response.ReplyMessage: {"reasoning_content"},
}

STRUCTS: list[tuple[str, type[msgspec.Struct]]] = [
    ("ChatCompletionRequestDeveloperMessage", messages.DeveloperMessage),
    ("ChatCompletionRequestSystemMessage", messages.SystemMessage),
    ("ChatCompletionRequestUserMessage", messages.UserMessage),
    ("ChatCompletionRequestAssistantMessage", messages.AssistantMessage),
    ("ChatCompletionRequestToolMessage", messages.ToolMessage),
    ("ChatCompletionRequestFunctionMessage", messages.FunctionMessage),
    ("ChatCompletionRequestMessageContentPartText", messages.TextPart),
    ("ChatCompletionRequestMessageContentPartImage", messages.ImagePart),
    ("ChatCompletionRequestMessageContentPartAudio", messages.AudioPart),
    ("ChatCompletionRequestMessageContentPartFile", messages.FilePart),
    ("ChatCompletionRequestMessageContentPartRefusal", messages.RefusalPart),
    ("ChatCompletionMessageToolCall", messages.FunctionToolCall),
    ("ChatCompletionMessageCustomToolCall", messages.CustomToolCall),
    ("PromptCacheBreakpointParam", messages.CacheBreakpoint),
    ("ChatCompletionTool", request.FunctionTool),
    ("FunctionObject", request.FunctionDefinition),
    ("CustomToolChatCompletions", request.CustomTool),
    ("ChatCompletionNamedToolChoice", request.FunctionChoice),
    ("ChatCompletionNamedToolChoiceCustom", request.CustomChoice),
    ("ChatCompletionAllowedToolsChoice", request.AllowedToolsChoice),
    ("ChatCompletionAllowedTools", request.AllowedTools),
    ("ChatCompletionFunctions", request.LegacyFunction),
    ("ChatCompletionFunctionCallOption", request.ToolName),
    ("ResponseFormatText", request.TextFormat),
    ("ResponseFormatJsonObject", request.JsonObjectFormat),
    ("ResponseFormatJsonSchema", request.JsonSchemaFormat),
    ("PredictionContent", request.Prediction),
    ("WebSearchLocation", request.ApproximateLocation),
    ("PromptCacheOptionsParam", request.PromptCacheOptions),
    ("ModerationParam", request.Moderation),
    ("ModerationPolicyParam", request.ModerationPolicy),
    ("ModerationConfigParam", request.ModerationMode),
    ("ChatCompletionResponseMessage", response.ReplyMessage),
    ("ChatCompletionTokenLogprob", response.TokenLogprob),
    ("CompletionUsage", response.Usage),
    ("ChatCompletionModeration", response.ModerationReport),
    ("ChatCompletionMessageToolCallChunk", response.ToolCallPiece),
    ("ChatCompletionDeleted", stored.Deleted),
    ("ChatCompletionList", stored.CompletionList),
    ("ChatCompletionMessageList", stored.MessageList),
    ("Error", stored.Error),
    ("ErrorResponse", stored.ErrorEnvelope),
]


@pytest.mark.parametrize(("name", "struct"), STRUCTS, ids=[name for name, _ in STRUCTS])
def test_structs_have_the_official_fields(schemas: Document, name: str, struct: type[msgspec.Struct]) -> None:
    ours = set(struct.__struct_fields__) - BEYOND.get(struct, set())
    if struct.__struct_config__.tag_field is not None:
        ours.add(struct.__struct_config__.tag_field)
    theirs = set(schemas[name].get("properties", {}))
    # Custom calls are ours alone in a stream: the specification types only functions there.
    assert ours - {"custom"} == theirs - {"custom"}


@pytest.mark.parametrize(("name", "struct"), STRUCTS, ids=[name for name, _ in STRUCTS])
def test_structs_require_the_official_fields(schemas: Document, name: str, struct: type[msgspec.Struct]) -> None:
    ours = {field.name for field in msgspec.structs.fields(struct) if field.required}
    if struct.__struct_config__.tag_field is not None:
        ours.add(struct.__struct_config__.tag_field)
    theirs = set(schemas[name].get("required", []))
    more = {response.ReplyMessage: {"annotations"}, stored.MessageList: set(), stored.CompletionList: set()}
    assert ours - more.get(struct, set()) == theirs


ENUMS = [
    ("ReasoningEffort", request.Effort),
    ("ServiceTier", request.ServiceTier),
]


@pytest.mark.parametrize(("name", "literal"), ENUMS)
def test_enums(schemas: Document, name: str, literal: Any) -> None:
    [member] = [member for member in schemas[name]["anyOf"] if "enum" in member]
    assert list(get_args(literal)) == member["enum"]


def test_finish_reasons(schemas: Document) -> None:
    choice = schemas["CreateChatCompletionResponse"]["properties"]["choices"]["items"]
    assert list(get_args(response.FinishReason)) == choice["properties"]["finish_reason"]["enum"]


def test_replies(schemas: Document, reply: Document) -> None:
    assert problems(schemas, "CreateChatCompletionResponse", reply) == []


def test_chunks(schemas: Document, reply: Document) -> None:
    """The specification types only functions in streamed calls, so custom ones are where it must object."""
    found = [
        problem
        for chunk in explode.explode(reply)
        for problem in problems(schemas, "CreateChatCompletionStreamResponse", chunk)
    ]
    assert bool(found) is ("custom" in str(reply))


def stored_object(asked: Document, reply: Document) -> Document:
    return views.stored_completion(request=asked, reply=reply, metadata={"a": "b"}, request_id="req_1", seed=7)


def test_stored_objects(patched: Document, asked: Document, reply: Document) -> None:
    shown = stored_object(asked, reply)
    assert problems(patched, "CreateChatCompletionResponse", shown) == []
    assert problems(patched, "ChatCompletionList", paging.page([shown], 1)) == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_stored_objects_have_the_official_keys_in_order(
    official: Document, asked: Document, reply: Document, method: str
) -> None:
    operation = official["paths"]["/chat/completions/{completion_id}"][method]
    example = json.loads(operation["x-oaiMeta"]["examples"]["response"])
    assert list(stored_object(asked, reply)) == list(example)


def test_message_pages(patched: Document, asked: Document) -> None:
    shown = paging.page(views.stored_messages("chatcmpl-1", asked), 20)
    assert problems(patched, "ChatCompletionMessageList", shown) == []
