"""deploy/: what systemd, containers and Kubernetes are told fits the server, its settings and each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from hansard.config import Settings, resolve

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "systemd" / "hansard.service").read_text(encoding="utf-8")
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
COMPOSE: list[dict[str, Any]] = [
    yaml.safe_load((DEPLOY / "compose" / name).read_text(encoding="utf-8"))
    for name in ("compose.yaml", "compose.postgres.yaml")
]
DEPLOYMENT, SERVICE, BUDGET = yaml.safe_load_all((DEPLOY / "kubernetes" / "hansard.yaml").read_text(encoding="utf-8"))
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
DRAIN_S = resolve({}, {}, config_dir=Path("/nowhere"), data_dir=Path("/nowhere")).drain
OPEN_TO_ALL = {"/health", "/livez", "/readyz"}


def unit(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def variables() -> Iterator[tuple[str, str]]:
    for line in unit("Environment"):
        yield from ((pair.split("=")[0], "unit") for pair in line.split())
    yield from ((name, "Dockerfile") for name in re.findall(r"\b(HANSARD_\w+)=", DOCKERFILE))
    for file in COMPOSE:
        yield from ((name, "Compose") for name in file["services"]["hansard"].get("environment", {}))
    yield from ((each["name"], "Kubernetes") for each in CONTAINER["env"])


@pytest.mark.parametrize(("name", "where"), [pair for pair in variables() if pair[0].startswith("HANSARD_")])
def test_every_variable_is_a_setting(name: str, where: str) -> None:
    setting = name.removeprefix("HANSARD_").lower()

    assert {setting, setting.removesuffix("_file")} & {*Settings.__struct_fields__}, where


# systemd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "hansard.service"
    file.write_text(UNIT.replace("/opt/hansard/.venv/bin/hansard", sys.executable), encoding="utf-8")

    ran = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60)

    # Of other units of this machine it may complain too.
    assert "hansard.service" not in ran.stderr


def test_the_unit_waits_for_streams_and_for_the_word_that_it_is_ready() -> None:
    assert unit("Type") == ["notify"]
    assert int(unit("TimeoutStopSec")[0]) > DRAIN_S


def test_the_unit_gives_it_its_own_place_and_keys_and_nothing_else() -> None:
    assert unit("DynamicUser") == unit("NoNewPrivileges") == ["yes"]
    assert unit("ProtectSystem") == ["strict"]
    assert unit("StateDirectory") == ["hansard"]
    assert unit("LoadCredential") == ["api_key:/etc/hansard/api_key"]


# Containers


def test_the_image_copies_what_is_there_and_not_ignored() -> None:
    kept = [line[1:] for line in IGNORED.splitlines() if line.startswith("!")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), source


def test_the_image_is_pinned_runs_as_nobody_and_installs_by_hash() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    installs = re.findall(r"pip install (.*)", DOCKERFILE)

    assert all(re.search(r":\d", base) for base in bases)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert "HEALTHCHECK" in DOCKERFILE


def test_the_images_lock_has_the_runtimes_versions_and_the_extras() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", text, re.MULTILINE))

    container = pins("container.txt")
    assert pins("runtime.txt").items() <= container.items()
    assert {"psycopg", "opentelemetry-sdk"} <= container.keys()


def test_compose_names_only_what_it_declares() -> None:
    secrets = {name for file in COMPOSE for name in file.get("secrets", {})}
    volumes = {name for file in COMPOSE for name in file.get("volumes", {})}

    for file in COMPOSE:
        for service in file["services"].values():
            assert set(service.get("secrets", ())) <= secrets
            assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= volumes


def test_compose_waits_for_streams_and_opens_only_to_this_machine() -> None:
    service = COMPOSE[0]["services"]["hansard"]

    assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN_S
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (DEPLOY / "compose" / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()


# Kubernetes


def test_the_pod_waits_for_proxies_and_then_for_streams() -> None:
    [drain_s] = [float(each["value"]) for each in CONTAINER["env"] if each["name"] == "HANSARD_DRAIN"]
    pause_s = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][-1])

    assert POD["terminationGracePeriodSeconds"] > pause_s + drain_s


def test_probes_ask_what_needs_no_key_and_only_readiness_asks_for_the_database() -> None:
    paths = {kind: CONTAINER[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}

    assert set(paths.values()) <= OPEN_TO_ALL
    assert paths["readiness"] == "/readyz"
    assert paths["liveness"] == paths["startup"] == "/livez"


def test_the_parts_of_the_manifest_fit() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    volumes = {volume["name"] for volume in POD["volumes"]}

    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == SERVICE["spec"]["selector"] == labels
    assert BUDGET["spec"]["selector"]["matchLabels"] == labels
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
    assert SERVICE["spec"]["ports"][0]["targetPort"] in {port["name"] for port in CONTAINER["ports"]}
