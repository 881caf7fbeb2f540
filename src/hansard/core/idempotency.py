"""What makes a request the repeat of another: the key its client chose, and that all else is the same.

The header is Stripe's (https://docs.stripe.com/api/idempotent_requests) and an IETF draft's
(https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/); its value means nothing to us.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansard.errors import InvalidRequest

HEADER: Final = "Idempotency-Key"
MAX_LENGTH: Final = 255


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The key, and the ``fingerprint`` of what it was sent with: 32 bytes, equal only for equal requests.

    ``key`` is the SHA-256 of what the client sent, and of who it is, in hex: that may be an address or a name, and is
    kept for a day.
    """

    key: str
    fingerprint: bytes


def idempotency_key(header: str, *, by: str | None, body: bytes, metadata: str | None) -> IdempotencyKey:
    """The key in a header, for a request with this body, which is JSON, and this metadata header, if there is one.

    ``by`` is the id of the API key it came with: who only creates is not to be given what another was answered.
    """
    if not (header.isascii() and header.isprintable() and 1 <= len(header) <= MAX_LENGTH):
        raise InvalidRequest(
            f"Invalid '{HEADER}': expected 1 to {MAX_LENGTH} printable ASCII characters.",
            param=HEADER,
            code="invalid_value",
        )
    # JSON text has no zero byte, so no body can be mistaken for another with metadata behind it.
    beside = b"" if metadata is None else b"\0" + metadata.encode("latin-1")
    # Nor has a header one.
    named = header if by is None else f"{by}\0{header}"
    return IdempotencyKey(hashlib.sha256(named.encode()).hexdigest(), hashlib.sha256(body + beside).digest())
