"""Searches, as the tests ask for them and look at them."""

from typing import Any

from servers import WEB, Yard, until

SPACE = {
    "max_depth": {"low": 1, "high": 6},
    "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
}
REQUEST: dict[str, Any] = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 30},
    "data": {"source": "builtin", "name": "breast_cancer"},
    "split": {"validation_size": 0.2},
    "search": {"space": SPACE, "trials": 12},
}


def searching(**search: Any) -> dict[str, Any]:
    """The request, with this changed in its search."""
    return {**REQUEST, "search": {**REQUEST["search"], **search}}


def slow(trials: int = 8, **search: Any) -> dict[str, Any]:
    """A search whose trials take a while."""
    asked = searching(trials=trials, pruner="none", **search)
    return {
        **asked,
        "params": {"n_estimators": 150, "max_bin": 512},
        "data": {"source": "builtin", "name": "digits"},
    }


def nested(yard: Yard, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials of a run in MLflow, by number."""
    found = of_mlflow(yard, run["experiment_id"], run["run_id"])
    return sorted(found, key=lambda each: int(each["tags"]["trainyard.trial"]))


def of_mlflow(yard: Yard, experiment_id: str, run_id: str) -> list[dict[str, Any]]:
    """What is below a run there."""
    answer = WEB.post(
        f"{yard.mlflow.url}/api/2.0/mlflow/runs/search",
        json={
            "experiment_ids": [experiment_id],
            "filter": f"tags.`mlflow.parentRunId` = '{run_id}'",
            "max_results": 1000,
        },
        timeout=30,
    )
    return [_flat(each) for each in answer.raise_for_status().json().get("runs", [])]


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    data = run["data"]
    return {
        "status": run["info"]["status"],
        **{
            kind: {each["key"]: each["value"] for each in data.get(kind, [])}
            for kind in ("tags", "params", "metrics")
        },
    }


def trial_end(trial: dict[str, Any]) -> str:
    return str(trial["tags"]["trainyard.trial_end"])


def after_trials(yard: Yard, run_id: str, count: int) -> None:
    """Wait until so many trials have ended, and the next one is under way."""

    def there() -> bool:
        run = yard.get(run_id)
        assert not run["ended_at"], run
        return run["phase"] == "searching" and (run["progress"] or {}).get("done", 0) >= count

    until(there, f"{count} trials")
