"""Every schema that the official document's chat and model operations reach, against what we publish of ours.

Our side is ``/openapi.json``, made from the structs, so structs and publication are compared at once. What differs
stands in ``DELIBERATE`` with its reason; a row that nothing needs any more fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from hansard.api import openapi
from hansard.contract import Document
from tests import official
from tests.contract.facts import Difference, Facts, differences

pytestmark = official.needed

NOT_SERVED = {"deleteModel": "there is nothing to delete: models are what the server was started with"}

STORED = "[glu]*ChatCompletion*:application/json"  # get, list, update

# Place, what differs there, why. ``here`` is ours, ``there`` is theirs.
DELIBERATE: list[tuple[str, str, str]] = [
    ("createChatCompletion:body/*", "null only here", "decision 30: old clients send null for what was left out"),
    ("listChatCompletions:query/metadata", "null only there", "a query string has no null"),
    ("*:query/limit", "* only here", "decision 8: 1 to 100"),
    ("listChatCompletions:query/metadata", "maxProperties only here", "no completion has more"),
    # Bounds that the document gives in its prose.
    ("*:body/metadata", "maxProperties only here", "prose: 16 pairs"),
    ("*:body/metadata/any", "maxLength only here", "prose: 512 characters"),
    ("*/name", "maxLength only here", "prose: names have at most 64 characters"),
    ("*/name", "pattern only here", "prose: letters, digits, underscores and dashes"),
    ("createChatCompletion:body/logit_bias/any", "* only here", "prose: -100 to 100"),
    # Bounds that the live API has.
    ("createChatCompletion:body/tools", "maxItems only here", "older text of the document: 128"),
    ("createChatCompletion:body/max_*tokens", "minimum only here", "public reports: 1"),
    ("createChatCompletion:body/messages/each/<assistant>/tool_calls", "m* only here", "public reports: 1 to 128"),
    ("createChatCompletion:body/seed", "m* only there", "an int64's bounds, rounded past it: a rule checks them"),
    # What newer official clients send.
    ("createChatCompletion:body/safety_identifier", "maxLength differs", "the newer Python types: 128"),
    ("*/prompt_cache_breakpoint/ttl", "there only here", "the newer Python types"),
    ("*/image_url/detail", "enum differs", "the newer Python types: original"),
    ("*/delta/audio", "there only here", "the newer Python types, and recorded"),
    # Replies that clients send back whole.
    ("*/<assistant>/annotations", "there only here", "a reply has it, and clients append replies"),
    ("*/<assistant>/audio/*", "there only here", "a reply has it, and clients append replies"),
    ("*/reasoning_content", "there only here", "what reasoning models behind other servers think"),
    # The request is read more closely than described.
    ("*/allowed_tools/tools/each*", "*", "prose: references to functions and custom tools"),
    ("updateChatCompletion:body", "closed only here", "decision 15: other keys are unknown parameters"),
    # Replies.
    ("*/annotations", "required only here", "recorded: always there"),
    ("*/logprobs", "required only here", "recorded: null when they were not asked for"),
    ("*/delta/annotations", "there only here", "what a reply has must fit into a stream"),
    ("*/delta/role", "enum differs", "only assistants answer"),
    ("*/delta/tool_calls/each/custom", "there only here", "custom tools can be called in a stream as well"),
    ("*/delta/tool_calls/each/type", "enum differs", "custom tools can be called in a stream as well"),
    ("createChatCompletion:*/metadata", "there only there", "kept for stored completions; create need not echo it"),
    ("*/audio", "null only there", "recorded: there when used, never null"),
    ("*/service_tier", "null only there", "recorded: there when known, never null"),
    ("createChatCompletion:*/moderation", "null only there", "there when asked for, never null"),
    # Stored completions have exactly the recorded 19 keys.
    (f"{STORED}*/*", "required only here", "recorded: always there"),
    (f"{STORED}*/moderation", "there only there", "recorded: not among the 19 keys"),
    (f"{STORED}*/metadata", "null only there", "recorded: an empty object where there is none"),
    (f"{STORED}*/service_tier", "enum only there", "what an upstream says is kept as it is"),
    (f"{STORED}*/input_user", "there only here", "recorded"),
    (f"{STORED}*/request_id", "there only here", "recorded"),
    (f"{STORED}*/*_penalty", "there only here", "recorded"),
    (f"{STORED}*/response_format", "there only here", "recorded"),
    (f"{STORED}*/seed", "there only here", "recorded"),
    (f"{STORED}*/temperature", "there only here", "recorded"),
    (f"{STORED}*/tool_choice", "there only here", "recorded"),
    (f"{STORED}*/tools", "there only here", "recorded"),
    (f"{STORED}*/top_p", "there only here", "recorded"),
    (f"{STORED}*", "null only here", "decision 3, and recorded: null where there is none"),
    ("getChatCompletionMessages:*/role", "enum differs", "decision 4: the roles that they have"),
    ("getChatCompletionMessages:*/content_parts/each*", "*", "decision 27: all kinds of parts"),
    ("getChatCompletionMessages:*/name", "there only here", "recorded"),
    ("getChatCompletionMessages:*/audio/*", "there only there", "an input message refers to audio by its id alone"),
    ("getChatCompletionMessages:*/tool_call_id", "there only here", "decision 25"),
    ("*:application/json/*_id", "null only here", "decision 5: null on an empty page"),
    # Models.
    ("*Model*/description", "there only here", "says that the built-in model is a demonstration"),
    ("*Model*/shutdown_date", "there only there", "no model here has an end that we know of"),
]


def operations(document: Document) -> Iterator[tuple[str, str, str]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and operation["operationId"] not in NOT_SERVED:
                yield path, method, operation["operationId"]


def schemas(document: Document, path: str, method: str) -> Iterator[tuple[str, Document]]:
    """What one operation takes and gives, each by its place."""
    operation = document["paths"][path][method]
    name = operation["operationId"]
    queries = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    if queries:
        properties = {parameter["name"]: parameter["schema"] for parameter in queries}
        yield f"{name}:query", {"type": "object", "properties": properties}
    if "requestBody" in operation:
        yield f"{name}:body", operation["requestBody"]["content"]["application/json"]["schema"]
    for status in ("200", "429"):
        reply = operation["responses"].get(status, {})
        if "$ref" in reply:
            reply = document["components"]["responses"][reply["$ref"].rpartition("/")[2]]
        for kind, content in reply.get("content", {}).items():
            yield f"{name}:{kind if status == '200' else status}", content["schema"]


@pytest.fixture(scope="module")
def found() -> list[Difference]:
    theirs, ours = official.document(), openapi.document(version="1", default_order="asc")
    tables = []
    for document in (theirs, ours):
        facts, table = Facts(document["components"]["schemas"]), dict[tuple[str, str], object]()
        for path, method, _ in operations(theirs):
            for place, schema in schemas(document, path, method):
                if (
                    document is theirs
                    or not place.endswith(":429")
                    or "429" in theirs["paths"][path][method]["responses"]
                ):
                    table |= facts.of(schema, place)
        tables.append(table)
    return differences(*tables)


def explains(row: tuple[str, str, str], difference: Difference) -> bool:
    place, what, _ = row
    return fnmatchcase(difference.place, place) and fnmatchcase(difference.what, what)


def test_every_official_operation_is_described() -> None:
    ours = openapi.document(version="1", default_order="asc")
    described = {(path, method, name) for path, method, name in operations(ours)}
    assert set(operations(official.document())) <= described


def test_every_schema_is_walked() -> None:
    """All but what only the operations reach that are not served."""
    document = official.document()
    facts = Facts(document["components"]["schemas"])
    for path, method, _ in operations(document):
        for place, schema in schemas(document, path, method):
            facts.of(schema, place)
    assert set(document["components"]["schemas"]) - facts.visited == {"DeleteModelResponse"}


def test_every_difference_has_its_reason(found: list[Difference]) -> None:
    assert [difference for difference in found if not any(explains(row, difference) for row in DELIBERATE)] == []


@pytest.mark.parametrize("row", DELIBERATE, ids=lambda row: f"{row[0]} {row[1]}")
def test_every_row_is_needed(found: list[Difference], row: tuple[str, str, str]) -> None:
    assert any(explains(row, difference) for difference in found)
