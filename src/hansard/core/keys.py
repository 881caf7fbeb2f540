"""Keys: how they are spelled, what is kept of them, and what each scope lets one do. Entropy is handed in.

256 bits of chance need no salt and no slow digest: nobody finds them by trying (RFC 4086, section 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, get_args

from hansard.core.ids import base62

Scope: TypeAlias = Literal["create", "read", "write", "metrics", "admin"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""To create completions, read what is stored, change and delete it, read the server's numbers, and do all the rest."""

EVERY: Final = frozenset(SCOPES)
USUAL: Final = frozenset[Scope]({"create", "read", "write"})
"""Those of a key that is made without a word about them."""

ENTROPY_BYTES: Final = 32
_PREFIX: Final = "sk-hansard-"
_DIGITS: Final = 43  # of base 62 hold 256 bits


def mint(entropy: bytes) -> str:
    """A key, to be shown once."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key needs {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    return _PREFIX + base62(int.from_bytes(entropy, "big"), _DIGITS)


def digest(key: str) -> bytes:
    """What is kept of it, and what it is found by."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def shown(key: str) -> str:
    """What a list shows of it, enough to tell it from others: its beginning and its last four characters."""
    return f"{key[: len(_PREFIX) + 4]}...{key[-4:]}"


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes of that name; ValueError, which says what there is, for any other word and for none at all."""
    found = set(words)
    known = frozenset(scope for scope in SCOPES if scope in found)
    if not known or len(known) < len(found):
        wrong = ", ".join(sorted(found - known)) or "nothing"
        raise ValueError(f"{wrong}: no scope. Scopes are {', '.join(SCOPES)}.")
    return known
