"""Bodies for the operations and the admin API: right ones, spoiled ones, and what only looks like JSON."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any, Final

MAX_BODY_BYTES: Final = 200_000
"""What the server that is sent these takes; one of them is larger."""

_CREATE: Final[dict[str, Any]] = {
    "model": "echo",
    "messages": [
        {"role": "system", "content": "Order!"},
        {"role": "user", "content": [{"type": "text", "text": "Order, order!"}]},
    ],
}
_MORE: Final[dict[str, Any]] = {
    "store": True,
    "stream": True,
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b", "c": "d"},
    "n": 3,
    "temperature": 1.5,
    "top_p": 0.5,
    "seed": 7,
    "stop": ["a", "b"],
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "logit_bias": {"50256": -100},
    "user": "u",
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
    "logprobs": True,
    "modalities": ["text"],
    "service_tier": "auto",
    "prediction": {"type": "content", "content": "x"},
}
_ADMIN: Final[dict[str, Any]] = {
    "name": "n",
    "project": "default",
    "scopes": ["read"],
    "grace_s": 1,
    "policy": {"store": "asked", "redact": ["email"], "limits": {"requests_per_minute": 10**6}},
    "expires_at": 2**40,
    "archived": False,
}
_SPOILED: Final = (
    *(None, True, False, 0, -1, 1, 129, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 1.5, -0.0, 1e308),
    *("", "x", "\0", "\ud800", "é" * 300, "💩", "a" * 70_000, "echo", "user", "tool", "assistant", "image_url"),
    *([], {}, [[]], [None], [{}], {"": ""}, {"\0": "\0"}, {"a" * 70: "b" * 600}, ["a"] * 200, {"type": "text"}),
    *(
        {"role": "tool"},
        {"role": "user", "content": []},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    ),
    {"type": "input_audio", "input_audio": {"data": "!!", "format": "wav"}},
)


def body(chance: Random, path: str) -> bytes:
    """JSON with a mistake or more, or what only looks like it."""
    if chance.random() < 0.1:
        return chance.choice(_NO_JSON)
    whole = _wanted(chance, path)
    for _ in range(chance.choice([0, 0, 1, 1, 2, 4])):
        _spoil(chance, whole)
    text = json.dumps(whole, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")
    return text if chance.random() < 0.8 else _garbled(chance, text)


def _wanted(chance: Random, path: str) -> dict[str, Any]:
    if path.startswith("/hansard"):
        fields = chance.sample(sorted(_ADMIN), chance.randint(0, len(_ADMIN)))
        if path.endswith("/projects") and "name" in fields:  # of which there is one each
            return {field: _ADMIN[field] for field in fields} | {"name": f"n{chance.getrandbits(64)}"}
        return json.loads(json.dumps({field: _ADMIN[field] for field in fields}))  # type: ignore[no-any-return]
    if "{id}" in path:
        return {"metadata": {"a": "b"}}
    more = {field: _MORE[field] for field in chance.sample(sorted(_MORE), chance.choice([0, 1, 2, 5]))}
    if chance.random() < 0.5:
        more["store"] = True
    return json.loads(json.dumps({**_CREATE, **more}))  # type: ignore[no-any-return]


def _spoil(chance: Random, document: Any) -> None:
    """Put something else into some place of it."""
    while document:
        place = chance.choice(list(document) if isinstance(document, dict) else range(len(document)))
        if isinstance(document[place], dict | list) and chance.random() < 0.7:
            document = document[place]
        else:
            document[place] = copy.deepcopy(chance.choice(_SPOILED))  # it may be spoiled itself
            return


def _garbled(chance: Random, text: bytes) -> bytes:
    at = chance.randint(0, len(text))
    put = chance.choice(
        [
            b"\xff",
            b"\xc3(",
            b"\xed\xa0\x80",
            b"\xf5\x80\x80\x80",
            b"\xc0\xaf",
            b"\x00",
            b"\x1f",
            b"\\u12",
            b"\\ud83d",
            b"1e9999",
            b"NaN",
            b"-Infinity",
            b"\xef\xbb\xbf",
            b'"',
            b",",
            b"]",
            b"}",
            b"9" * 5000,
            b"/**/",
            b"[" * 3000,
        ]
    )
    return text[:at] + put + text[at + chance.choice([0, 0, 1, 7]) :]


_DEEP = 20_000
_NO_JSON: Final = (
    *(
        b"",
        b"null",
        b"[]",
        b'"',
        b"{",
        b"\0",
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"9" * 9000,
        b"-",
        b"1e999",
    ),
    *(b"[" * _DEEP, b"[" * _DEEP + b"]" * _DEEP, b'{"a":' * _DEEP, b'{"a":' * _DEEP + b"1" + b"}" * _DEEP),
    b'{"model":"echo","messages":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    b'{"model":"echo","messages":[{"role":"user","content":"x"}],"metadata":' + b'{"a":' * 300 + b"1" + b"}" * 301,
    b'{"model":"echo","messages":[' + b",".join([b'{"role":"user","content":""}'] * 5000) + b"]}",
    b'{"model":"echo","seed":' + b"9" * 100_000 + b',"messages":[{"role":"user","content":"x"}]}',
    b'{"model":"echo","model":"x",' + b'"user":"u",' * 2000 + b'"messages":[]}',
    b'{"model":"echo","messages":[{"role":"user","content":"' + b"x" * MAX_BODY_BYTES + b'"}]}',
    b"a=b&c=d",
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\necho\r\n--b--',
)
