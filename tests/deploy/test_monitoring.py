"""deploy/grafana and deploy/prometheus: every number and label they ask for is one that the server exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hansard.observe import (
    Committed,
    Crashed,
    EngineChanged,
    RecordLost,
    RecordsExpired,
    RequestServed,
    TargetFailed,
    UpstreamTried,
    Work,
)
from hansard.observe.metrics import Metrics, Now

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "hansard.json").read_text(encoding="utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
RULES = ALERTS["groups"][0]["rules"]

METRIC = re.compile(r"\b((?:hansard|process)_\w+)(?:\{(.*?)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
# What Prometheus itself puts on every sample.
OF_THE_SCRAPE = {"instance", "job"}


def exported() -> dict[str, set[str]]:
    """The labels of each sample's name, of a server to which everything has happened once."""
    work = Work(model_name="m", engine="u", queue_s=1, first_chunk_s=1, last_chunk_s=2, finish_reason="stop")
    known = {"method": "POST", "path": "/chat/completions", "status": 200, "duration_ms": 1, "request_id": "req_1"}
    metrics = Metrics(version="1", upstreams=["u"])
    for event in (
        RequestServed(**known, work=work, stored=True, prompt_tokens=2, completion_tokens=2),  # type: ignore[arg-type]
        UpstreamTried(upstream="u", outcome="ok", duration_s=1),
        TargetFailed(engine="u", model="m", reason="r"),
        EngineChanged(engine="u", state="s"),
        RecordLost(completion_id="c", reason="r"),
        RecordsExpired(records=1, bodies=1, freed_bytes=1, duration_s=1),
        Committed(writes=1, queue_s=1, duration_s=1),
        Crashed(request_id="r", exception=ValueError()),
    ):
        metrics(event)
    now = Now(ready={"store": True}, upstreams={"u": "up"}, waiting={"m": 1}, running={"m": 1})
    found: dict[str, set[str]] = {}
    for sample in metrics.render(now).decode().splitlines():
        if not sample.startswith("#"):
            name, _, labels = sample.rsplit(" ", 1)[0].partition("{")
            found.setdefault(name, set()).update(LABEL.findall(labels))
    return found


EXPORTED = exported()


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


EXPRESSIONS = [*expressions()]


@pytest.mark.parametrize("expression", [text for _, text in EXPRESSIONS], ids=[name for name, _ in EXPRESSIONS])
def test_every_number_and_label_is_exported(expression: str) -> None:
    asked = METRIC.findall(expression)
    known = set().union(*(EXPORTED.get(name, set()) for name, _ in asked)) | OF_THE_SCRAPE | {"part"}

    assert asked or "up{" in expression
    for name, labels in asked:
        assert name in EXPORTED
        assert set(LABEL.findall(re.sub(r'"[^"]*"', "", labels))) <= EXPORTED[name] | OF_THE_SCRAPE
    for labels in GROUPED.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= known


def test_the_dashboards_choices_are_exported() -> None:
    asked = [
        re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", each["definition"])
        for each in DASHBOARD["templating"]["list"]
        if each["type"] == "query"
    ]
    assert asked
    for found in asked:
        assert found is not None
        assert found[2] in EXPORTED[found[1]] | OF_THE_SCRAPE


@pytest.mark.parametrize("expression", [text for _, text in EXPRESSIONS], ids=[name for name, _ in EXPRESSIONS])
def test_expressions_are_balanced_and_counters_are_read_as_such(expression: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)
    for name, _ in METRIC.findall(expression):
        if name.endswith(("_total", "_bucket", "_count")):
            assert re.search(rf"(rate|increase)\({name}", expression), name


def test_panels_have_a_place_and_a_name_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]

    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_every_metric_of_the_server_is_documented() -> None:
    page = (DEPLOY.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`((?:hansard|process)_\w+)`", page))
    exported_names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in EXPORTED}

    assert {name for name in told if "hansard_ready{" not in name} == exported_names


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"].endswith(".")
    # What is wrong for a moment wakes nobody, unless it cannot come back by itself.
    assert "for" in rule or "increase(" in rule["expr"]
