"""Formats of strings, as LLGuidance is told them: what it takes too widely is spelled out as a pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEAP = "(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:1[26]|[2468][048]|[3579][26])00)"
_DATE = (
    "(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
# LLGuidance lets February have 29 days in any year, and takes leap seconds, which most readers refuse.
_PATTERNS = {"date": f"^{_DATE}$", "time": f"^{_TIME}$", "date-time": f"^{_DATE}T{_TIME}$"}
_HELD = frozenset(("duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"))
# The formats of JSON Schema that nothing here can hold. Others are notes of their author ("int32", "password").
UNHELD = frozenset(("idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template")).union(
    ("json-pointer", "relative-json-pointer", "regex")
)
_NAMED_SCHEMAS = frozenset(("properties", "patternProperties", "$defs", "definitions"))
_DATA = frozenset(("enum", "const", "default", "examples", "example"))


def spelled_out(schema: Any) -> Any:
    """The schema with formats that LLGuidance holds, and without those that bind nothing."""
    if isinstance(schema, list):
        return [spelled_out(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    written: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
            written[key] = {name: spelled_out(each) for name, each in value.items()}
        elif key == "format" and isinstance(value, str) and value not in _HELD:
            if value in _PATTERNS:
                written["allOf"] = [*written.get("allOf", ()), {"pattern": _PATTERNS[value]}]
        elif key == "allOf" and isinstance(value, list):
            written["allOf"] = [*written.get("allOf", ()), *map(spelled_out, value)]
        else:
            written[key] = value if key in _DATA else spelled_out(value)
    return written
