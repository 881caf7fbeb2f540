"""Who is judged: how each is installed, started and asked. The gateways all stand before the engine's own server."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.proxy.peers import PEERS, Peer, Place, pip
from hansard.engines.llamacpp.engine import BUILTIN

# Hansard is judged with a key set, so that what it says to those without one is judged, too.
KEY = "sk-conformance-of-this-run"
UPSTREAM_MODEL = "mock"


@dataclass(frozen=True)
class Subject:
    """One server to judge. ``how`` tells readers what was run; ``before_engine`` means that it relays to one."""

    name: str
    how: str
    command: Callable[[Place], list[str]]
    install: Callable[[Path], str]
    model: str
    key: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    before_engine: bool = False


def engine_server(port: int) -> list[str]:
    """The engine's own server with the built-in model."""
    return [sys.executable, "-m", "bench.conformance.engine_server", str(BUILTIN), str(port)]


def _hansard(name: str, how: str, model: str, *arguments: str, before_engine: bool = False) -> Subject:
    def command(place: Place) -> list[str]:
        serve = [sys.executable, "-m", "hansard", "serve", "--port", str(place.port), "--data", str(place.folder)]
        upstream = ["--config", str(_upstream(place))] if before_engine else []
        return [*serve, "--log", "off", *arguments, *upstream]

    return Subject(
        name=name,
        how=how,
        command=command,
        install=lambda _: importlib.metadata.version("hansard"),
        model=model,
        key=KEY,
        environment={"HANSARD_API_KEY": KEY},
        before_engine=before_engine,
    )


def _upstream(place: Place) -> Path:
    """Settings without the breaker: requests that the engine's server fails at come one behind the other here."""
    file = place.folder / "hansard.toml"
    file.write_text(f'[[upstreams]]\nbase_url = "{place.upstream}"\nbreaker_failures = 0\n')
    return file


def _peer(name: str, how: str, **environment: str) -> Subject:
    peer: Peer = next(peer for peer in PEERS if peer.name == name)
    return Subject(
        name=name,
        how=how,
        command=peer.command,
        install=peer.install,
        model=peer.model,
        environment={**peer.environment, **environment},
        before_engine=True,
    )


def _llama_cpp_python(place: Place) -> list[str]:
    python = place.environments / "llama-cpp-python" / "bin" / "python"
    options = {"model": BUILTIN, "model_alias": UPSTREAM_MODEL, "port": place.port, "n_ctx": 2048, "n_threads": 1}
    flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [str(python), "-m", "llama_cpp.server", *flags]


SUBJECTS = (
    _hansard("Hansard, echo", "`hansard serve --model echo`", "echo", "--model", "echo"),
    _hansard("Hansard, embedded", "`hansard serve`, the built-in model", "hansard-tiny", "--threads", "1"),
    _hansard(
        "Hansard, gateway",
        "`hansard serve` with this upstream and `breaker_failures = 0`, before the engine's own server",
        UPSTREAM_MODEL,
        before_engine=True,
    ),
    Subject(
        name="xllamacpp",
        how="llama.cpp's own server, from the package `xllamacpp`, the same model",
        command=lambda place: engine_server(place.port),
        install=lambda _: importlib.metadata.version("xllamacpp"),
        model=UPSTREAM_MODEL,
    ),
    Subject(
        name="llama-cpp-python",
        how="`python -m llama_cpp.server`, the same model",
        command=_llama_cpp_python,
        install=lambda environments: pip(environments, "llama-cpp-python", "llama-cpp-python[server]", sys.executable),
        model=UPSTREAM_MODEL,
    ),
    _peer("LiteLLM", "the proxy, before the engine's own server"),
    # Its other format takes seconds to print what it thinks of each wrong request.
    _peer("OGX", "inference with its store, before the engine's own server", OGX_LOG_FORMAT="json"),
)
