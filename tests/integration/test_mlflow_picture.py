"""What MLflow holds of a finished run, the same for every model."""

from typing import Any

import httpx
import pytest
from servers import Yard

TASKS = {
    "classifier": ("breast_cancer", "log_loss", "roc_curve.png"),
    "regressor": ("diabetes", "root_mean_squared_error", "residuals.png"),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_finished_run_holds_all_that_people_look_for(
    shared_yard: Yard, library: str, task: str
) -> None:
    data, loss, plot = TASKS[task]
    run = shared_yard.ended(
        shared_yard.submit(
            {
                "model": f"{library}_{task}",
                "params": {"n_estimators": 12, "learning_rate": 0.2},
                "data": {"source": "builtin", "name": data},
                "experiment": "picture",
                "run_name": "pictured",
                "tags": {"team": "growth"},
            }
        )["run_id"]
    )
    assert run["status"] == "FINISHED", run
    found = mlflow(shared_yard, "runs/get", run_id=run["run_id"])["run"]
    params = {each["key"]: each["value"] for each in found["data"]["params"]}
    assert (params["n_estimators"], params["learning_rate"]) == ("12", "0.2")
    metrics = {each["key"] for each in found["data"]["metrics"]}
    assert {f"train_{loss}", f"validation_{loss}", f"test_{loss}"} <= metrics
    assert any(name.startswith("system/") for name in metrics)
    assert all(name.startswith(("train_", "validation_", "test_", "system/")) for name in metrics)
    assert not [name for name in metrics if "-" in name], "a library's own names are left out"
    for part in ("train", "validation"):
        history = mlflow(
            shared_yard, "metrics/get-history", run_id=run["run_id"], metric_key=f"{part}_{loss}"
        )["metrics"]
        assert [each.get("step", 0) for each in history] == list(range(1, 13))
    tags = {each["key"]: each["value"] for each in found["data"]["tags"]}
    assert (tags["team"], tags["mlflow.runName"]) == ("growth", "pictured")
    assert (
        found["inputs"]["dataset_inputs"][0]["dataset"]["digest"]
        == tags["trainyard.data_digest"][:36]
    )
    artifacts = {
        each["path"]
        for each in mlflow(shared_yard, "artifacts/list", run_id=run["run_id"])["files"]
    }
    assert {"request.json", "training.log", "data_profile.json"} <= artifacts
    plots = {
        each["path"]
        for each in mlflow(shared_yard, "artifacts/list", run_id=run["run_id"], path="plots")[
            "files"
        ]
    }
    assert {f"plots/{plot}", "plots/learning_curve.png", "plots/feature_importance.png"} <= plots


def test_two_trainings_of_one_name_are_two_versions_and_the_better_is_champion(
    shared_yard: Yard,
) -> None:
    champions = []
    for rounds in (1, 60, 2):
        run = shared_yard.ended(
            shared_yard.submit(
                {
                    "model": "xgboost_classifier",
                    "params": {"n_estimators": rounds},
                    "data": {"source": "builtin", "name": "breast_cancer"},
                    "register": {
                        "name": "duel",
                        "alias": "challenger",
                        "promote": {"metric": "test_roc_auc"},
                    },
                }
            )["run_id"]
        )
        assert run["status"] == "FINISHED", run
        champions.append(run["registered"]["promoted"])
        version = mlflow(
            shared_yard, "model-versions/get", name="duel", version=run["registered"]["version"]
        )
        tags = {each["key"]: each["value"] for each in version["model_version"]["tags"]}
        assert tags["trainyard.promotion.decision"] == run["registered"]["decision"]
    assert champions == [True, True, False]


def mlflow(yard: Yard, call: str, **params: Any) -> dict[str, Any]:
    """What MLflow's REST API answers."""
    answer = httpx.get(f"{yard.mlflow.url}/api/2.0/mlflow/{call}", params=params, timeout=30)
    return dict(answer.raise_for_status().json())
