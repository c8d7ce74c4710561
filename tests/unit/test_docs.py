"""The documentation's promises, kept by running it."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trainyard.contract import Problem, Reason, Run, ScoreRequest, Task, TrainRequest
from trainyard.settings import Settings
from trainyard.supervisor.measures import Measures
from trainyard.trainer import Part
from trainyard.worker.evaluation import evaluate

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md", "services/*/README.md")
    for path in ROOT.glob(pattern)
)
CODE = ("bench", "common", "dags", "scripts", "services", "tests")
WRITTEN_BY_THE_READER = {"models/neighbours.py", "predict.py"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def bodies(page: str) -> Iterator[str]:
    """The JSON of a page: whole blocks, and what its shell commands send or train."""
    yield from blocks(page, "json")
    for command in blocks(page, "sh"):
        yield from re.findall(r"'(\{.*?\})'", command, re.DOTALL)


BODIES = [
    pytest.param(body, id=f"{page}-{number}")
    for page in PAGES
    for number, body in enumerate(bodies(page), start=1)
]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {each.replace(" ", "-") for each in words}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_operations_explains_every_setting(name: str) -> None:
    alias = Settings.model_fields[name].validation_alias
    assert f"`{alias or f'TRAINYARD_{name.upper()}'}`" in text_of("docs/operations.md")


@pytest.mark.parametrize("reason", list(Reason))
def test_operations_explains_every_reason(reason: Reason) -> None:
    assert f"`{reason}`" in text_of("docs/operations.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_between_documents_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^):]*))?\)", path.read_text()):
        found = path.parent / target if target else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_can_be_reached_from_another(page: str) -> None:
    if page.startswith("docs/adr/"):
        assert "docs/adr/" in text_of("README.md")
    else:
        assert f"({page})" in text_of("README.md")


@pytest.mark.parametrize("body", BODIES)
def test_json_in_the_documents_is_what_services_take_and_answer(body: str) -> None:
    found: dict[str, Any] = json.loads(body)
    if "run_id" in found:  # shortened
        assert found.keys() <= Run.model_fields.keys()
    elif "title" in found:
        Problem.model_validate_json(body)
    else:
        kind = ScoreRequest if "model_uri" in found else TrainRequest
        kind.model_validate_json(body)


def test_there_is_json_to_look_at_on_the_pages_that_show_requests() -> None:
    shown = {each.id.rpartition("-")[0] for each in BODIES if each.id}
    assert shown >= {
        "README.md",
        "docs/adding-a-model.md",
        "docs/formats.md",
        "docs/http-api.md",
        "docs/two-minutes.md",
        "services/pytorch/README.md",
        "services/tensorflow/README.md",
    }


@pytest.mark.parametrize("page", PAGES)
def test_files_of_code_that_are_named_exist(page: str) -> None:
    there = [f"/{path.relative_to(ROOT)}" for each in CODE for path in (ROOT / each).rglob("*.py")]
    for name in re.findall(r"`([\w/]+\.py)`", text_of(page)):
        if name not in WRITTEN_BY_THE_READER:
            assert any(path.endswith(f"/{name}") for path in there), name


def test_architecture_gives_a_reason_for_every_library() -> None:
    project = tomllib.loads(text_of("common/pyproject.toml"))["project"]
    table = text_of("docs/architecture.md").partition("## Dependencies, and why")[2]
    for wish in (*project["dependencies"], *project["optional-dependencies"]["service"]):
        name = re.split(r"[^a-z-]", wish)[0]
        assert re.search(rf"^\|[^|]*\b{name}\b[^|]*\|", table, re.MULTILINE), name


def test_metrics_explains_every_name_that_prometheus_reads() -> None:
    measures = Measures()
    measures.watch(queued=int, running=int, slots=int, queue_limit=int)
    for family in measures.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"| `{name}` | {family.type} |" in text_of("docs/metrics.md")


def test_metrics_explains_every_metric_of_a_model() -> None:
    x = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    classified = evaluate(
        Task.CLASSIFICATION,
        np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]),
        Part(x, np.array([0, 1, 1])),
        ("no", "yes"),
        "test",
    )
    predicted = evaluate(
        Task.REGRESSION, np.array([1.0, 2.0, 2.0]), Part(x, np.array([1.0, 2.0, 3.0])), None, "test"
    )
    for name in (*classified, *predicted):
        assert f"`{name.removeprefix('test_')}`" in text_of("docs/metrics.md")


@pytest.mark.parametrize(
    "service", ["common", *(f"services/{name}" for name in ("boosting", "pytorch", "tensorflow"))]
)
def test_every_package_names_the_licence_that_is_here(service: str) -> None:
    assert 'license = "Apache-2.0"' in text_of(f"{service}/pyproject.toml")
    assert "Apache License\n                           Version 2.0" in text_of("LICENSE")
