"""What ships for Airflow: the files read quickly and alone, the pipelines are what they are said to be, the environment is light."""

import ast
import json
import subprocess
from typing import Any

import pytest
from airflow_lab import DAGS
from servers import ROOT

PYTHON = ROOT / ".venvs/airflow/bin/python"
PIPELINES = {
    "xgboost_classification_pipeline": ("xgboost_pipeline_dag.py", "xgboost"),
    "lightgbm_classification_pipeline": ("lightgbm_pipeline_dag.py", "lightgbm"),
    "tensorflow_mnist_mlp_pipeline": ("tensorflow_mnist_mlp_dag.py", "tensorflow"),
    "tensorflow_mnist_cnn_pipeline": ("tensorflow_mnist_cnn_dag.py", "tensorflow"),
    "pytorch_mnist_mlp_pipeline": ("pytorch_mnist_mlp_dag.py", "pytorch"),
    "pytorch_mnist_cnn_pipeline": ("pytorch_mnist_cnn_dag.py", "pytorch"),
}


def test_every_file_is_read_in_less_than_two_seconds_of_the_processor_without_network(
    parsed: dict[str, Any],
) -> None:
    assert not parsed["errors"]
    assert len(parsed["seconds"]) == len(list(DAGS.glob("*.py")))
    assert max(parsed["seconds"].values()) < 2
    assert not parsed["loaded"]


@pytest.mark.parametrize("dag_id", PIPELINES)
def test_a_pipeline_is_declared_as_documented(parsed: dict[str, Any], dag_id: str) -> None:
    file, framework = PIPELINES[dag_id]
    dag = parsed["dags"][dag_id]
    assert dag["file"] == file
    assert dag["tags"] == sorted(["ml", framework, "mlflow"])
    assert (dag["start"], dag["catchup"]) == ("2025-12-27", False)
    assert dag["schedule"] == "'@daily'"
    assert {name: each["after"] for name, each in dag["tasks"].items()} == {
        "ready": [],
        "train": ["ready"],
        "gate": ["train"],
        "promote": ["gate", "train"],
    }
    for name, each in dag["tasks"].items():
        assert (each["owner"], each["timeout_seconds"]) == ("airflow", 7200)
        assert name == "gate" or (each["retries"], each["retry_seconds"]) == (1, 300)
    assert dag["tasks"]["promote"]["outlets"]


@pytest.mark.parametrize("dag_id", PIPELINES)
def test_every_field_of_the_form_has_a_type_and_a_description(
    parsed: dict[str, Any], dag_id: str
) -> None:
    for name, schema in parsed["dags"][dag_id]["params"].items():
        assert schema["type"], name
        assert len(schema["description"]) > 10, name
        if schema["type"] in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & set(schema), name


def test_the_scoring_waits_for_the_champion_of_a_pipeline_that_ships(
    parsed: dict[str, Any],
) -> None:
    promote = parsed["dags"]["xgboost_classification_pipeline"]["tasks"]["promote"]
    assert promote["outlets"] == ["champion of xgboost-classification"]
    assert promote["outlets"][0] in parsed["dags"]["batch_scoring"]["schedule"]


def test_airflows_environment_holds_no_framework() -> None:
    uv = ROOT / ".venvs/uv/bin/uv"
    listed = subprocess.run(
        [uv, "pip", "list", "--python", PYTHON, "--format", "json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    installed = {each["name"].lower() for each in json.loads(listed.stdout)}
    assert "apache-airflow" in installed
    heavy = {
        "xgboost",
        "xgboost-cpu",
        "lightgbm",
        "tensorflow",
        "tensorflow-cpu",
        "keras",
        "torch",
        "torchvision",
        "mlflow",
        "mlflow-skinny",
        "scikit-learn",
        "pandas",
        "numpy",
    }
    assert not installed & heavy


def test_dags_import_nothing_of_ours_but_the_airflow_package_and_the_contract() -> None:
    imported = {
        (file.name, name)
        for file in DAGS.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if name.startswith("trainyard")
    }
    assert imported
    assert {
        name
        for _, name in imported
        if not name.startswith(("trainyard.airflow", "trainyard.contract"))
    } == set()
