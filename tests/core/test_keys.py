"""core/keys.py: how keys are spelled, and what is kept of them."""

from __future__ import annotations

import hashlib

import pytest

from hansard.core.keys import digest, mint, scopes_of, shown


def test_a_key_has_all_of_its_entropy() -> None:
    lowest, highest = mint(bytes(32)), mint(b"\xff" * 32)
    assert lowest == "sk-hansard-" + "0" * 43
    # 2**256 - 1 in base 62, digits in ASCII order
    number = 0
    for digit in highest.removeprefix("sk-hansard-"):
        number = number * 62 + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".index(digit)
    assert number == 2**256 - 1
    assert len(lowest) == len(highest) == 54


@pytest.mark.parametrize("entropy", [b"", bytes(31), bytes(33)])
def test_a_key_of_less_or_more_chance_is_not_made(entropy: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mint(entropy)


def test_what_is_kept_is_its_sha_256() -> None:
    assert digest("sk-hansard-x") == hashlib.sha256(b"sk-hansard-x").digest()
    assert digest("sk-\udcff")  # what a header may hold


def test_what_is_shown_is_too_little_to_find_it() -> None:
    key = mint(bytes(range(32)))
    assert shown(key) == f"{key[:15]}...{key[-4:]}"
    assert len(set(key)) > 15


def test_scopes_have_names() -> None:
    assert scopes_of(["read", "create", "read"]) == {"read", "create"}
    for wrong in ([], ["all"], ["read", "Read"]):
        with pytest.raises(ValueError, match="Scopes are create, read, write, metrics, admin"):
            scopes_of(wrong)
