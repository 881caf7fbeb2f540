"""``hansard keys``: make, list, revoke and replace the keys that clients send."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from hansard.cli.desk import Meta, Models, PolicyText, Where, desk, located, policy, quoted
from hansard.cli.options import AsJson, examples
from hansard.cli.output import Column, hint, local_time, say, say_json, say_rows

EXAMPLES = examples(
    "hansard keys create --project shop --name till",
    "hansard keys create --project shop --name reader --scope read --expires 90d",
    "hansard keys list --project shop",
    "hansard keys rotate key_7b2f --grace 1h",
    "hansard keys revoke key_7b2f",
)
CREATE_EXAMPLES = examples(
    "hansard keys create --project shop --name till",
    "hansard keys create --project shop --name reader --scope read --expires 90d",
    "hansard keys create --name boss --scope admin --base-url http://127.0.0.1:8000/v1 --api-key-file admin.txt",
)
LIST_EXAMPLES = examples(
    "hansard keys list",
    "hansard keys list --project shop",
    "hansard keys list --json",
)
REVOKE_EXAMPLES = examples(
    "hansard keys revoke key_7b2f",
    "hansard keys revoke key_7b2f --data /var/lib/hansard",
    "hansard keys revoke key_7b2f --base-url http://127.0.0.1:8000/v1 --api-key-file admin.txt",
)
ROTATE_EXAMPLES = examples(
    "hansard keys rotate key_7b2f",
    "hansard keys rotate key_7b2f --grace 1h",
    "hansard keys rotate key_7b2f --grace 7d > new-key.txt",
)
COLUMNS = (
    Column("ID"),
    Column("PROJECT"),
    Column("NAME", 30),
    Column("KEY"),
    Column("SCOPES"),
    Column("STATE"),
    Column("CREATED"),
)

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, key_..., as `keys list` shows it.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Keys: create, list, revoke, rotate.", epilog=EXAMPLES)
    group.command("create", epilog=CREATE_EXAMPLES)(create)
    group.command("list", epilog=LIST_EXAMPLES)(list_)
    group.command("revoke", epilog=REVOKE_EXAMPLES)(revoke)
    group.command("rotate", epilog=ROTATE_EXAMPLES)(rotate)
    app.add_typer(group, name="keys")


@located
def create(
    where: Where,
    *,
    project: Annotated[str, typer.Option(metavar="PROJECT", help="Id or name of its project.")] = "default",
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is for, so that you know it again.")],
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="create, read, write, metrics or admin. Repeatable."),
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="How long it counts: 90d, 12h.")] = None,
    models: Models = None,
    meta: Meta = None,
    policy_text: PolicyText = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it: this once, and never again. Without --scope it may create, read and write."""
    wanted: dict[str, Any] = {"project": project, "name": name}
    if scopes:
        wanted["scopes"] = scopes
    if expires is not None:
        wanted["expires_at"] = int(time.time()) + _seconds(expires, "--expires")
    if (said := policy(policy_text, models, meta)) is not None:
        wanted["policy"] = said
    with desk(where) as at:
        _say_made(at.post("keys", wanted), as_json=as_json)


@located
def list_(
    where: Where,
    *,
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="Only those of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the keys, revoked ones included. The keys themselves are kept nowhere."""
    with desk(where) as at:
        found = at.get("keys", project=project)
    if as_json:
        say_json(found)
        return
    say_rows(COLUMNS, (_row(key) for key in found["data"]))
    if not found["data"]:
        hint("No keys. Make one: hansard keys create --name NAME")


@located
def revoke(
    where: Where,
    key_id: KeyId,
    *,
    as_json: AsJson = False,
) -> None:
    """End a key, on every server within a second. It cannot be brought back."""
    with desk(where) as at:
        key = at.delete(f"keys/{quoted(key_id)}")
    if as_json:
        say_json(key)
    else:
        say(f"{key['id']} ({key['name']}) is revoked.")


@located
def rotate(
    where: Where,
    key_id: KeyId,
    *,
    grace: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long the old key still counts: 1h, 7d.  [default: not at all]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key in the place of another, with all that is said of it, and print it this once."""
    rotation = {"grace_s": 0 if grace is None else _seconds(grace, "--grace")}
    with desk(where) as at:
        _say_made(at.post(f"keys/{quoted(key_id)}/rotate", rotation), as_json=as_json)


def _say_made(key: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(key)
        return
    say(key["key"])
    ends = "" if key["expires_at"] is None else f" It counts until {local_time(key['expires_at'])}."
    hint(f"{key['id']} ({key['name']}) of {key['project']}.{ends} The key is shown this once: keep it now.")


def _row(key: dict[str, Any]) -> list[str]:
    scopes = " ".join(key["scopes"])
    made = local_time(key["created_at"])
    return [key["id"], key["project"], key["name"], key["redacted_value"], scopes, _state(key), made]


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"] is not None:
        return "revoked"
    if key["expires_at"] is None:
        return "counts"
    return "expired" if key["expires_at"] <= time.time() else f"until {local_time(key['expires_at'])}"


def _seconds(text: str, option: str) -> int:
    from hansard.durations import WANTED, duration_s

    try:
        seconds = duration_s(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a length of time; write {WANTED}.", param_hint=option) from error
    if seconds is None:
        raise typer.BadParameter("leave it out for a key that never ends.", param_hint=option)
    return seconds
