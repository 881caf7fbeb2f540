"""JSON text as plain values, numbers included that no plain value holds: those stay as they were spelled.

JSON sets no bound on a number. What is past Python's own (an integer of more than 4,300 digits, a decimal beyond
a double) is a ``msgspec.Raw`` in what is read here, and is spelled the same when it is written again.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, Final, NoReturn

import msgspec

_held = msgspec.json.Decoder()
_INTEGER: Final = frozenset(b"-0123456789")


def read(text: bytes) -> Any:
    """The values; raises as msgspec does for what is no JSON, and RecursionError for what is nested too deeply."""
    return noted(text)[0]


def noted(text: bytes) -> tuple[Any, bool]:
    """The same, and whether all of its numbers are held."""
    try:
        return _held.decode(text), True
    except msgspec.ValidationError:  # of a reader that expects nothing in particular: a number out of range
        return _spelled(text), False


def is_negative(number: msgspec.Raw) -> bool:
    """Whether a number that is not held is below all that are."""
    return bytes(number).startswith(b"-")


def is_integer(number: msgspec.Raw) -> bool:
    """Whether it is spelled as one."""
    return _INTEGER.issuperset(bytes(number))


def _spelled(text: bytes) -> Any:
    try:
        document = json.loads(
            text.decode(), parse_int=_integer, parse_float=_decimal, parse_constant=_no_number, strict=True
        )
        msgspec.json.encode(document)  # half a surrogate pair is text to the reader above, and to nobody else
    except (ValueError, UnicodeError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return document


def _integer(text: str) -> int | msgspec.Raw:
    return msgspec.Raw(text) if len(text) > sys.int_info.default_max_str_digits else int(text)


def _decimal(text: str) -> float | msgspec.Raw:
    number = float(text)
    return msgspec.Raw(text) if math.isinf(number) else number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
