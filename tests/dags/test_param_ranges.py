"""What a DAG's form lets through, the model takes: each range lies within the JSON schema of the model's params."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow_lab import DAGS
from servers import ROOT

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


def printed(program: list[Any], **variables: str) -> Any:
    """What the program printed last, as JSON."""
    done = subprocess.run(
        program,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    """The params of each service's models, by the service's name and the model's."""
    return {
        name: printed([ROOT / f".venvs/{name}/bin/python", "-c", SCHEMAS, f"trainyard_{name}"])
        for name in SERVICES
    }


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("parsed")
    program = [ROOT / ".venvs/airflow/bin/python", Path(__file__).with_name("parsing.py"), DAGS]
    found = printed(program, AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="false")
    return dict(found["dags"])


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
