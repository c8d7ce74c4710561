"""Tables whose champions change, runs that ask to be one, and somebody else's models."""

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType
from servers import Yard

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
