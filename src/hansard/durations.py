"""Lengths of time as people write them, in settings, headers and metadata: ``30d``, ``12h``, ``90``, ``never``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NEVER: Final = "never"

LONGEST_S: Final = 36_500 * 86_400

WANTED: Final = "seconds or a number with s, m, h, d or w behind it (30d), from 1s to 36500d, or never"

_UNITS_S: Final[Mapping[str, int]] = MappingProxyType(
    {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
)
_SPELLED: Final = re.compile(r"([0-9]{1,12})([smhdw]?)")


def duration_s(text: str) -> int | None:
    """How many seconds it says, None for ``never``. Raises ValueError."""
    if text == NEVER:
        return None
    found = _SPELLED.fullmatch(text)
    if found is not None and 1 <= (length_s := int(found[1]) * _UNITS_S[found[2]]) <= LONGEST_S:
        return length_s
    raise ValueError(f"not {WANTED}")
