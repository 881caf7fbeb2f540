"""cli/config: every setting with its origin, and no key ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hansard.cli.config import LIMITS
from hansard.config import UpstreamSpec
from tests.cli.run import Run


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    (tmp_path / "m.gguf").touch()
    file = tmp_path / "hansard.toml"
    file.write_text(
        'data = "here"\n[aliases]\n"*" = "m"\n[[models]]\npath = "m.gguf"\nctx = 512\n'
        '[[upstreams]]\nname = "far"\nbase_url = "http://far/v1"\nkey_env = "FAR_KEY"\n'
    )
    return file


def test_each_value_has_its_origin_and_keys_stay_hidden(run: Run, toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_PORT", "8123")
    monkeypatch.setenv("HANSARD_API_KEY", "sk-secret-1")
    monkeypatch.setenv("FAR_KEY", "sk-secret-2")

    outcome = run("config", "show", "--config", str(toml))

    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert lines[0] == "setting\tvalue\torigin"
    assert f"config\t{toml}\t--config" in lines
    assert "port\t8123\tHANSARD_PORT" in lines
    assert "host\t127.0.0.1\tdefault" in lines
    assert f"data\t{toml.parent / 'here'}\tdata in {toml}" in lines
    assert f"models\tm={toml.parent / 'm.gguf'} (ctx=512)\tmodels in {toml}" in lines
    assert f"upstreams\tfar=http://far/v1\tupstreams in {toml}" in lines
    assert f"aliases\t*=m\taliases in {toml}" in lines
    assert "api_key\tset (from HANSARD_API_KEY)\tHANSARD_API_KEY" in lines
    assert "sk-secret" not in outcome.out + outcome.err


def test_json(run: Run, toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_CONFIG", str(toml))
    monkeypatch.setenv("FAR_KEY", "sk-secret-2")
    monkeypatch.setenv("HANSARD_DRAIN", "5")

    outcome = run("config", "show", "--json")

    assert json.loads(outcome.out)["drain"] == {"value": "5.0", "origin": "HANSARD_DRAIN"}
    assert "sk-secret" not in outcome.out


def test_every_mistake_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSARD_PORT", "x")
    monkeypatch.setenv("HANSARD_LOGG", "off")

    outcome = run("config", "show")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "HANSARD_PORT: 'x' is not a whole number from 0 to 65535.\nHANSARD_LOGG: unknown; did you mean HANSARD_LOG?\n"
    )


def test_an_upstreams_limits_are_shown_where_they_are_not_the_usual_ones(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "h.toml"
    file.write_text(
        '[[upstreams]]\nname = "far"\nbase_url = "http://far/v1"\nretries = 2\nconnect_s = 1.5\n'
        "retry_share = 0.5\nbreaker_failures = 3\n"
    )

    outcome = run("config", "show", "--config", str(file))

    assert "upstreams\tfar=http://far/v1 (connect_s=1.5 retry_share=0.5 breaker_failures=3)\t" in outcome.out


def test_every_limit_of_an_upstream_is_shown() -> None:
    other = {"name", "address", "key", "takes_client_key", "headers", "unsupported"}

    assert set(LIMITS) == set(UpstreamSpec.__struct_fields__) - other
