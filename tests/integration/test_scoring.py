"""Scoring is a run: real services, real models, real files."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from servers import Server, Yard, open_yard, tidied, until
from sklearn.metrics import accuracy_score, roc_auc_score
from waiting_model import WAITING


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that predictions may be written below."""
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def scoring_yard(
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    data_root: Path,
    outputs: Path,
) -> Iterator[Yard]:
    """A service that may write predictions, and has a table of customers."""
    made(3_000).to_parquet(data_root / "customers.parquet")
    home = tmp_path_factory.mktemp("scoring")
    yield from open_yard(
        mlflow_server,
        home,
        TRAINYARD_DATA_ROOTS=str(data_root),
        TRAINYARD_OUTPUT_ROOTS=str(outputs),
    )


@pytest.fixture
def yard(scoring_yard: Yard) -> Iterator[Yard]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(scoring_yard.mlflow.url)
    yield tidied(scoring_yard)
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def model(scoring_yard: Yard) -> dict[str, Any]:
    """The run that made a model of the customers, a version of `scored customers` and its champion."""
    return trained(scoring_yard, register={"name": "scored customers", "alias": "champion"})


def made(rows: int, seed: int = 0) -> pd.DataFrame:
    """Customers, of whom some bought."""
    rng = np.random.default_rng(seed)
    age, job = rng.normal(45, 12, rows), rng.choice(["teacher", "clerk", "cook"], rows)
    balance = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(0, 1, rows))
    score = np.nan_to_num(balance) + (age - 45) / 12 + (job == "cook")
    return pd.DataFrame(
        {
            "id": [f"c{number}" for number in range(rows)],
            "when": np.arange(rows) // 10,
            "age": age,
            "balance": balance,
            "job": job,
            "visits": rng.integers(0, 9, rows),
            "importance": rng.random(rows) + 0.1,
            "bought": np.where(score + rng.logistic(0, 0.5, rows) > 0, "yes", "no"),
            "spent": np.exp(score),
        }
    )


def customers(**changes: Any) -> dict[str, Any]:
    return {"source": "file", "uri": "customers.parquet", **changes}


def trained(yard: Yard, **changes: Any) -> dict[str, Any]:
    unused = ["id", "when", "importance", "spent"]
    request = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 10, "max_depth": 3},
        "data": customers(target="bought", drop=unused),
        **changes,
    }
    run = yard.ended(yard.submit(request)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


def submitted(yard: Yard, **request: Any) -> dict[str, Any]:
    answer = yard.http.post("/score", json=request)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def scored(yard: Yard, **request: Any) -> dict[str, Any]:
    run = yard.ended(submitted(yard, **request)["run_id"])
    assert run["status"] == "FINISHED", (run, yard.http.get(run["links"]["logs"]).text)
    return run


def predictions(run: dict[str, Any]) -> pd.DataFrame:
    return pd.read_parquet(
        mlflow.artifacts.download_artifacts(
            run_id=run["run_id"], artifact_path="predictions.parquet"
        )
    )


def told(run: dict[str, Any]) -> str:
    return "\n".join(step["message"] or "" for step in run["transitions"])


def waiting_model(folder: Path, name: str) -> tuple[str, Path, Path]:
    """A version of a model that waits for its gate, the file it makes when it is asked, and the gate."""
    asked, gate = folder / f"{name} asked", folder / f"{name} gate"
    (folder / "waiting.py").write_text(
        WAITING.format(asked=str(asked), gate=str(gate), labels=("no", "yes"))
    )
    signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "age", required=False)]),
        outputs=Schema([ColSpec(DataType.string)]),
        params=ParamSchema([ParamSpec("method", DataType.string, "predict")]),
    )
    with mlflow.start_run():
        made = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(folder / "waiting.py"),
            signature=signature,
            pip_requirements=["mlflow"],
            registered_model_name=name,
        )
    return f"models:/{name}/{made.registered_model_version}", asked, gate


def test_every_row_is_scored_as_the_model_itself_does_and_measured(
    yard: Yard, model: dict[str, Any]
) -> None:
    run = scored(
        yard,
        model_uri="models:/scored customers@champion",
        data=customers(target="bought"),
        keep=["id", "visits"],
        experiment="scores",
    )
    version = f"models:/scored customers/{model['registered']['version']}"
    assert (run["kind"], run["model"], run["model_uri"]) == ("score", version, version)
    assert [step["phase"] for step in run["transitions"] if step["phase"]] == [
        "starting",
        "loading_data",
        "scoring",
        "evaluating",
        "writing",
    ]
    assert run["progress"]["done"] == run["progress"]["total"] == 3_000
    table, found = made(3_000), predictions(run)
    plain = mlflow.pyfunc.load_model(version)
    expected = plain.predict(table, params={"method": "predict_proba"})
    assert list(found) == ["id", "visits", "prediction", "probability_no", "probability_yes"]
    pd.testing.assert_frame_equal(found[["id", "visits"]], table[["id", "visits"]])
    np.testing.assert_array_equal(found["probability_yes"], expected["yes"])
    np.testing.assert_array_equal(found["prediction"], plain.predict(table))
    assert run["metrics"]["scored_roc_auc"] == roc_auc_score(
        table["bought"] == "yes", expected["yes"]
    )
    assert run["metrics"]["scored_accuracy"] == accuracy_score(table["bought"], found["prediction"])
    in_mlflow = {each["key"]: each["value"] for each in yard.metrics_in_mlflow(run["run_id"])}
    assert in_mlflow["scored_roc_auc"] == run["metrics"]["scored_roc_auc"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "split": {"by": "time", "column": "when"},
            "data": {"drop": ["id", "importance", "spent"]},
        },
        {
            "split": {"test_size": 0.3, "stratify": False, "seed": 7},
            "data": {"drop": ["id", "when", "spent"], "weight": "importance"},
        },
        {
            "model": "lightgbm_regressor",
            "data": {"target": "spent", "drop": ["id", "when", "importance", "bought"]},
        },
        {"data": {"test_uri": "newer.csv"}},
        {"data": {"source": "builtin", "name": "wine"}},
    ],
    ids=["at random", "by time", "weighted", "regression", "test_uri", "builtin"],
)
def test_the_test_rows_of_a_run_give_exactly_its_test_metrics(
    yard: Yard, data_root: Path, changes: dict[str, Any]
) -> None:
    made(500, seed=1).to_csv(data_root / "newer.csv", index=False)
    data = changes.get("data", {})
    if data.get("source") != "builtin":
        unused = ["id", "when", "importance", "spent"]
        data = {**customers(target="bought", drop=unused), **data}
    run = trained(yard, **{**changes, "data": data})
    again = scored(yard, model_uri=run["model_uri"], data=data, rows="test")
    tested = {name: run["metrics"][name] for name in run["metrics"] if name.startswith("test_")}
    assert again["metrics"] == tested
    assert "test_r2" in tested or "test_roc_auc" in tested


def test_a_table_without_the_target_is_scored_and_the_run_says_that_nothing_was_measured(
    yard: Yard, model: dict[str, Any], data_root: Path
) -> None:
    made(100).drop(columns=["bought"]).to_csv(data_root / "unknown.csv.gz", index=False)
    for target in (None, "bought"):
        data = customers(uri="unknown.csv.gz", **({"target": target} if target else {}))
        run = scored(yard, model_uri=f"runs:/{model['run_id']}/model", data=data)
        assert (run["metrics"], len(predictions(run))) == ({}, 100)
        assert "no metrics" in told(run)
    assert "no column 'bought'" in told(run)


def test_a_copy_is_written_below_an_output_root_in_the_place_of_what_was_there(
    yard: Yard, model: dict[str, Any], outputs: Path
) -> None:
    for rows in ("all", "test"):
        run = scored(
            yard,
            model_uri=model["model_uri"],
            data=customers(target="bought"),
            rows=rows,
            output="daily/scores.parquet",
        )
        written = pd.read_parquet(outputs / "daily/scores.parquet")
        pd.testing.assert_frame_equal(written, predictions(run))
    assert [each.name for each in (outputs / "daily").iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize(
    "changes, pointer, words",
    [
        ({"model_uri": "models:/nobody/1"}, "/model_uri", "no model that MLflow has"),
        ({"model_uri": "models:/scored customers@none"}, "/model_uri", "no model that MLflow has"),
        ({"model_uri": "models:/scored customers"}, "/model_uri", "names no model"),
        ({"model_uri": f"models:/scored customers/{10**20}"}, "/model_uri", "names no model"),
        ({"data": {"source": "builtin", "name": "wine"}}, "/data/name", "no column 'age'"),
        ({"data": {"source": "images", "uri": "x.npz"}}, "/data/source", "takes a table"),
        ({"keep": ["idd"]}, "/keep/0", "did you mean 'id'"),
        ({"keep": ["prediction"]}, "/keep/0", "column of predictions"),
        ({"rows": "test", "data": customers()}, "/data/target", "name its column"),
        ({"rows": "test", "split": {"by": "time", "column": "wen"}}, "/split/column", "'when'"),
        ({"split": {"seed": 1}}, "/split", "set rows to 'test'"),
        ({"output": "../scores.parquet"}, "/output", "outside the output roots"),
        ({"output": "scores.csv"}, "/output", "does not end in .parquet"),
        ({"output": "s3://bucket/scores.parquet"}, "/output", "TRAINYARD_OUTPUT_BUCKETS"),
    ],
)
def test_what_cannot_be_right_is_refused_at_submit(
    yard: Yard, model: dict[str, Any], changes: dict[str, Any], pointer: str, words: str
) -> None:
    request = {"model_uri": model["model_uri"], "data": customers(target="bought"), **changes}
    answer = yard.http.post("/score", json=request)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_a_model_that_this_service_cannot_load_is_refused_naming_what_is_missing(
    yard: Yard, tmp_path: Path
) -> None:
    (tmp_path / "absent.py").write_text(
        WAITING.format(asked="/nowhere", gate="/nowhere", labels=("no", "yes"))
    )
    signature = ModelSignature(inputs=Schema([ColSpec(AnyType(), "age", required=False)]))
    with mlflow.start_run():
        network = mlflow.pyfunc.log_model(
            name="network",
            python_model=str(tmp_path / "absent.py"),
            signature=signature,
            pip_requirements=["mlflow", "torch==2.13.0"],
        )
        unsigned = mlflow.pyfunc.log_model(
            name="unsigned",
            python_model=str(tmp_path / "absent.py"),
            pip_requirements=["mlflow"],
        )
    for uri, words in ((network.model_uri, "'torch'"), (unsigned.model_uri, "signature")):
        answer = yard.http.post("/score", json={"model_uri": uri, "data": customers()})
        assert answer.status_code == 422, answer.text
        assert words in answer.json()["errors"][0]["detail"]


def test_a_scoring_is_cancelled_while_it_scores(yard: Yard, tmp_path: Path, outputs: Path) -> None:
    uri, asked, _ = waiting_model(tmp_path, "scoring cancelled")
    run = submitted(yard, model_uri=uri, data=customers(), output="cancelled.parquet")
    until(asked.exists, "the model to be asked")
    assert yard.get(run["run_id"])["phase"] == "scoring"
    ended = yard.cancel(run["run_id"])
    assert (ended["status"], ended["reason"]) == ("KILLED", "cancelled")
    assert not list(outputs.glob("*cancelled*"))


def test_predictions_that_cannot_be_copied_in_the_end_are_in_mlflow_all_the_same(
    yard: Yard, tmp_path: Path, outputs: Path
) -> None:
    uri, asked, gate = waiting_model(tmp_path, "scoring in vain")
    run = submitted(yard, model_uri=uri, data=customers(), output="later/scores.parquet")
    until(asked.exists, "the model to be asked")
    (outputs / "later").touch()
    gate.touch()
    ended = yard.ended(run["run_id"])
    assert (ended["status"], ended["reason"]) == ("FAILED", "invalid_data")
    assert "the predictions are in MLflow, as predictions.parquet" in ended["message"]
    assert len(predictions(ended)) == 3_000


def test_a_scoring_that_takes_too_long_is_timed_out(yard: Yard, tmp_path: Path) -> None:
    uri, _, _ = waiting_model(tmp_path, "scoring slow")
    run = submitted(yard, model_uri=uri, data=customers(), timeout_seconds=1)
    ended = yard.ended(run["run_id"])
    assert (ended["status"], ended["reason"]) == ("FAILED", "timed_out")


def test_a_service_that_is_killed_while_it_scores_scores_again_and_ends_once(
    yard: Yard, tmp_path: Path
) -> None:
    uri, asked, gate = waiting_model(tmp_path, "scoring killed")
    run = submitted(yard, model_uri=uri, data=customers(target="bought"), max_attempts=2)
    until(asked.exists, "the model to be asked")
    yard.service.kill(signal.SIGKILL)
    asked.unlink()
    yard.service.start()
    until(asked.exists, "the model to be asked again")
    gate.touch()
    ended = yard.ended(run["run_id"])
    assert (ended["status"], ended["attempt"]) == ("FINISHED", 2)
    assert [step["status"] for step in ended["transitions"]].count("FINISHED") == 1
    assert len(predictions(ended)) == 3_000


def test_the_same_key_scores_with_the_same_version_after_the_alias_has_moved(
    yard: Yard, tmp_path: Path
) -> None:
    client = MlflowClient()
    first, asked, _ = waiting_model(tmp_path, "moving")
    client.set_registered_model_alias("moving", "champion", "1")
    request = {"model_uri": "models:/moving@champion", "data": customers()}
    run = yard.http.post("/score", json=request, headers={"Idempotency-Key": tmp_path.name}).json()
    until(asked.exists, "the model to be asked")
    yard.cancel(run["run_id"])
    _, _, gate = waiting_model(tmp_path, "moving")
    client.set_registered_model_alias("moving", "champion", "2")
    gate.touch()
    again = yard.http.post(
        "/score", json=request, headers={"Idempotency-Key": tmp_path.name}
    ).json()
    ended = yard.ended(again["run_id"])
    assert (ended["attempt"], ended["status"], ended["model_uri"]) == (2, "FINISHED", first)


def bank() -> Path:
    folder = os.environ.get("TRAINYARD_TEST_DATA")
    if not folder:
        pytest.skip("TRAINYARD_TEST_DATA names no folder with tabular/bank_marketing.csv")
    return Path(folder) / "tabular/bank_marketing.csv"


def test_bank_marketing_is_tested_again_to_the_last_digit(yard: Yard, data_root: Path) -> None:
    shutil.copy(bank(), data_root / "bank_marketing.csv")
    data = {"source": "file", "uri": "bank_marketing.csv", "target": "y"}
    run = trained(yard, data=data)
    again = scored(yard, model_uri=run["model_uri"], data=data, rows="test")
    assert again["metrics"]["test_roc_auc"] == run["metrics"]["test_roc_auc"]
    assert again["metrics"]["test_log_loss"] == run["metrics"]["test_log_loss"]
