"""tenancy.py: who is let in."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from hansard.errors import AuthenticationFailed
from hansard.tenancy import DEFAULT_PROJECT, Gate, Principal

KEY = "sk-hansard-0123456789abcdef"


def admitted(key: str | None, authorization: str | None) -> Principal:
    return asyncio.run(Gate(key=key).admit(authorization))


@pytest.mark.parametrize("authorization", [None, "", "Bearer anything", "Basic eA=="])
def test_without_a_key_everyone_is_let_in(authorization: str | None) -> None:
    assert admitted(None, authorization).project == DEFAULT_PROJECT


@pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer {KEY}", f"Bearer  {KEY} "])
def test_the_right_key_is_let_in(authorization: str) -> None:
    assert admitted(KEY, authorization).project == DEFAULT_PROJECT


def test_a_principal_tells_keys_apart_and_shows_none() -> None:
    """The mark is in the record; a key cannot be found again from 48 bits of its digest."""
    one, other = (admitted(key, f"Bearer {key}").key for key in (KEY, f"{KEY}0"))
    assert one is not None
    assert one != other
    assert len(one) == 12
    assert one not in KEY
    assert admitted(None, "Bearer anything").key is None


def basic(pair: str) -> str:
    return f"Basic {b64encode(pair.encode()).decode()}"


def test_the_right_key_may_be_a_password() -> None:
    """The API's 401 says so: "as the password field (with blank username)"."""
    assert admitted(KEY, basic(f":{KEY}")).project == DEFAULT_PROJECT


def test_a_wrong_password_is_a_wrong_key() -> None:
    with pytest.raises(AuthenticationFailed, match=r"^Incorrect API key provided: fake_key\. "):
        admitted(KEY, basic(":fake_key"))


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Basic {KEY}", KEY, basic(f"user:{KEY}"), basic(KEY), basic(":"), "Basic \udcff"],
)
def test_no_key_has_the_apis_own_text(authorization: str | None) -> None:
    with pytest.raises(AuthenticationFailed, match=r"^You didn't provide an API key") as refused:
        admitted(KEY, authorization)
    assert (refused.value.status, refused.value.code, refused.value.param) == (401, None, None)


def test_a_short_wrong_key_is_shown() -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        admitted(KEY, "Bearer fake_key")
    # Recorded from the live API for this key.
    assert refused.value.message == (
        "Incorrect API key provided: fake_key. "
        "You can find your API key at https://platform.openai.com/account/api-keys."
    )
    assert refused.value.code == "invalid_api_key"


def test_a_long_wrong_key_shows_its_first_8_and_last_4_characters() -> None:
    with pytest.raises(AuthenticationFailed, match=r"provided: sk-abcde\*{6}wxyz\. "):
        admitted(KEY, "Bearer sk-abcde123456wxyz")


@pytest.mark.parametrize("token", ["\udcff", "é", "'; DROP TABLE keys; --", "x" * 10_000])
def test_hostile_keys_are_only_wrong(token: str) -> None:
    with pytest.raises(AuthenticationFailed):
        admitted(KEY, f"Bearer {token}")
