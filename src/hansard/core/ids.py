"""The shapes of the ids we mint. Time and entropy are handed in; neither is read here."""

from __future__ import annotations

# In ASCII order, so that ids compare as the numbers they spell.
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_TIME_DIGITS = 8  # milliseconds until the year 8888
_CHANCE_DIGITS = 21  # 125 bits
ENTROPY_BYTES = 18
"""How much entropy the ids here want; less is refused."""


PROJECT_PREFIX = "proj_"


def completion_id(now_ms: int, entropy: bytes) -> str:
    """``chatcmpl-`` and 29 alphanumerics: unguessable, and ASCII order is order of time."""
    return "chatcmpl-" + base62(now_ms, _TIME_DIGITS) + base62(_number(entropy), _CHANCE_DIGITS)


def tool_call_id(entropy: bytes) -> str:
    """``call_`` and 24 alphanumerics."""
    return "call_" + base62(_number(entropy), 24)


def request_id(entropy: bytes) -> str:
    """``req_`` and 32 hex digits."""
    if len(entropy) < 16:
        raise ValueError(f"a request id needs 16 bytes of entropy, not {len(entropy)}")
    return "req_" + entropy[:16].hex()


def project_id(entropy: bytes) -> str:
    """``proj_`` and 24 alphanumerics."""
    return PROJECT_PREFIX + base62(_number(entropy), 24)


def key_id(entropy: bytes) -> str:
    """``key_`` and 24 alphanumerics. It names a key and is none."""
    return "key_" + base62(_number(entropy), 24)


def audit_id(entropy: bytes) -> str:
    """``audit_`` and 24 alphanumerics."""
    return "audit_" + base62(_number(entropy), 24)


def _number(entropy: bytes) -> int:
    if len(entropy) < ENTROPY_BYTES:
        raise ValueError(f"an id needs {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    return int.from_bytes(entropy, "big")


def base62(number: int, width: int) -> str:
    """The last ``width`` digits; two at a time, since every request pays for this."""
    pairs = []
    for _ in range((width + 1) // 2):
        number, pair = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[pair])
    pairs.reverse()
    return "".join(pairs)[-width:]
