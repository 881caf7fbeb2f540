"""How a command ends other than well: its exit codes, and the one exception that carries them.

What Typer ends itself (usage errors, the interrupt key) uses the same numbers.
"""

from __future__ import annotations

FAILED = 1
USAGE = 2
PARTLY = 3
NOT_AUTHORISED = 4
NOT_FOUND = 5
INTERRUPTED = 130


class CommandError(Exception):
    """What to say on stderr, and the exit code."""

    def __init__(self, message: str, *, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
