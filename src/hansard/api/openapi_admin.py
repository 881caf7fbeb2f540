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
    admin.ProjectDeletion,
    admin.KeyShown,
    admin.KeyList,
    admin.EntryList,
)


class Row(NamedTuple):
    """One operation. ``reply`` and ``body`` are names of schemas; ``asked`` are names of query parameters.

    Without ``reply`` it is lines of JSON.
    """

    path: str
    method: str
    name: str
    summary: str
    reply: str | None
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
    Row(
        "/hansard/v1/projects/{id}",
        "delete",
        "deleteProject",
        "Close a project at once, and delete all that is its own from then on.",
        "ProjectDeletion",
        errors=(400, 404),
    ),
    Row(
        "/hansard/v1/projects/{id}/deletion",
        "get",
        "getProjectDeletion",
        "How far the deletion of a closed project is.",
        "ProjectDeletion",
        errors=(404,),
    ),
    Row(
        "/hansard/v1/projects/{id}/export",
        "get",
        "exportProject",
        "All completions of a project, the oldest first, a JSON object a line.",
        None,
        asked=("completion",),
        errors=(400, 404),
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

ASKED: Final[dict[str, tuple[str, Document, str]]] = {
    "project": ("project", {"type": "string"}, "Only what is this project's: its id or name."),
    "after": ("after", {"type": "string", "pattern": r"^[0-9]{1,18}\..+$"}, "The `next_after` of the page before."),
    "completion": (
        "after",
        {"type": "string"},
        "Only what is behind the completion of this id: that of the last line.",
    ),
    "limit": ("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "How many on a page."),
}
"""Query parameters: name, schema and description, by a name of ours."""
