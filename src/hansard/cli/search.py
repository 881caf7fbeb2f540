"""``hansard search``: stored completions by what was said in them, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from hansard.cli.options import BASE_URL, AsJson, AsJsonl, BaseUrl, KeyFile, Model, OnlyIds, examples, pairs
from hansard.cli.output import Column, chosen_form, hint, local_time, say_list, spell_pairs
from hansard.printable import printable

PATH = "/hansard/v1/search"
PAGE = 100

COLUMNS = (
    Column("ID"),
    Column("CREATED"),
    Column("MODEL", 20),
    Column("FINISH"),
    Column("META", 30),
    Column("TEXT"),
)

EXAMPLES = examples(
    "hansard search refund policy",
    "hansard search '\"capital of\" fran*' --meta team=search",
    "hansard search timeout -m gpt-4o --finish length --since 2026-11-01",
    "hansard search refund --limit 500 --jsonl > found.jsonl",
)


def add_to(app: typer.Typer) -> None:
    app.command("search", epilog=EXAMPLES)(search)


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="All must occur; begin* and '\"a phrase\"'.")],
    *,
    model: Model = None,
    meta: Annotated[
        list[str] | None, typer.Option("--meta", metavar="K=V", help="Only those with this metadata. Repeatable.")
    ] = None,
    finish: Annotated[str | None, typer.Option(metavar="REASON", help="Only those that ended so: stop ...")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From then on: 2026-11-20, unix seconds.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before then.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many at most.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Go on after this one.")] = None,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
    only_ids: OnlyIds = False,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """Search messages and answers of stored completions, newest first. The server must run with --search on."""
    from hansard.cli.client import connect

    form = chosen_form(as_json=as_json, as_jsonl=as_jsonl, only_ids=only_ids)
    query = [("q", " ".join(words))]
    query += [("model", model)] if model else []
    query += [(f"metadata[{key}]", value) for key, value in pairs(meta).items()]
    query += [("finish_reason", finish)] if finish else []
    query += [("created_after", str(_seconds(since, "--since") - 1))] if since else []
    query += [("created_before", str(_seconds(until, "--until")))] if until else []
    found = _Found(connect(base_url, api_key_file), query, after=after, limit=limit)
    say_list(found, form, columns=COLUMNS, row=_row, document=found.document)
    found.tell()


class _Found:
    """What is found, page after page. A page without hits ends it if the server's time was over."""

    def __init__(self, server: Any, query: list[tuple[str, str]], *, after: str | None, limit: int) -> None:
        self._server = server
        self._query = query
        self._limit = limit
        self._next = after
        self._page: dict[str, Any] = {}
        self._count = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            after = [("after", self._next)] if self._next else []
            size = min(PAGE, self._limit - self._count)
            self._page = self._server.get(PATH, [*self._query, *after, ("limit", str(size))])
            hits = self._page.get("data") or []
            self._count += len(hits)
            self._next = self._page.get("next_after")
            yield from hits
            if self._next is None or not hits or self._count >= self._limit:
                return

    def document(self, hits: list[dict[str, Any]]) -> dict[str, Any]:
        """All that was given, in the form of one page."""
        ids = {"first_id": hits[0]["id"], "last_id": hits[-1]["id"]} if hits else {"first_id": None, "last_id": None}
        return {"object": "list", "data": hits, **ids} | {
            name: self._page.get(name) for name in ("has_more", "complete", "next_after")
        }

    def tell(self) -> None:
        """What the list itself does not say."""
        if self._next is not None:
            why = "More follow" if self._count >= self._limit else "The server's time was over; older ones"
            hint(f"{why}: --after {printable(self._next)}")
        elif not self._page.get("complete", True):
            hint("The server is still indexing what was stored before; older ones may be missing.")
        elif not self._count:
            hint("None found.")


def _seconds(text: str, option: str) -> int:
    """Unix seconds of a time as ISO 8601 writes it, local if it names no zone."""
    from datetime import datetime

    try:
        return int(text) if text.isdigit() else int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-11-20T10:15.", param_hint=option) from error


def _row(hit: dict[str, Any]) -> list[str]:
    return [
        str(hit.get("id")),
        local_time(hit.get("created")),
        str(hit.get("model") or ""),
        str(hit.get("finish_reason") or ""),
        spell_pairs(hit.get("metadata")),
        str(hit.get("snippet") or ""),
    ]
