"""Calls what a program shows, one operation after the other, and prints as JSON what came of each.

It knows no client: it is what turns a user's program into something a test can read, in any environment.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable


def report(*operations: Callable[[], object]) -> None:
    outcomes: dict[str, dict[str, object]] = {}
    for operation in operations:
        try:
            outcomes[operation.__name__] = {"result": operation()}
        except Exception:  # noqa: BLE001 (the next operation must run all the same)
            outcomes[operation.__name__] = {"error": traceback.format_exc()}
    print(json.dumps(outcomes))
