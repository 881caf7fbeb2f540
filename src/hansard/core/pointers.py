"""JSON pointers as they stand in the references of a schema, in the fragment of a URI (RFC 6901, 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

MISSING: Final = object()
"""What a pointer to nothing points at."""

_INDEX: Final = re.compile("[0-9]{1,9}")


def target(root: Any, reference: str) -> Any:
    """What it points at from the root, or ``MISSING``; what stands before the first slash is not looked at."""
    found = root
    for step in reference.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return MISSING
    return found
