"""The dashboard for Grafana asks for nothing that a service does not tell."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import ProcessCollector
from prometheus_client.registry import CollectorRegistry
from trainyard.supervisor.measures import Measures

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana-dashboard.json"
NAME = re.compile(r"\b(?:trainyard|process)_[a-z_]+")
SELECTED = re.compile(r"([a-z_]+)\s*(?:=~|!=|=)\s*\"")
GROUPED = re.compile(r"by \(([^)]*)\)")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def told() -> dict[str, set[str]]:
    """Every name that `/metrics` has, as Prometheus keeps it, with its labels."""
    measures, process = Measures(), CollectorRegistry()
    measures.watch(queued=lambda: 0, running=lambda: 0, slots=lambda: 1, queue_limit=lambda: 1)
    ProcessCollector(registry=process)
    found: dict[str, set[str]] = {}
    for collector in (measures.registry, process):
        for family in collector.collect():
            of = getattr(collector._names_to_collectors.get(family.name), "_labelnames", ())
            endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            for ending in endings.get(family.type, [""]):
                found[family.name + ending] = {*of, "le"} if ending == "_bucket" else {*of}
    return found


def questions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_panel_asks_for_names_and_labels_that_services_tell(
    dashboard: dict[str, Any],
) -> None:
    names = told()
    for question in questions(dashboard):
        asked = set(NAME.findall(question))
        assert asked
        assert asked <= names.keys(), question
        labels = {"job", "instance"}.union(*(names[name] for name in asked))
        grouped = {each.strip() for by in GROUPED.findall(question) for each in by.split(",")}
        assert {*SELECTED.findall(question), *grouped} <= labels, question


def test_every_name_of_ours_is_asked_for(dashboard: dict[str, Any]) -> None:
    asked = {name for question in questions(dashboard) for name in NAME.findall(question)}
    base = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    ours = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in told()}
    assert {name for name in ours if name.startswith("trainyard_")} <= base


def test_its_form_is_what_grafana_12_imports(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["uid"]
    assert dashboard["title"]
    assert "id" not in dashboard, "an id is one installation's"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)
    used = set(re.findall(r"\$\{?([a-z]+)\}?", text)) - {"__all", "__rate_interval"}
    assert used == variables
    for panel in dashboard["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in dashboard["panels"]), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart
