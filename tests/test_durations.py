"""durations.py: how long a length of time is, and what is none."""

from __future__ import annotations

import pytest

from hansard.durations import duration_s


@pytest.mark.parametrize(
    ("text", "length_s"),
    [
        ("1", 1),
        ("90", 90),
        ("45s", 45),
        ("15m", 900),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("36500d", 3_153_600_000),
        ("never", None),
    ],
)
def test_lengths(text: str, length_s: int | None) -> None:
    assert duration_s(text) == length_s


@pytest.mark.parametrize(
    "text", ["", "0", "0d", "-1", "1.5h", "1 d", "d", "1y", "1D", "٣", "36501d", "9" * 13, "Never", "1e3"]
)
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="seconds or a number"):
        duration_s(text)
