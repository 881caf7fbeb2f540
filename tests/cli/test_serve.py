"""cli/serve and cli/banner: from flags to settings, and what is said once it runs."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import hansard.app
from hansard.cli.banner import banner, invocation
from hansard.config import Settings, resolve
from hansard.engines.base import ServedModel
from hansard.errors import StartupError
from tests.cli.run import Run

TINY = ServedModel(id="hansard-tiny", created=1, owned_by="hansard")
OnReady = Callable[[str, Sequence[ServedModel]], None]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """Stands in for the running server: says that it is ready, and ends."""
    settings_seen: list[Settings] = []

    def serve(settings: Settings, *, on_ready: OnReady, on_stop: Callable[[], None]) -> None:
        settings_seen.append(settings)
        on_ready("http://127.0.0.1:8123/v1", [TINY])
        on_stop()

    monkeypatch.setattr(hansard.app, "serve", serve)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    return settings_seen


def test_flags_become_settings_and_the_banner_goes_to_stderr(run: Run, served: list[Settings], tmp_path: Path) -> None:
    outcome = run(
        *("serve", "--port", "8123", "--data", str(tmp_path), "--alias", "*=hansard-tiny", "--alias", "a=hansard-tiny"),
        *("--parallel", "2", "--ctx", "512", "--threads", "1", "--gpu-layers", "0", "--log", "off", "--queue", "3"),
    )

    settings = served[0]
    assert (outcome.code, outcome.out) == (0, "")
    assert "listens on http://127.0.0.1:8123/v1\n" in outcome.err
    assert (settings.port, settings.data, settings.log, settings.queue) == (8123, tmp_path, "off", 3)
    assert settings.aliases == {"*": "hansard-tiny", "a": "hansard-tiny"}
    assert [(m.ctx, m.parallel, m.threads, m.gpu_layers) for m in settings.models] == [(512, 2, 1, 0)]
    assert settings.origins["port"] == "--port"


def test_every_setting_has_a_flag(run: Run) -> None:
    page = run("serve", "--help").out
    flags = {"models": "model", "upstreams": "upstream", "aliases": "alias", "redactions": "redaction"}
    files = {"api_key": "api_key_file", "upstream_key": "upstream_key_file"}

    for name in set(Settings.__struct_fields__) - {"origins"}:
        assert f"  --{flags.get(name, files.get(name, name)).replace('_', '-')} " in page


def test_all_mistakes_are_told_and_nothing_is_served(run: Run, served: list[Settings]) -> None:
    outcome = run("serve", "--port", "x", "--ctx", "y", "--host", "0.0.0.0")

    assert outcome == (
        1,
        "",
        "--port: 'x' is not a whole number from 0 to 65535.\n--ctx: 'y' is not a whole number, 1 or more.\n",
    )
    assert served == []


def test_what_stops_the_start_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(settings: Settings, *, on_ready: OnReady, on_stop: Callable[[], None]) -> None:
        raise StartupError("Port 8000 on 127.0.0.1 is in use. Choose another: --port 8001")

    monkeypatch.setattr(hansard.app, "serve", serve)

    assert run("serve") == (1, "", "Port 8000 on 127.0.0.1 is in use. Choose another: --port 8001\n")


def settings(tmp_path: Path, flags: dict[str, object] | None = None, key: str = "") -> Settings:
    return resolve(flags or {}, {"HANSARD_API_KEY": key}, config_dir=tmp_path, data_dir=Path("/srv/hansard"))


def test_the_banner(tmp_path: Path) -> None:
    text = banner(settings(tmp_path), [TINY], "http://127.0.0.1:8000/v1", command="hansard", colour=False)

    assert (
        text.split("\n", 1)[1]
        == """\
Data: /srv/hansard
Model: hansard-tiny (built in: a demonstration model, small enough to be wrong about most things)

Python (pip install openai)

from openai import OpenAI
client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="unused")
completion = client.chat.completions.create(
    model="hansard-tiny",
    messages=[{"role": "user", "content": "What is the capital of France?"}],
    store=True,
    metadata={"team": "demo"},
)
print(completion.choices[0].message.content)
print([stored.id for stored in client.chat.completions.list(metadata={"team": "demo"})])

curl

curl http://127.0.0.1:8000/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -d '{"model": "hansard-tiny", "messages": [{"role": "user", "content": "Hello!"}], "store": true}'

Use a real model

hansard serve --model path/to/model.gguf
hansard serve --upstream http://localhost:11434/v1
"""
    )


@pytest.mark.parametrize("key", ["", "sk-secret"])
def test_the_blocks_can_be_pasted(tmp_path: Path, key: str) -> None:
    told = settings(tmp_path, {"host": "0.0.0.0"} if key else None, key)
    text = banner(told, [TINY], "http://0.0.0.0:8000/v1", command=".venv/bin/hansard", colour=False)

    python = text.split("Python (pip install openai)\n")[1].split("\ncurl\n")[0]
    curl = text.split("\ncurl\n")[1].split("\nUse a real model\n")[0]
    ast.parse(python)
    assert shlex.split(curl)[:2] == ["curl", "http://127.0.0.1:8000/v1/chat/completions"]
    assert "listens on http://0.0.0.0:8000/v1" in text
    assert "sk-secret" not in text
    assert ("Authorization: Bearer $OPENAI_API_KEY" in curl) is bool(key)
    assert ('os.environ["OPENAI_API_KEY"]' in python) is bool(key)


def test_only_the_builtin_model_is_called_a_demonstration(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    told = settings(tmp_path, {"models": [str(tmp_path / "m.gguf")], "aliases": ["*=m"], "db": "sqlite:////x/h.db"})
    served = [ServedModel(id="m", created=1, owned_by="hansard")]

    text = banner(told, served, "http://127.0.0.1:8000/v1", command="hansard", colour=False)

    assert "Data: sqlite:////x/h.db\nModel: m\nAlias: * = m\n" in text


def test_an_alias_is_shown_once(tmp_path: Path) -> None:
    told = settings(tmp_path, {"aliases": ["gpt-4o=hansard-tiny"]})
    served = [TINY, ServedModel(id="gpt-4o", created=1, owned_by="hansard")]

    text = banner(told, served, "http://127.0.0.1:8000/v1", command="hansard", colour=False)

    assert [line for line in text.splitlines() if "gpt-4o" in line] == ["Alias: gpt-4o = hansard-tiny"]


def test_colour_is_only_on_headings(tmp_path: Path) -> None:
    text = banner(settings(tmp_path), [TINY], "http://127.0.0.1:8000/v1", command="hansard", colour=True)

    assert "\n\x1b[1mcurl\x1b[0m\n\ncurl http" in text
    assert text.count("\x1b[1m") == 4


def test_the_command_is_shown_as_it_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed = tmp_path / "hansard"
    installed.touch(mode=0o755)

    monkeypatch.setenv("PATH", "")
    assert invocation(".venv/bin/hansard") == ".venv/bin/hansard"
    assert invocation("/usr/lib/python3/hansard/__main__.py") == "python -m hansard"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invocation(str(installed)) == "hansard"
    assert invocation(".venv/bin/hansard") == ".venv/bin/hansard"
