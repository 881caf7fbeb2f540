"""docs/reference.md names what /openapi.json describes, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from hansard.api import openapi

PAGE = (Path(__file__).parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")
DOCUMENT = openapi.document(version="1", default_order="asc")


def test_every_operation_is_in_the_table() -> None:
    listed = {tuple(row.split(" ")) for row in re.findall(r"^\| `([A-Z]+ /\S+)` \|", PAGE, re.MULTILINE)}
    described = {
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert listed == described


def test_every_parameter_and_header_is_named() -> None:
    operations = [
        operation
        for methods in DOCUMENT["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
    ]
    parameters = {item["name"] for operation in operations for item in operation.get("parameters", [])}
    for name in parameters | set(DOCUMENT["components"]["headers"]):
        assert f"`{name}" in PAGE or f"?{name}" in PAGE, name
