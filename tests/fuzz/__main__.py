"""Schemathesis against every operation of our own ``/openapi.json``, on a server of its own: ``make schemathesis``.

Bodies, parameters and whole sequences (create, then get, update, messages, delete) are made up from the document.
No reply may be a 5xx or leave the document, and no key may be done without. Arguments go to ``st run``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.acceptance.server import ECHO, Server

KEY = "sk-made-up-for-this-run"
SCHEMATHESIS = Path(".venv-schemathesis/bin/schemathesis")

# Rules that take several fields are in no schema, so a body that fits the schema may be refused; and a completion
# that nobody asked to store cannot be found.
NOT_CHECKED = "positive_data_acceptance,ensure_resource_availability"


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(Path(directory), model=ECHO, environment={"HANSARD_API_KEY": KEY}) as server,
    ):
        server.start()
        command = [
            *(str(SCHEMATHESIS), "run", f"{server.root}/openapi.json"),
            *("--header", f"Authorization: Bearer {KEY}"),
            *("--exclude-checks", NOT_CHECKED, "--request-timeout", "10"),
            *("--generation-database", ":memory:"),
            *(sys.argv[1:] or ["--max-examples", "50"]),
        ]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
