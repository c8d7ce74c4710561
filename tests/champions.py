"""Tables whose champions change, runs that ask to be one, and somebody else's models."""

import os
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType
from servers import Yard
from sklearn.metrics import roc_auc_score

NOTE = "trainyard.promotion."


def made(rows: int, seed: int = 0) -> pd.DataFrame:
    """A table in the order of time, whose last rows no longer follow what the first did."""
    rng = np.random.default_rng(seed)
    age, balance = rng.normal(45, 12, rows), rng.normal(0, 1, rows)
    job = rng.choice(["teacher", "clerk", "cook"], rows)
    turned = np.linspace(1, -1, rows)
    score = turned * balance + (age - 45) / 12 + (job == "cook")
    bought = (score + rng.logistic(0, 0.5, rows) > 0).astype(int)
    return pd.DataFrame(
        {"when": np.arange(rows), "age": age, "balance": balance, "job": job, "bought": bought}
    )


def trained(yard: Yard, data: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    """A run that asked to become champion of `name`, as it ended."""
    promote = {"metric": "test_roc_auc", **changes.pop("promote", {})}
    request = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 10, "max_depth": 3},
        "data": {"source": "file", "target": "bought", **data},
        "register": {"name": name, "promote": promote},
        **changes,
    }
    run = yard.ended(yard.submit(request)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


def bank(rows: int) -> pd.DataFrame:
    """The first rows of bank marketing, which is in the order of time."""
    folder = os.environ.get("TRAINYARD_TEST_DATA")
    if not folder:
        pytest.skip("TRAINYARD_TEST_DATA names no folder with tabular/bank_marketing.csv")
    table = pd.read_csv(Path(folder) / "tabular/bank_marketing.csv", nrows=rows)
    table = table.rename(columns={"y": "bought"})
    table["bought"] = (table["bought"].astype(str) == str(max(table["bought"].unique()))).astype(
        int
    )
    return table.assign(when=np.arange(len(table)))


def area(model_uri: str, rows: pd.DataFrame) -> float:
    """What the model reaches on the rows, as anybody who has it finds out."""
    model = mlflow.pyfunc.load_model(model_uri)
    answer = model.predict(rows.drop(columns="bought"), params={"method": "predict_proba"})
    return float(roc_auc_score(rows["bought"], answer["1"]))


def decided_as_recomputed(
    client: MlflowClient, name: str, run: dict[str, Any], table: pd.DataFrame, champion: str | None
) -> bool:
    """Whether the run's version took the alias from `champion`, after both were asked for the newest quarter of the rows.

    All that was noted and logged has to be what they reach there.
    """
    version = run["registered"]["version"]
    note = noted(client, name, version)
    newest = table.tail(int(note["test_rows"]))
    assert len(newest) == len(table) // 4
    own = area(run["model_uri"], newest)
    assert float(note["value"]) == pytest.approx(own, abs=1e-9)
    if champion is None:
        assert note["decision"].startswith("promoted: nobody held 'champion'")
        return True
    theirs = area(f"models:/{name}/{champion}", newest)
    assert note["champion_version"] == champion
    assert float(note["champion_value"]) == pytest.approx(theirs, abs=1e-9)
    assert run["metrics"]["champion_test_roc_auc"] == pytest.approx(theirs, abs=1e-9)
    assert float(note["difference_low"]) < own - theirs < float(note["difference_high"])
    assert note["rows_seen_by_champion"] == "0"
    assert "the newest rows, 'when' from" in note["decision"]
    in_mlflow = client.get_run(run["run_id"])
    assert in_mlflow.data.tags["trainyard.champion_version"] == champion
    assert in_mlflow.data.metrics["champion_test_roc_auc"] == pytest.approx(theirs)
    return own > theirs


def noted(client: MlflowClient, name: str, version: str) -> dict[str, str]:
    tags = client.get_model_version(name, version).tags
    return {key.removeprefix(NOTE): value for key, value in tags.items() if key.startswith(NOTE)}


def other_model(client: MlflowClient, name: str, code: str, folder: Path) -> ModelVersion:
    """Somebody else's model, which is champion of `name`."""
    program = folder / "model.py"
    program.write_text(code)
    inputs: list[Any] = [ColSpec(AnyType(), column, required=False) for column in ("age", "job")]
    path = folder / "saved"
    mlflow.pyfunc.save_model(
        path,
        python_model=str(program),
        signature=ModelSignature(inputs=Schema(inputs)),
        pip_requirements=["mlflow"],
    )
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(path), "model")
    client.create_registered_model(name)
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias(name, "champion", version.version)
    return version
