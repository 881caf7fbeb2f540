"""The engine's errors as ours."""

from __future__ import annotations

import pytest

from hansard.engines.llamacpp import failures


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"error":{"code":400,"message":"bad","type":"invalid_request_error"}}', 400, None),
        (b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}', 503, "engine_unavailable"),
        (b'{"error":{"code":500,"message":"oh","type":"server_error"}}', 502, "engine_error"),
        (b'{"error":{"code":501,"message":"no","type":"not_supported_error"}}', 502, "engine_error"),
        (b"<html>", 502, "engine_error"),
        (b"", 502, "engine_error"),
    ],
)
def test_every_kind_has_its_status(body: bytes, status: int, code: str | None) -> None:
    error = failures.of_body(body)

    assert (error.status, error.code) == (status, code)
