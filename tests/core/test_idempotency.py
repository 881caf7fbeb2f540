"""core/idempotency.py: which keys are taken, and which requests are the same."""

from __future__ import annotations

import hashlib

import pytest

from hansard.core.idempotency import idempotency_key
from hansard.errors import InvalidRequest


@pytest.mark.parametrize("key", ["k", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "order 66 ~"])
def test_any_printable_ascii_is_a_key_and_kept_as_its_digest(key: str) -> None:
    assert idempotency_key(key, by=None, body=b"{}", metadata=None).key == hashlib.sha256(key.encode()).hexdigest()


def test_of_two_who_send_the_same_key_each_has_their_own() -> None:
    kept = {
        idempotency_key(key, by=by, body=b"{}", metadata=None).key
        for by, key in [(None, "k"), ("key_1", "k"), ("key_2", "k"), ("key_", "1k"), (None, "key_1k")]
    }
    assert len(kept) == 5


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "a\x7f", "caf\xe9"])
def test_anything_else_is_refused_by_the_name_of_the_header(key: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        idempotency_key(key, by=None, body=b"{}", metadata=None)
    assert (refused.value.status, refused.value.param, refused.value.code) == (400, "Idempotency-Key", "invalid_value")
    assert key[:200] not in refused.value.message or key == ""


def test_only_equal_requests_have_equal_fingerprints() -> None:
    requests: list[tuple[bytes, str | None]] = [
        (b'{"a":1}', None),
        (b'{"a": 1}', None),
        (b'{"a":1}', ""),
        (b'{"a":1}', '{"k":"v"}'),
        (b'{"a":1}{"k":"v"}', None),
    ]
    prints = {idempotency_key("k", by=None, body=body, metadata=metadata).fingerprint for body, metadata in requests}
    assert len(prints) == len(requests)
    assert idempotency_key("k", by=None, body=b"{}", metadata="m") == idempotency_key(
        "k", by=None, body=b"{}", metadata="m"
    )
