"""Who stands in front of the mock upstream: how each is installed, started and asked.

Each in an environment of its own under the bench's folder; nothing of theirs is imported here.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

HONO_NODE_SERVER = "1.13.8"  # with the one npm picks, Portkey's streams fail


class CannotInstall(Exception):
    """The peer cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Place:
    """Where a server is to run: its port, the upstream's port, and a folder for its files."""

    port: int
    upstream_port: int
    folder: Path
    environments: Path

    @property
    def upstream(self) -> str:
        """The upstream's base URL."""
        return f"http://127.0.0.1:{self.upstream_port}/v1"


@dataclass(frozen=True)
class Peer:
    """One server of the comparison. ``headers`` are those it needs of a client; ``kept`` counts what it stored."""

    name: str
    command: Callable[[Place], list[str]]
    install: Callable[[Path], str]
    model: str = "mock"
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Callable[[Place], Mapping[str, str]] = lambda place: {}
    kept: Callable[[Place], int] | None = None


def _nothing_to_install(_: Path) -> str:
    return (
        subprocess.run([sys.executable, "-m", "hansard", "--version"], check=True, capture_output=True, text=True)
        .stdout.strip()
        .rpartition(" ")[2]
    )


def _hansard(place: Place) -> list[str]:
    serve = [sys.executable, "-m", "hansard", "serve", "--port", str(place.port), "--data", str(place.folder)]
    return [*serve, "--upstream", place.upstream]


def _find_nginx(_: Path) -> str:
    if shutil.which("nginx") is None:
        raise CannotInstall("nginx is not installed; on Debian: apt-get install nginx-light")
    return subprocess.run(["nginx", "-v"], check=True, capture_output=True, text=True).stderr.strip().rpartition("/")[2]


NGINX = """
daemon off; worker_processes 1; error_log stderr crit; pid {folder}/nginx.pid;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream mock {{ server 127.0.0.1:{upstream_port}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


def _nginx(place: Place) -> list[str]:
    file = place.folder / "nginx.conf"
    file.write_text(NGINX.format(folder=place.folder, port=place.port, upstream_port=place.upstream_port))
    return ["nginx", "-e", "stderr", "-p", str(place.folder), "-c", str(file)]


def pip(environments: Path, name: str, requirement: str, python: str) -> str:
    """The package in an environment of that Python; its version."""
    environment = environments / name
    interpreter = environment / "bin" / "python"
    version = f"import importlib.metadata as m; print(m.version({name!r}))"
    if not _succeeds([str(interpreter), "-c", version]):
        print(f"installing {requirement} (once) ...", flush=True)
        _must([python, "-m", "venv", "--clear", str(environment)])
        _must([str(interpreter), "-m", "pip", "install", "--quiet", requirement])
    return subprocess.run([interpreter, "-c", version], check=True, capture_output=True, text=True).stdout.strip()


def _install_litellm(environments: Path) -> str:
    return pip(environments, "litellm", "litellm[proxy]", sys.executable)


def _litellm(place: Place) -> list[str]:
    parameters = {"model": "openai/mock", "api_base": place.upstream, "api_key": "none"}
    file = place.folder / "litellm.yaml"  # JSON is YAML
    file.write_text(json.dumps({"model_list": [{"model_name": "mock", "litellm_params": parameters}]}))
    command = place.environments / "litellm" / "bin" / "litellm"
    return [str(command), "--config", str(file), "--host", "127.0.0.1", "--port", str(place.port)]


def _install_portkey(environments: Path) -> str:
    folder = environments / "portkey"
    manifest = folder / "node_modules" / "@portkey-ai" / "gateway" / "package.json"
    if not manifest.exists():
        if shutil.which("npm") is None:
            raise CannotInstall("npm is not installed")
        print("installing @portkey-ai/gateway (once) ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": "*"},
            "overrides": {"@hono/node-server": HONO_NODE_SERVER},
        }
        (folder / "package.json").write_text(json.dumps(wanted))
        _must(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)])
    return str(json.loads(manifest.read_text())["version"])


def _portkey(place: Place) -> list[str]:
    package = place.environments / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
    return ["node", str(package / "build" / "start-server.js"), f"--port={place.port}", "--headless"]


def _portkey_headers(place: Place) -> Mapping[str, str]:
    return {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": place.upstream,
        "authorization": "Bearer none",
    }


def _install_ogx(environments: Path) -> str:
    python = next(filter(None, (_python(minor) for minor in ("3.12", "3.13"))), None)
    if python is None:
        raise CannotInstall("OGX needs Python 3.12 or newer, and there is none here")
    return pip(environments, "ogx", "ogx", python)


def _ogx(place: Place) -> list[str]:
    """Only inference, and its store as its own starter distribution sets it up."""
    stores = {
        "metadata": {"namespace": "registry", "backend": "kv_default"},
        "inference": {
            "table_name": "inference_store",
            "backend": "sql_default",
            "max_write_queue_size": 10000,
            "num_writers": 4,
        },
    }
    backends = {
        "kv_default": {"type": "kv_sqlite", "db_path": f"{place.folder}/kv.db"},
        "sql_default": {"type": "sql_sqlite", "db_path": f"{place.folder}/sql.db"},
    }
    upstream = {
        "provider_id": "vllm",
        "provider_type": "remote::vllm",
        "config": {"base_url": place.upstream, "api_token": "none"},
    }
    file = place.folder / "ogx.yaml"
    file.write_text(
        json.dumps(
            {
                "version": 2,
                "distro_name": "bench",
                "apis": ["inference"],
                "providers": {"inference": [upstream]},
                "storage": {"backends": backends, "stores": stores},
                "registered_resources": {"models": []},
                "server": {"host": "127.0.0.1", "port": place.port},
            }
        )
    )
    return [str(place.environments / "ogx" / "bin" / "ogx"), "run", "--insecure", str(file)]


def _rows(file: str, table: str) -> Callable[[Place], int]:
    def count(place: Place) -> int:
        with closing(sqlite3.connect(f"file:{place.folder / file}?mode=ro", uri=True)) as database:
            return int(database.execute(f"select count(*) from {table}").fetchone()[0])

    return count


def _python(minor: str) -> str | None:
    """A Python of that version that really runs; a shim may stand for one that is not there."""
    known = [shutil.which(f"python{minor}"), *map(str, Path.home().glob(f".pyenv/versions/{minor}.*/bin/python"))]
    return next((path for path in filter(None, known) if _succeeds([path, "-c", "import venv"])), None)


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _must(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        lines = (ended.stderr or ended.stdout).strip().splitlines()
        raise CannotInstall(f"{Path(command[0]).name} failed: {lines[-1] if lines else ended.returncode}")


PEERS = (
    Peer("nginx", _nginx, _find_nginx),
    Peer("Hansard", _hansard, _nothing_to_install, kept=_rows("hansard.sqlite3", "completions")),
    Peer(
        "Portkey",
        _portkey,
        _install_portkey,
        environment={"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        headers=_portkey_headers,
    ),
    Peer(
        "LiteLLM",
        _litellm,
        _install_litellm,
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        },
    ),
    Peer("OGX", _ogx, _install_ogx, model="vllm/mock", kept=_rows("sql.db", "inference_store")),
)
