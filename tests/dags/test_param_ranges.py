"""What a DAG's form lets through, the model takes: each range lies within the JSON schema of the model's params."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from answering import answer_of
from servers import ROOT, SELDOM

SERVICES = ("boosting", "tensorflow", "pytorch")
VAST = 10**15
"""What a range without an end lets through."""
SCHEMAS = """
import json, sys
from trainyard.trainer import load_catalogue
found = load_catalogue(sys.argv[1], None)
assert not found.broken, found.broken
print(json.dumps({name: each.params.model_json_schema() for name, each in found.trainers.items()}))
"""


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    """The params of each service's models, by the service's name and the model's."""
    return {name: schemas_of(name) for name in SERVICES}


def schemas_of(service: str) -> dict[str, Any]:
    python = ROOT / f".venvs/{service}/bin/python"
    return answer_of([python, SELDOM, "-c", SCHEMAS, f"trainyard_{service}"], timeout=240)


@pytest.fixture(scope="module")
def dags(parsed: dict[str, Any]) -> dict[str, Any]:
    return dict(parsed["dags"])


def ends(schema: dict[str, Any]) -> Iterator[Any]:
    """The outermost values that a field of a form lets through."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for kind in types:
        if kind == "null":
            yield None
        elif kind == "boolean":
            yield from (True, False)
        elif kind == "array":
            yield from lists(schema)
        elif kind in ("integer", "number"):
            step = 1 if kind == "integer" else 1e-9
            yield schema.get("minimum", schema.get("exclusiveMinimum", -VAST - step) + step)
            yield schema.get("maximum", schema.get("exclusiveMaximum", VAST + step) - step)
        else:
            pytest.fail(f"no ends are known of {kind}")


def lists(schema: dict[str, Any]) -> Iterator[list[Any]]:
    """The shortest and the longest list of each outermost item."""
    for item in ends(schema["items"]):
        yield [item] * schema.get("minItems", 0)
        yield [item] * schema.get("maxItems", 1000)


def test_each_range_of_a_form_lies_within_the_models(
    dags: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    tried, refused = 0, []
    for dag_id, dag in dags.items():
        for request in dag["trains"]:
            schema = schemas[request["service"]][request["model"]]
            for name in request.get("params", {}):
                for value in ends(dag["params"][name]):
                    tried += 1
                    try:
                        jsonschema.validate({name: value}, schema)
                    except jsonschema.ValidationError as error:
                        refused.append(f"{dag_id} {name} {str(value)[:60]}: {error.message[:200]}")
    assert refused == []
    assert tried > 50


def test_the_mapped_depths_are_depths_that_the_model_takes(
    dags: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    schema = schemas["boosting"]["xgboost_classifier"]
    for depth in ends(dags["train_many"]["params"]["max_depths"]["items"]):
        jsonschema.validate({"max_depth": depth}, schema)
