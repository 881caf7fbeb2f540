"""api/openapi.py: the document is valid, and says of every address what the table of addresses says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from hansard.api import openapi
from hansard.contract import Document
from hansard.core.policies import Limits
from tests.api.test_limits import Site as Limited
from tests.api.test_operations import Site

pytestmark = pytest.mark.anyio

METHODS = ("get", "post", "delete", "put", "patch")


@pytest.fixture(scope="module")
def document() -> Document:
    described: Document = json.loads(openapi.encoded(version="1.2.3", default_order="asc"))
    return described


def test_it_is_openapi(document: Document) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert document["openapi"].startswith("3.1.")


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/openapi.json"])
async def test_it_is_served_without_a_key(path: str) -> None:
    reply = await Site(key="sk-right").client.get(path)

    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json["info"]["version"] == "1.2.3"


async def test_every_operation_is_served_and_every_method_described(document: Document) -> None:
    """What is not described is refused, and the refusal names what is."""
    for path, described in document["paths"].items():
        address = "/v1" + re.sub(r"\{\w+\}", "x", path)
        methods = [method.upper() for method in METHODS if method in described]
        refused = await Site().client.request("PUT", address)
        assert refused.headers["allow"].split(", ") == [*methods, *(["HEAD"] if "GET" in methods else [])], path


async def test_who_needs_a_key_is_described(document: Document) -> None:
    for path, described in document["paths"].items():
        for method in METHODS:
            if method in described:
                reply = await Site(key="sk-right").client.request(method.upper(), "/v1" + path, b"{}")
                assert (reply.status == 401) == (described[method].get("security", "asked") == "asked"), path


def test_nobody_pays_for_it_who_does_not_ask() -> None:
    script = "import sys, hansard.app; sys.exit('hansard.api.openapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("default_order", ["asc", "desc"])
def test_the_order_of_the_list_is_the_one_set(default_order: Any) -> None:
    described = openapi.document(version="1", default_order=default_order)
    parameters = {name["name"]: name for name in described["paths"]["/chat/completions"]["get"]["parameters"]}
    assert parameters["order"]["schema"]["default"] == default_order


def validator(document: Document, name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def headers_of(document: Document, status: int) -> dict[str, Any]:
    """The headers that a create's reply of that status is described with, in lower case."""
    response = document["paths"]["/chat/completions"]["post"]["responses"][str(status)]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found = {}
    for name, header in response["headers"].items():
        component = header.get("$ref", "").rpartition("/")[2]
        found[name.lower()] = document["components"]["headers"][component] if component else header
    return found


@pytest.mark.parametrize(
    ("limits", "fields", "status"),
    [
        (Limits(requests_per_minute=9, tokens_per_minute=9000), {}, 200),
        (Limits(requests_per_minute=1), {}, 429),
        (Limits(tokens_per_minute=1), {}, 429),
        (Limits(tokens_per_month=1), {}, 429),
        (Limits(requests_per_minute=9), {"model": "other"}, 404),
        (Limits(), {"temperature": 9}, 400),
    ],
)
async def test_headers_are_as_described(
    document: Document, limits: Limits, fields: dict[str, object], status: int
) -> None:
    site = Limited(limits)
    await site.create()
    reply = await site.create(**fields)

    described = headers_of(document, status)
    assert reply.status == status
    assert set(reply.headers) - {"content-type", "content-length"} <= set(described)
    assert {name for name, header in described.items() if header.get("required")} <= set(reply.headers)
    for name, value in reply.headers.items():
        if name in described:
            shown = int(value) if described[name]["schema"].get("type") == "integer" else value
            assert [each.message for each in Draft202012Validator(described[name]["schema"]).iter_errors(shown)] == []


async def test_a_store_that_is_away_says_when_to_come_again(document: Document) -> None:
    site = Site()
    site.store.down = True

    reply = await site.create(store=True)

    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert set(reply.headers) - {"content-type", "content-length"} <= set(headers_of(document, 503))


async def test_replies_are_as_described(document: Document) -> None:
    site = Site()
    made = (await site.create(store=True)).json
    stored = f"/v1/chat/completions/{made['id']}"
    streamed = await site.create(stream=True)
    replies = {
        "Completion": [made],
        "Chunk": [json.loads(event) for event in streamed.events[:-1]],
        "StoredCompletion": [(await site.client.get(stored)).json],
        "CompletionList": [(await site.client.get("/v1/chat/completions")).json],
        "MessageList": [(await site.client.get(f"{stored}/messages")).json],
        "Deleted": [(await site.client.request("DELETE", stored)).json],
        "ErrorEnvelope": [(await site.client.get(stored)).json],
        "ModelList": [(await site.client.get("/v1/models")).json],
        "Model": [(await site.client.get("/v1/models/org/m")).json],
        "Checks": [(await site.client.request("POST", "/check")).json],
        "SearchList": [(await site.client.get("/hansard/v1/search", b"q=hello&limit=1")).json],
        "FacetList": [
            (await site.client.get("/hansard/v1/facets")).json,
            (await site.client.get("/hansard/v1/facets", b"key=model")).json,
        ],
        "Health": [(await site.client.get("/health")).json],
        "Readiness": [(await site.client.get("/readyz")).json, (await site.client.get("/readyz", b"verbose")).json],
    }

    admin = await _administered()
    for name, shown in [*replies.items(), *admin.items()]:
        for reply in shown:
            assert [error.message for error in validator(document, name).iter_errors(reply)] == []


async def _administered() -> dict[str, list[Any]]:
    client, operator = Site(key="sk-right").client, {"authorization": "Bearer sk-right"}

    async def asked(method: str, what: str, body: object = b"") -> Any:
        return (await client.request(method, f"/hansard/v1/{what}", body, headers=operator)).json

    project = await asked("POST", "projects", {"name": "shop", "policy": {"models": ["m"]}})
    key = await asked("POST", "keys", {"project": "shop", "name": "till"})
    gone = await asked("POST", "projects", {"name": "gone"})
    return {
        "ProjectDeletion": [
            await asked("DELETE", f"projects/{gone['id']}"),
            await asked("GET", f"projects/{gone['id']}/deletion"),
        ],
        "ProjectShown": [project],
        "KeyShown": [key, await asked("GET", f"keys/{key['id']}")],
        "ProjectList": [await asked("GET", "projects")],
        "KeyList": [await asked("GET", "keys")],
        "EntryList": [await asked("GET", "audit")],
    }


def test_a_body_is_required_where_something_has_to_be_in_it(document: Document) -> None:
    """None at all is an empty one to the admin API, as ``curl -X POST .../rotate`` sends it."""
    bodies = {
        f"{method} {path}": described[method]["requestBody"]
        for path, described in document["paths"].items()
        if path.startswith("/hansard/v1/")
        for method in METHODS
        if "requestBody" in described.get(method, {})
    }
    asked = {
        name: body["content"]["application/json"]["schema"]["$ref"].split("/")[-1] for name, body in bodies.items()
    }

    assert {name: body["required"] for name, body in bodies.items()} == {
        name: bool(document["components"]["schemas"][schema].get("required")) for name, schema in asked.items()
    }
    assert {body["required"] for body in bodies.values()} == {True, False}


def test_names_have_a_pattern_that_other_languages_know(document: Document) -> None:
    schema = document["components"]["schemas"]["FunctionDefinition"]["properties"]["name"]
    assert schema["pattern"] == "^[a-zA-Z0-9_-]+$"
