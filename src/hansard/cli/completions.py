"""``hansard completions``: the stored ones, listed, shown, relabelled and deleted over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from hansard.cli.exits import PARTLY, USAGE, CommandError
from hansard.cli.options import BASE_URL, AsJson, AsJsonl, BaseUrl, KeyFile, Model, OnlyIds, Order, examples, pairs
from hansard.cli.output import Column, can_ask, chosen_form, hint, local_time, say, say_json, say_list, spell_pairs
from hansard.printable import one_line, printable

PATH = "/chat/completions"

COLUMNS = (
    Column("ID"),
    Column("CREATED"),
    Column("MODEL", 20),
    Column("TOKENS"),
    Column("FINISH"),
    Column("META", 30),
    Column("ANSWER"),
)
MESSAGE_COLUMNS = (Column("ID"), Column("ROLE"), Column("CONTENT"))

EXAMPLES = examples(
    "hansard completions list --meta team=search",
    "hansard completions get chatcmpl-abc123",
    "hansard completions delete chatcmpl-abc123 --yes",
)
LIST_EXAMPLES = examples(
    "hansard completions list -m hansard-tiny --limit 50",
    "hansard completions list --meta team=search --meta stage=test --order asc",
    "hansard completions list --all --jsonl > completions.jsonl",
    "hansard completions list --meta team=old -q | xargs hansard completions delete --yes",
)
GET_EXAMPLES = examples(
    "hansard completions get chatcmpl-abc123",
    "hansard completions get chatcmpl-abc123 --json",
    "hansard completions get chatcmpl-abc123 --json --base-url http://10.0.0.5:8000/v1",
)
MESSAGES_EXAMPLES = examples(
    "hansard completions messages chatcmpl-abc123",
    "hansard completions messages chatcmpl-abc123 --jsonl",
    "hansard completions messages chatcmpl-abc123 -q",
)
UPDATE_EXAMPLES = examples(
    "hansard completions update chatcmpl-abc123 --meta quality=gold",
    "hansard completions update chatcmpl-abc123 --meta quality=gold --meta team=search",
    "hansard completions update chatcmpl-abc123 --clear",
)
DELETE_EXAMPLES = examples(
    "hansard completions delete chatcmpl-abc123",
    "hansard completions delete chatcmpl-abc123 chatcmpl-def456 --yes",
    "hansard completions delete chatcmpl-abc123 --yes --api-key-file key.txt",
)

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a stored completion.")]
Meta = Annotated[
    list[str] | None, typer.Option("--meta", metavar="K=V", help="Only those with this metadata. Repeatable.")
]
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="How many at most.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The completions a server has stored.", epilog=EXAMPLES)
    group.command("list", epilog=LIST_EXAMPLES)(list_completions)
    group.command("get", epilog=GET_EXAMPLES)(get)
    group.command("messages", epilog=MESSAGES_EXAMPLES)(messages)
    group.command("update", epilog=UPDATE_EXAMPLES)(update)
    group.command("delete", epilog=DELETE_EXAMPLES)(delete)
    app.add_typer(group, name="completions")


def list_completions(
    *,
    model: Model = None,
    meta: Meta = None,
    limit: Limit = 20,
    everything: Annotated[bool, typer.Option("--all", help="All of them, whatever --limit says.")] = False,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Begin after this one.")] = None,
    order: Order = "desc",
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
    only_ids: OnlyIds = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """List stored completions, newest first.

    A table where a person looks; tab-separated lines in a pipe.
    """
    from hansard.cli.client import Listing, connect

    form = chosen_form(as_json=as_json, as_jsonl=as_jsonl, only_ids=only_ids)
    query: list[tuple[str, str]] = [("order", order)]
    query += [("model", model)] if model else []
    query += [(f"metadata[{key}]", value) for key, value in pairs(meta).items()]
    server = connect(base_url, api_key_file)
    listing = Listing(server, PATH, query, after=after, limit=None if everything else limit)
    say_list(listing, form, columns=COLUMNS, row=_row, document=listing.document)
    if listing.last_id is None:
        hint("None found.")
    elif listing.more:
        hint(f"More follow: --all, or --after {printable(listing.last_id)}")
    elif form == "rows":
        hint(f"To see one: hansard completions get {printable(listing.last_id)}")


def get(
    completion_id: Id, *, as_json: AsJson = False, base_url: BaseUrl = BASE_URL, api_key_file: KeyFile = None
) -> None:
    """Show one: what was asked, what was answered, and how.

    --json prints the stored object as the API gives it, which is without the messages asked.
    """
    from hansard.cli.client import Listing, connect, segment

    server = connect(base_url, api_key_file)
    path = f"{PATH}/{segment(completion_id)}"
    stored = server.get(path)
    if as_json:
        say_json(stored)
        return
    for name, value in _facts(stored):
        say(f"{name:<10}{one_line(value)}")
    for message in Listing(server, f"{path}/messages", [], after=None, limit=None):
        say(f"\n{_speaker(message)}: {printable(_content(message))}")
    for choice in stored.get("choices") or ():
        say(f"\nassistant ({choice.get('finish_reason')}): {printable(_content(choice.get('message') or {}))}")


def messages(
    completion_id: Id,
    *,
    order: Order = "asc",
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
    only_ids: OnlyIds = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """List the messages that were sent to get it."""
    from hansard.cli.client import Listing, connect, segment

    form = chosen_form(as_json=as_json, as_jsonl=as_jsonl, only_ids=only_ids)
    path = f"{PATH}/{segment(completion_id)}/messages"
    listing = Listing(connect(base_url, api_key_file), path, [("order", order)], after=None, limit=None)
    say_list(listing, form, columns=MESSAGE_COLUMNS, row=_message_row, document=listing.document)


def update(
    completion_id: Id,
    *,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="K=V", help="Metadata to have instead. Repeatable."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Leave it without metadata.")] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """Replace the metadata: what is not named again is gone."""
    from hansard.cli.client import connect, segment

    metadata = pairs(meta)
    if bool(metadata) == clear:
        raise typer.BadParameter("give either --meta K=V or --clear.", param_hint="--meta")
    stored = connect(base_url, api_key_file).post(f"{PATH}/{segment(completion_id)}", {"metadata": metadata})
    if as_json:
        say_json(stored)
    kept = printable(spell_pairs(stored.get("metadata")))
    hint(f"Metadata replaced: {completion_id} now has {kept or 'none'}.")


def delete(
    completion_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of stored completions.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """Delete for good. Asks first; where nobody can be asked, say --yes."""
    from hansard.cli.client import connect, segment

    if not yes and not can_ask():
        raise CommandError("Nothing deleted: there is nobody to ask, so say --yes.", exit_code=USAGE)
    if not yes and not typer.confirm(f"Delete {_count(completion_ids)} for good?", err=True):
        raise CommandError("Nothing deleted.")
    server = connect(base_url, api_key_file)
    failures: list[CommandError] = []
    for completion_id in completion_ids:
        try:
            server.delete(f"{PATH}/{segment(completion_id)}")
            say(completion_id)
        except CommandError as error:
            failures.append(error)
            hint(f"{completion_id}: {error}")
    if failures:
        some = len(failures) < len(completion_ids)
        left = f"{_count(completion_ids[: len(failures)])} not deleted."
        raise CommandError(left, exit_code=PARTLY if some else failures[0].exit_code)


def _count(completion_ids: list[str]) -> str:
    return "1 completion" if len(completion_ids) == 1 else f"{len(completion_ids)} completions"


def _row(stored: dict[str, Any]) -> list[str]:
    choice: dict[str, Any] = next(iter(stored.get("choices") or ()), {})
    return [
        str(stored.get("id")),
        local_time(stored.get("created")),
        str(stored.get("model") or ""),
        _tokens(stored.get("usage")),
        str(choice.get("finish_reason") or ""),
        spell_pairs(stored.get("metadata")),
        _content(choice.get("message") or {}),
    ]


def _message_row(message: dict[str, Any]) -> list[str]:
    return [str(message.get("id")), _speaker(message), _content(message)]


def _facts(stored: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "id", str(stored.get("id"))
    yield "model", str(stored.get("model"))
    yield "created", local_time(stored.get("created"))
    yield "tokens", f"{_tokens(stored.get('usage'))} (asked/answered)"
    yield "seed", str(stored.get("seed"))
    yield "metadata", spell_pairs(stored.get("metadata")) or "none"
    yield "request", str(stored.get("request_id"))


def _tokens(usage: dict[str, Any] | None) -> str:
    return f"{usage.get('prompt_tokens')}/{usage.get('completion_tokens')}" if usage else ""


def _speaker(message: dict[str, Any]) -> str:
    role, name = str(message.get("role")), message.get("name")
    return f"{role} {name}" if name else role


def _content(message: dict[str, Any]) -> str:
    """What a message says, with a mark for what is not text."""
    parts = message.get("content_parts")
    said = [_part(part) for part in parts] if parts else [message.get("content") or message.get("refusal") or ""]
    calls = [call.get("function") or call.get("custom") or {} for call in message.get("tool_calls") or ()]
    said += [f"{call.get('name')}({call.get('arguments', call.get('input', ''))})" for call in calls]
    return "\n".join(str(piece) for piece in said if piece)


def _part(part: dict[str, Any]) -> str:
    return str(part.get("text")) if part.get("type") == "text" else f"[{part.get('type')}]"
