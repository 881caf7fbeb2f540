"""What `hansard serve` says once it can answer: where, from which directory, and what to type next.

The three blocks are meant to be copied, so nothing but the code stands on their lines.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hansard import __version__
from hansard.config import BUILTIN_NAME

if TYPE_CHECKING:
    from hansard.config import Settings
    from hansard.engines.base import ServedModel

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 (shown, not listened on)

DEMONSTRATION = " (built in: a demonstration model, small enough to be wrong about most things)"


def banner(settings: Settings, models: Sequence[ServedModel], base_url: str, *, command: str, colour: bool) -> str:
    """The text; ``base_url`` is where it listens, up to ``/v1``; ``command`` starts this program."""
    heading = _bold if colour else str
    here = _reachable(base_url)
    file = settings.db_file
    model = models[0].id if models else "MODEL"
    lines = [
        heading(f"Hansard {__version__} listens on {base_url}"),
        f"Data: {settings.data}" if file is not None and file.parent == settings.data else f"Data: {settings.db}",
        *_models(settings, models),
        "",
        heading("Python (pip install openai)"),
        "",
        *_python(here, model, keyed=bool(settings.api_key)),
        "",
        heading("curl"),
        "",
        *_curl(here, model, keyed=bool(settings.api_key)),
        "",
        heading("Use a real model"),
        "",
        f"{command} serve --model path/to/model.gguf",
        f"{command} serve --upstream http://localhost:11434/v1",
        "",
    ]
    return "\n".join(lines)


def invocation(argv0: str) -> str:
    """How to type this program again: by its name where that finds it, else by the path it was started by."""
    if Path(argv0).name == "__main__.py":
        return "python -m hansard"
    found = shutil.which("hansard")
    return "hansard" if found and Path(found).resolve() == Path(argv0).resolve() else argv0


def _models(settings: Settings, models: Sequence[ServedModel]) -> Iterator[str]:
    demonstration = {spec.name for spec in settings.models if spec.path is None} & {BUILTIN_NAME}
    for model in models:
        if model.id in settings.aliases:
            continue
        yield f"Model: {model.id}{DEMONSTRATION if model.id in demonstration else ''}"
    for name, target in settings.aliases.items():
        yield f"Alias: {name} = {target}"


def _python(base_url: str, model: str, *, keyed: bool) -> Iterator[str]:
    key = 'os.environ["OPENAI_API_KEY"]' if keyed else '"unused"'
    if keyed:
        yield "import os"
    yield "from openai import OpenAI"
    yield f'client = OpenAI(base_url="{base_url}", api_key={key})'
    yield "completion = client.chat.completions.create("
    yield f'    model="{model}",'
    yield '    messages=[{"role": "user", "content": "What is the capital of France?"}],'
    yield "    store=True,"
    yield '    metadata={"team": "demo"},'
    yield ")"
    yield "print(completion.choices[0].message.content)"
    yield 'print([stored.id for stored in client.chat.completions.list(metadata={"team": "demo"})])'


def _curl(base_url: str, model: str, *, keyed: bool) -> Iterator[str]:
    yield f"curl {base_url}/chat/completions \\"
    if keyed:
        yield '  -H "Authorization: Bearer $OPENAI_API_KEY" \\'
    yield "  -H 'Content-Type: application/json' \\"
    yield (f'  -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}], "store": true}}\'')


def _reachable(base_url: str) -> str:
    for everywhere, here in EVERYWHERE.items():
        base_url = base_url.replace(f"//{everywhere}:", f"//{here}:")
    return base_url


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m"
