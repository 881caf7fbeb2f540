"""``hansard chat``: one answer in the terminal, written as it is born, or a conversation."""

from __future__ import annotations

import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hansard.cli.exits import USAGE, CommandError
from hansard.cli.options import BASE_URL, BaseUrl, KeyFile, Model, examples, pairs
from hansard.cli.output import hint
from hansard.printable import printable

if TYPE_CHECKING:
    from hansard.cli.client import Server

EXAMPLES = examples(
    "hansard chat 'What is the capital of France?'",
    "hansard chat -m hansard-tiny --store --meta team=search 'Say hello.'",
    "hansard chat --system 'Answer in one word.'",
    "hansard chat - < question.txt > answer.txt",
)

# How an answer ended, where that is worth a word.
ENDINGS = {
    "length": "The answer was cut: it reached the limit of tokens.",
    "content_filter": "The answer was cut by a content filter.",
}


def add_to(app: typer.Typer) -> None:
    app.command("chat", epilog=EXAMPLES)(chat)


def chat(
    *,
    prompt: Annotated[
        list[str] | None, typer.Argument(metavar="[PROMPT]", help="What to say; '-' reads it from stdin.")
    ] = None,
    model: Model = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="Instructions to go before it.")] = None,
    store: Annotated[bool, typer.Option("--store", help="Have the server keep each answer.")] = False,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Metadata to keep with it; implies --store. Repeatable.")
    ] = None,
    base_url: BaseUrl = BASE_URL,
    api_key_file: KeyFile = None,
) -> None:
    """Print an answer as it comes; without PROMPT, hold a conversation.

    Ctrl-C stops an answer, Ctrl-D ends the conversation. Without --model the first model the
    server lists answers.
    """
    from hansard.cli.client import connect

    metadata = pairs(meta)
    server = connect(base_url, api_key_file)
    request: dict[str, Any] = {"model": model or _first_model(server), "stream": True}
    if store or metadata:
        request |= {"store": True, "metadata": metadata}
    talk = Talk(server, request, system=system)
    if prompt and prompt != ["-"]:
        talk.answer(" ".join(prompt))
    elif not prompt and sys.stdin.isatty():
        _converse(talk)
    else:
        talk.answer(sys.stdin.read())


class Talk:
    """A conversation so far: each answer is printed as it comes and becomes part of what follows."""

    def __init__(self, server: Server, request: dict[str, Any], *, system: str | None) -> None:
        self._server = server
        self._request = request
        self._messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []

    def answer(self, prompt: str) -> None:
        """Say it and print the answer. One that fails or is stopped is not remembered."""
        messages = [*self._messages, {"role": "user", "content": prompt}]
        stream = self._server.stream("/chat/completions", {**self._request, "messages": messages})
        answer, ending, completion_id = "", None, ""
        try:
            with closing(stream):
                for chunk in stream:
                    text, ended = _first_choice(chunk)
                    answer, ending, completion_id = answer + text, ended or ending, chunk.get("id", "")
                    _write(text)
        finally:
            if answer and not answer.endswith("\n"):
                _write("\n")
        self._messages = [*messages, {"role": "assistant", "content": answer}]
        if ending in ENDINGS:
            hint(ENDINGS[ending])
        if self._request.get("store"):
            hint(f"Stored. To see it again: hansard completions get {printable(completion_id)}")


def _converse(talk: Talk) -> None:
    with suppress(ImportError):  # editing and history at the prompt, where the platform has it
        import readline  # noqa: F401
    hint("Ctrl-C stops an answer, Ctrl-D ends the conversation.")
    while True:
        try:
            prompt = input("> ")
        except EOFError:
            hint("")
            return
        if not prompt.strip():
            continue
        try:
            talk.answer(prompt)
        except KeyboardInterrupt:
            hint("Stopped.")
        except CommandError as error:
            hint(str(error))


def _first_model(server: Server) -> str:
    models = server.get("/models").get("data") or []
    if not models:
        raise CommandError("The server lists no models; name one with --model.", exit_code=USAGE)
    return str(models[0]["id"])


def _first_choice(chunk: dict[str, Any]) -> tuple[str, str | None]:
    """The text in this chunk, and how the answer ended if this is where it did."""
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        return delta.get("content") or delta.get("refusal") or "", choice.get("finish_reason")
    return "", None


def _write(text: str) -> None:
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
