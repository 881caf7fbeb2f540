"""core/lifetimes.py: who says how long a completion is kept, and when that is over."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from hansard.core.lifetimes import KEPT, Lifetimes, asked_for
from hansard.errors import InvalidRequest


@pytest.mark.parametrize(
    ("header", "metadata", "length_s"),
    [
        (None, {}, UNSET),
        ("30d", {}, 2_592_000),
        (None, {"hansard_ttl": "1h"}, 3_600),
        ("30d", {"hansard_ttl": "1h"}, 2_592_000),
        ("never", {"hansard_ttl": "1h"}, None),
        (" 5 ", {}, 5),
        (None, {"hansard_body_ttl": "1h"}, UNSET),
    ],
)
def test_a_header_wins_over_metadata(header: str | None, metadata: dict[str, str], length_s: object) -> None:
    assert asked_for(header=header, body_header=None, metadata=metadata).whole_s == length_s


def test_what_was_said_has_a_length_of_its_own() -> None:
    assert asked_for(header=None, body_header="1h", metadata={"hansard_body_ttl": "2h"}) == Lifetimes(body_s=3_600)
    assert asked_for(header=None, body_header=None, metadata={"hansard_body_ttl": "2h"}) == Lifetimes(body_s=7_200)


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"header": "soon"}, "X-Hansard-TTL"),
        ({"body_header": "0"}, "X-Hansard-Body-TTL"),
        ({"metadata": {"hansard_ttl": ""}}, "metadata.hansard_ttl"),
        ({"metadata": {"hansard_body_ttl": "1y"}}, "metadata.hansard_body_ttl"),
        ({"header": "1h", "metadata": {"hansard_ttl": "x"}}, "metadata.hansard_ttl"),
    ],
)
def test_a_mistake_is_named(said: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked_for(**{"header": None, "body_header": None, "metadata": {}, **said})  # type: ignore[arg-type]

    assert (caught.value.param, caught.value.code) == (param, "invalid_value")
    assert caught.value.message == (
        f"Invalid value for '{param}': expected seconds or a number with s, m, h, d or w behind it (30d), "
        "from 1s to 36500d, or never."
    )


@pytest.mark.parametrize(
    ("asked", "policy", "length_s"),
    [
        (UNSET, UNSET, UNSET),
        (UNSET, 60, 60),
        (30, 60, 30),
        (90, 60, 90),
        (None, 60, None),
        (30, None, 30),
    ],
)
def test_the_client_wins_over_the_policy(asked: object, policy: object, length_s: object) -> None:
    one = Lifetimes(whole_s=asked, body_s=5)  # type: ignore[arg-type]
    other = Lifetimes(whole_s=policy, body_s=7)  # type: ignore[arg-type]

    assert one.over(other) == Lifetimes(whole_s=length_s, body_s=5)  # type: ignore[arg-type]
    assert Lifetimes().over(other).body_s == 7


@pytest.mark.parametrize(
    ("whole_s", "body_s", "ends"),
    [
        (UNSET, UNSET, (None, None)),
        (None, None, (None, None)),
        (60, UNSET, (1060, None)),
        (UNSET, 30, (None, 1030)),
        (60, 30, (1060, 1030)),
        (60, 60, (1060, None)),  # goes with the whole
        (60, 90, (1060, None)),
    ],
)
def test_ends_are_counted_from_now(whole_s: object, body_s: object, ends: tuple[int | None, int | None]) -> None:
    assert Lifetimes(whole_s=whole_s, body_s=body_s).ends(1000) == ends  # type: ignore[arg-type]


def test_nobody_said_is_for_ever() -> None:
    assert KEPT.ends(1000) == (None, None)
