"""The admin API described for machines: the rows from which ``openapi`` makes its operations, and their schemas."""

from __future__ import annotations

from typing import Final, NamedTuple

from hansard.contract import Document
from hansard.core import admin

TYPES: Final = (
    admin.ProjectWanted,
    admin.ProjectChange,
    admin.KeyWanted,
    admin.Rotation,
    admin.ProjectShown,
    admin.ProjectList,
    admin.KeyShown,
    admin.KeyList,
    admin.EntryList,
)


class Row(NamedTuple):
    """One operation. ``reply`` and ``body`` are names of schemas; ``asked`` are names of query parameters."""

    path: str
    method: str
    name: str
    summary: str
    reply: str
    body: str | None = None
    asked: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    needs_body: bool = True
    """No body at all is an empty one, so it is needed where something has to be in it."""


ROWS: Final = (
    Row("/hansard/v1/projects", "get", "listProjects", "List the projects.", "ProjectList"),
    Row(
        "/hansard/v1/projects",
        "post",
        "createProject",
        "Make a project.",
        "ProjectShown",
        body="ProjectWanted",
        errors=(400, 409, 413),
    ),
    Row("/hansard/v1/projects/{id}", "get", "getProject", "Show a project.", "ProjectShown", errors=(404,)),
    Row(
        "/hansard/v1/projects/{id}",
        "post",
        "updateProject",
        "Change a project, archive or restore it.",
        "ProjectShown",
        body="ProjectChange",
        errors=(400, 404, 409, 413),
        needs_body=False,
    ),
    Row("/hansard/v1/keys", "get", "listKeys", "List the keys.", "KeyList", asked=("project",), errors=(404,)),
    Row(
        "/hansard/v1/keys",
        "post",
        "createKey",
        "Make a key; it is shown this once.",
        "KeyShown",
        body="KeyWanted",
        errors=(400, 404, 413),
    ),
    Row("/hansard/v1/keys/{id}", "get", "getKey", "Show what there is to see of a key.", "KeyShown", errors=(404,)),
    Row("/hansard/v1/keys/{id}", "delete", "revokeKey", "Revoke a key.", "KeyShown", errors=(404,)),
    Row(
        "/hansard/v1/keys/{id}/rotate",
        "post",
        "rotateKey",
        "Make a key in the place of another; it is shown this once.",
        "KeyShown",
        body="Rotation",
        errors=(400, 404, 409, 413),
        needs_body=False,
    ),
    Row(
        "/hansard/v1/audit",
        "get",
        "audit",
        "Read the audit log, the oldest first.",
        "EntryList",
        asked=("project", "after", "limit"),
        errors=(400, 404),
    ),
)

ASKED: Final[dict[str, tuple[Document, str]]] = {
    "project": ({"type": "string"}, "Only what is this project's: its id or name."),
    "after": ({"type": "string", "pattern": r"^[0-9]{1,18}\..+$"}, "The `next_after` of the page before."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "How many on a page."),
}
