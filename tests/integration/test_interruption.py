"""What a run that was interrupted and taken up again leaves in MLflow is whole."""

import signal
from typing import Any

import pytest
from servers import WEB, Yard, ticking, until

ROUNDS = 600
LONG = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": ROUNDS, "learning_rate": 0.01, "max_depth": 1},
    "data": {"source": "builtin", "name": "digits"},
}


def steps(yard: Yard, run_id: str, metric: str) -> list[int]:
    """The steps of a metric's history, in the order they were written."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = WEB.get(
            f"{yard.mlflow.url}/api/2.0/mlflow/metrics/get-history",
            params={
                "run_id": run_id,
                "metric_key": metric,
                "max_results": 5000,
                "page_token": token,
            },
            timeout=200,
        ).json()
        found += answer.get("metrics", [])
        token = answer.get("next_page_token", "")
        if not token:
            return [int(each.get("step", 0)) for each in found]


def test_a_run_that_was_handed_back_finishes_with_every_round_in_mlflow(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(LONG)["run_id"]
    until(lambda: (shared_yard.get(run_id)["progress"] or {}).get("done", 0) > 20, "20 rounds")
    shared_yard.service.kill(signal.SIGTERM)
    shared_yard.service.start()
    run = shared_yard.ended(run_id)
    assert (run["status"], run["attempt"]) == ("FINISHED", 1)
    assert steps(shared_yard, run_id, "train_log_loss") == list(range(1, ROUNDS + 1))
    assert [step["status"] for step in run["transitions"] if not step["phase"]] == [
        "SCHEDULED",
        "SCHEDULED",
        "SCHEDULED",
        "FINISHED",
    ]


def test_a_run_is_not_stopped_between_its_question_for_a_checkpoint_and_its_report(
    shared_yard: Yard,
) -> None:
    """Its process is told to stop there in round 2, saves in round 3, and the next one goes on with round 4."""
    request = {
        "model": "troubled",
        "params": {"rounds": 4, "trouble": "asked_to_stop"},
        "data": {"source": "builtin", "name": "iris"},
        "max_attempts": 2,
    }
    run = shared_yard.ended(shared_yard.submit(request)["run_id"])
    assert (run["status"], run["attempt"]) == ("FINISHED", 2)
    assert steps(shared_yard, run["run_id"], "train_log_loss") == [1, 2, 3, 4]


@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_process_that_is_killed_once_it_saved_has_its_last_round_in_mlflow(
    shared_yard: Yard, killed_at: int
) -> None:
    """Also where that was the last one, so that the next process has none to train."""
    params = {"rounds": 4, "trouble": "killed_once_saved", "killed_at": killed_at}
    request = {
        "model": "troubled",
        "params": params,
        "data": {"source": "builtin", "name": "iris"},
        "max_attempts": 2,
    }
    run = shared_yard.ended(shared_yard.submit(request)["run_id"])
    assert (run["status"], run["attempt"]) == ("FINISHED", 2)
    assert steps(shared_yard, run["run_id"], "train_log_loss") == [1, 2, 3, 4]
    assert run["metrics"]["train_log_loss"] == 1 / 4


def test_what_a_killed_service_had_not_sent_yet_is_in_mlflow_in_the_end(shared_yard: Yard) -> None:
    """It is killed within a moment of the checkpoint that the next process goes on from."""
    run_id = shared_yard.submit(ticking(max_attempts=2))["run_id"]
    saved = shared_yard.folder(run_id) / "checkpoints/round"
    until(lambda: saved.exists() and saved.read_text(), "a checkpoint")
    shared_yard.service.kill(signal.SIGKILL)
    goes_on = int(saved.read_text()) + 1
    shared_yard.service.start()
    until(
        lambda: (shared_yard.get(run_id)["progress"] or {}).get("done", 0) > goes_on + 5,
        "rounds after the checkpoint",
    )
    assert shared_yard.cancel(run_id)["attempt"] == 2
    found = sorted(set(steps(shared_yard, run_id, "train_log_loss")))
    assert found == list(range(1, found[-1] + 1))
    assert found[-1] > goes_on
