"""What Schemathesis is told of create requests: a model that is there, and no field that its engine must refuse.

Otherwise next to nothing that it makes up is ever completed, and nothing stored for the other operations to find.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import schemathesis

MODEL = os.environ.get("MADE_UP_FOR", "echo")
# Refused by both engines, or by a rule that a schema cannot say.
REFUSED = ("modalities", "audio", "web_search_options", "moderation", "stream_options", "max_tokens", "top_logprobs")
REFUSED_BY_ECHO = (
    *("tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", "logprobs", "response_format"),
)
ANSWER_TOKENS = 6


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Of the bodies that fit the schema two of three become ones that are completed and stored."""
    wrong = case.meta is not None and not case.meta.generation.mode.is_positive
    if wrong and case.query and _is_right_all_the_same(case):
        case.query = {**case.query, "limit": "0", "ask": "0"}  # of which one is wrong in every query that has a schema
    body = case.body
    if case.operation.label != "POST /chat/completions" or not isinstance(body, dict):
        return
    if body.get("model") == "":
        body["model"] = MODEL
    if not wrong and len(str(body)) % 3:
        refused = (*REFUSED, *(REFUSED_BY_ECHO if MODEL == "echo" else ()))
        body = {key: value for key, value in body.items() if key not in refused} | {"model": MODEL, "store": True}
        if MODEL != "echo":
            body |= {"n": min(body.get("n") or 1, 2), "max_completion_tokens": ANSWER_TOKENS}
        turns = [message for message in body["messages"] if message["role"] not in ("tool", "assistant")]
        case.body = body | {"messages": turns or [{"role": "user", "content": "Order, order!"}]}


def _is_right_all_the_same(case: Any) -> bool:
    """Whether what a schema calls wrong in the query may be nothing to the server.

    All is text there, and any text may stand in the brackets of metadata; what is empty counts as absent (that is how
    an empty object is sent, too); of what is repeated the last counts.
    """
    sent = _sent(case)
    names = [name for name, _ in sent]
    return len(set(names)) < len(names) or any(not value or name.startswith("metadata") for name, value in sent)


def _sent(case: Any) -> list[tuple[str, str]]:
    """The pairs of the query as they go over the wire, whatever they were made of."""
    query = requests.Request("GET", "http://h/", params=case.as_transport_kwargs()["params"]).prepare().url
    return parse_qsl(urlsplit(query).query, keep_blank_values=True)
