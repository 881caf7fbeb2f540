"""What a person at a terminal types: the banner's block and the six operations with curl, and the bytes they see."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import uuid
from typing import Any

import pytest

from . import replies
from .server import MODEL, MODEL_FILE, Server, question
from .wire import DONE

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."

# In the order of every recorded object.
STORED_KEYS = [
    *("object", "id", "model", "created", "request_id", "tool_choice", "usage", "seed", "top_p", "temperature"),
    *("presence_penalty", "frequency_penalty", "system_fingerprint", "input_user", "service_tier", "tools"),
    *("metadata", "choices", "response_format"),
]
CHUNK_KEYS = [
    *("id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage", "obfuscation"),
]


def test_the_banners_block_runs_as_it_is(hansard: Server) -> None:
    block = re.search(r"\ncurl\n\n(curl .*?)\n\n", hansard.banner, re.DOTALL)
    assert block is not None, hansard.banner
    completion = json.loads(shell(block[1]))
    assert completion["object"] == "chat.completion"
    assert completion["id"] in hansard.stored_ids


def test_create(hansard: Server) -> None:
    completion = curl(hansard, "/chat/completions", question(FRANCE))
    assert list(completion)[:6] == ["id", "object", "created", "model", "choices", "usage"]
    (choice,) = completion["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": PARIS, "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert list(choice) == ["index", "message", "logprobs", "finish_reason"]
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= set(completion["usage"])
    assert completion["service_tier"] == "default"
    assert completion["system_fingerprint"].startswith("fp_")


def test_a_stream_ends_with_done(hansard: Server) -> None:
    body = json.dumps(question(FRANCE, stream=True, stream_options={"include_usage": True}))
    received = shell(f"curl -sN {hansard.base_url}/chat/completions -d {shlex.quote(body)}")

    assert received.endswith("data: [DONE]\n\n")
    *payloads, done = [event.removeprefix("data: ") for event in received.removesuffix("\n\n").split("\n\n")]
    assert done == DONE
    chunks = [json.loads(payload) for payload in payloads]
    for chunk in chunks:
        assert list(chunk) == CHUNK_KEYS
        for choice in chunk["choices"]:
            assert list(choice) == ["index", "delta", "logprobs", "finish_reason"]
    # Recorded: noise makes every event's text, in characters, one more than a multiple of 16.
    assert {len(payload) % 16 for payload in payloads} == {1}
    assert "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]) == PARIS


def test_the_headers_of_a_completion(hansard: Server) -> None:
    status, headers = curl_head(hansard, question(FRANCE))
    assert status == "HTTP/1.1 200 OK"
    assert headers["content-type"] == "application/json"
    assert re.fullmatch("req_[0-9a-f]{32}", headers["x-request-id"])
    assert headers["openai-version"] == "2020-10-01"
    assert "server" not in headers


def test_the_headers_of_a_stream(hansard: Server) -> None:
    status, headers = curl_head(hansard, question(FRANCE, stream=True))
    assert status == "HTTP/1.1 200 OK"
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["transfer-encoding"] == "chunked"
    assert headers["cache-control"] == "no-cache"


def test_the_six_operations(hansard: Server) -> None:
    team = uuid.uuid4().hex
    made = curl(hansard, "/chat/completions", question(FRANCE, store=True, metadata={"team": team}))
    one = f"/chat/completions/{made['id']}"

    stored = curl(hansard, one)
    assert list(stored) == STORED_KEYS
    assert list(stored["choices"][0]) == ["index", "message", "finish_reason", "logprobs"]
    # .NET writes brackets raw, Python and Node percent-encode them.
    for brackets in (f"metadata[team]={team}", f"metadata%5Bteam%5D={team}"):
        listed = curl(hansard, f"/chat/completions?{brackets}")
        assert listed == {
            "object": "list",
            "data": [stored],
            "first_id": made["id"],
            "last_id": made["id"],
            "has_more": False,
        }
    (message,) = curl(hansard, f"{one}/messages")["data"]
    assert message["id"] == f"{made['id']}-0"
    assert (message["role"], message["content"]) == ("user", FRANCE)
    assert curl(hansard, one, {"metadata": {"quality": "gold"}})["metadata"] == {"quality": "gold"}
    deleted = {"object": "chat.completion.deleted", "id": made["id"], "deleted": True}
    assert json.loads(shell(f"curl -s -X DELETE {hansard.base_url}{one}")) == deleted
    assert curl(hansard, one)["error"]["message"] == f"Completion {made['id']} not found"


def test_the_bare_address_serves_the_same(hansard: Server) -> None:
    for address in (f"{hansard.root}/models", f"{hansard.base_url}/models", f"{hansard.base_url}/models/"):
        assert MODEL in [model["id"] for model in json.loads(shell(f"curl -s {address}"))["data"]]


@pytest.mark.skipif(MODEL_FILE != "builtin", reason="HANSARD_TEST_MODEL replaces the built-in model")
def test_the_model_says_it_is_a_demonstration(hansard: Server) -> None:
    assert curl(hansard, f"/models/{MODEL}")["description"].startswith("Demonstration model")
    assert "demonstration" in hansard.banner


def test_a_request_without_content_type_is_read_all_the_same(hansard: Server) -> None:
    body = shlex.quote(json.dumps(question(FRANCE)))
    completion = json.loads(shell(f"curl -s {hansard.base_url}/chat/completions -H 'Content-Type:' -d {body}"))
    assert completion["choices"][0]["message"]["content"] == PARIS


def curl(server: Server, path: str, body: object = None) -> Any:
    given = "" if body is None else f" -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
    answer = shell(f"curl -sg '{server.base_url}{path}'{given}")
    status = 400 if "error" in json.loads(answer) else 200
    replies.check("GET" if body is None else "POST", path, status, "application/json", answer.encode())
    return json.loads(answer)


def curl_head(server: Server, body: object) -> tuple[str, dict[str, str]]:
    """The status line and the headers."""
    head = shell(f"curl -s -D - -o /dev/null {server.base_url}/chat/completions -d {shlex.quote(json.dumps(body))}")
    status, *lines = head.strip().splitlines()
    return status, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def shell(command: str) -> str:
    """Typed as it is; what it prints."""
    ran = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=True)
    return ran.stdout.decode()
