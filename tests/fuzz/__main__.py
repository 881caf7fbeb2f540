"""Schemathesis against every operation of our own ``/openapi.json``, on servers of its own: ``make schemathesis``.

First with the echo engine, then with the embedded one, which takes tools, schemas and log probabilities as well.

Bodies, parameters and whole sequences (create, then get, update, messages, delete) are made up from the document.
No reply may be a 5xx or leave the document, and no key may be done without. Arguments go to ``st run``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.acceptance.server import ECHO, EMBEDDED, MODEL, Server

KEY = "sk-made-up-for-this-run"
SCHEMATHESIS = Path(".venv-schemathesis/bin/schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")

# Rules that take several fields are in no schema, so a body that fits the schema may be refused; and a completion
# that nobody asked to store cannot be found.
NOT_CHECKED = "positive_data_acceptance,ensure_resource_availability"


# By the name of the model: how to serve it, and how long a reply may take, in seconds.
SERVED = {"echo": (ECHO, "10"), MODEL: ((*EMBEDDED, "--ctx", "512"), "60")}


def main() -> int:
    return max([made_up_for(name, sys.argv[1:] or ["--max-examples", "50"]) for name in SERVED])


def made_up_for(name: str, arguments: list[str]) -> int:
    """One run, and its exit status."""
    model, timeout_s = SERVED[name]
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(Path(directory), "--search", "on", model=model, environment={"HANSARD_API_KEY": KEY}) as server,
    ):
        server.start()
        command = [
            *(str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{server.root}/openapi.json"),
            *("--header", f"Authorization: Bearer {KEY}"),
            *("--exclude-checks", NOT_CHECKED, "--request-timeout", timeout_s),
            *("--generation-database", ":memory:"),
            *arguments,
        ]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "MADE_UP_FOR": name}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
