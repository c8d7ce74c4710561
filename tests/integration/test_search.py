"""A search: its trials, its winner, and what is left when something dies."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes import asked_for, submission_of
from mlflow import MlflowClient
from searches import (
    REQUEST,
    SPACE,
    after_trials,
    nested,
    of_mlflow,
    searching,
    slow,
    trial_end,
)
from servers import WEB, Yard, until
from trainyard.worker.search.mirror import Mirror
from trainyard.worker.search.record import TrialRecord


def by_value(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Completed ones by what is minimized, then the others by how they ended."""

    def place(trial: dict[str, Any]) -> tuple[str, float]:
        return trial_end(trial), trial["metrics"]["validation_log_loss"]

    return sorted(trials, key=place)


def listed(yard: Yard, run: dict[str, Any]) -> list[str]:
    """The numbers of the run's trials as the service lists them, page by page; values are those of completed ones."""
    numbers: list[str] = []
    cursor = None
    while cursor or not numbers:
        params = {"limit": 5} | ({"cursor": cursor} if cursor else {})
        page = yard.http.get(f"/train/{run['run_id']}/trials", params=params).json()
        assert page["metric"] == "validation_log_loss"
        assert all((each["end"] == "completed") == bool(each["value"]) for each in page["trials"])
        numbers += [str(each["number"]) for each in page["trials"]]
        cursor = page["cursor"]
    return numbers


def finished(yard: Yard, request: dict[str, Any]) -> dict[str, Any]:
    run = yard.ended(yard.submit(request)["run_id"])
    assert run["status"] == "FINISHED", run
    return run


def test_the_winner_is_trained_with_the_params_of_the_best_trial(shared_yard: Yard) -> None:
    run = finished(shared_yard, REQUEST)
    found = run["searched"]
    trials = nested(shared_yard, run)
    assert found["trials"] == len(trials) == 12
    assert found["completed"] + found["pruned"] == 12
    completed = [each for each in trials if trial_end(each) == "completed"]
    best = min(completed, key=lambda each: each["metrics"]["validation_log_loss"])
    assert int(best["tags"]["trainyard.trial"]) == found["best_trial"]
    assert best["params"] == {name: str(value) for name, value in found["best_params"].items()}
    assert run["metrics"]["best_validation_log_loss"] == pytest.approx(found["best_value"])
    # The same params, seed and rows: the winner is what its trial was.
    assert run["metrics"]["validation_log_loss"] == pytest.approx(found["best_value"], rel=1e-6)
    assert run["metrics"]["test_roc_auc"] > 0.9
    assert listed(shared_yard, run) == [
        each["tags"]["trainyard.trial"] for each in by_value(trials)
    ]
    phases = [step["phase"] for step in run["transitions"] if step["phase"]]
    assert phases.index("loading_data") < phases.index("searching") < phases.index("training")


def test_trials_that_fall_behind_say_so_and_know_nothing_of_the_test_rows(
    shared_yard: Yard,
) -> None:
    run = finished(shared_yard, searching(trials=20, sampler="random"))
    trials = nested(shared_yard, run)
    pruned = [each for each in trials if trial_end(each).startswith("pruned after ")]
    assert run["searched"]["pruned"] == len(pruned) > 0
    assert {each["status"] for each in pruned} == {"KILLED"}
    assert {each["status"] for each in trials if each not in pruned} == {"FINISHED"}
    assert not [name for each in trials for name in each["metrics"] if name.startswith("test_")]


def test_the_models_own_space_is_enough(shared_yard: Yard) -> None:
    run = finished(shared_yard, {**REQUEST, "search": {"trials": 3, "parallel": 2}})
    assert set(run["searched"]["best_params"]) == {
        "learning_rate",
        "max_depth",
        "min_child_weight",
        "subsample",
        "colsample_bytree",
        "reg_lambda",
    }


def test_a_killed_process_is_followed_by_one_that_goes_on_with_the_trials_there_are(
    shared_yard: Yard,
) -> None:
    run_id = shared_yard.submit({**slow(), "max_attempts": 3})["run_id"]
    after_trials(shared_yard, run_id, 3)
    os.kill(shared_yard.pid(run_id), signal.SIGKILL)
    run = shared_yard.ended(run_id)
    assert (run["status"], run["attempt"]) == ("FINISHED", 2)
    trials = nested(shared_yard, run)
    counted = [each for each in trials if not trial_end(each).startswith("lost")]
    assert run["searched"]["trials"] == len(counted) == 8
    assert all(each["status"] in {"FINISHED", "KILLED"} for each in trials)
    lost = [each["params"] for each in trials if trial_end(each).startswith("lost")]
    assert len(lost) <= 1
    assert all(params in [each["params"] for each in counted] for params in lost), trials


def test_trials_of_a_study_that_was_lost_are_marked_so_and_their_numbers_are_free(
    shared_yard: Yard, tmp_path: Path
) -> None:
    client = MlflowClient(shared_yard.mlflow.url)
    experiment = client.create_experiment(tmp_path.name)
    run_id = client.create_run(experiment).info.run_id
    submission = submission_of(asked_for()).model_copy(
        update={"run_id": run_id, "experiment_id": experiment}
    )

    def told(depth: int, trials: int, *, anew: bool) -> list[dict[str, Any]]:
        for number in range(trials):
            record = TrialRecord(number=number, params={"max_depth": depth}, end="completed")
            record.write(tmp_path)
        mirror = Mirror(submission, client, tmp_path)
        if anew:
            mirror.begin_anew()
        for number in range(trials):
            mirror.add(number)
        mirror.finish(60)
        return of_mlflow(shared_yard, experiment, run_id)

    assert [each["params"]["max_depth"] for each in told(1, 2, anew=True)] == ["1", "1"]
    assert len(told(1, 2, anew=False)) == 2
    after = told(2, 1, anew=True)
    lost = [each for each in after if trial_end(each).startswith("lost")]
    assert [(each["status"], each["params"]["max_depth"]) for each in lost] == [("KILLED", "1")] * 2
    (counts,) = [each for each in after if each not in lost]
    assert (counts["tags"]["trainyard.trial"], counts["params"]["max_depth"]) == ("0", "2")


def test_a_killed_forker_is_followed_by_another_in_the_same_attempt(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(slow())["run_id"]
    after_trials(shared_yard, run_id, 2)
    (forker,) = psutil.Process(shared_yard.pid(run_id)).children()
    trials_of_its = forker.children()
    forker.kill()
    psutil.wait_procs([forker, *trials_of_its], timeout=30)
    assert not [each for each in trials_of_its if each.is_running()], "a trial outlived its forker"
    run = shared_yard.ended(run_id)
    assert (run["status"], run["attempt"]) == ("FINISHED", 1), run
    counted = [each for each in nested(shared_yard, run) if not trial_end(each).startswith("lost")]
    assert run["searched"]["trials"] == len(counted) == 8
    assert run["searched"]["failed"] == 0


def test_a_service_that_stops_hands_the_search_to_the_next(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(slow())["run_id"]
    after_trials(shared_yard, run_id, 2)
    shared_yard.service.kill(signal.SIGTERM)
    shared_yard.service.start()
    run = shared_yard.ended(run_id)
    assert (run["status"], run["searched"]["trials"]) == ("FINISHED", 8)


def test_a_cancelled_search_ends_at_once_and_keeps_its_trials(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(slow(trials=200))["run_id"]
    after_trials(shared_yard, run_id, 2)
    run = shared_yard.cancel(run_id)
    assert (run["status"], run["reason"]) == ("KILLED", "cancelled")
    until(
        lambda: all(each["status"] != "RUNNING" for each in nested(shared_yard, run)),
        "its trials to be ended",
    )
    assert len(nested(shared_yard, run)) >= 2

    def found() -> bool:
        there = WEB.get(
            f"{shared_yard.mlflow.url}/api/2.0/mlflow/artifacts/list",
            params={"run_id": run_id, "path": "search"},
            timeout=30,
        )
        paths = [each["path"] for each in there.raise_for_status().json().get("files", [])]
        return {"search/trials.csv", "search/best_params.json"} <= set(paths)

    until(found, "what was found, in MLflow")


def test_cancelling_may_train_the_best_so_far(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(slow(trials=200, on_cancel="train_best"))["run_id"]
    after_trials(shared_yard, run_id, 2)
    run = shared_yard.cancel(run_id)
    assert run["status"] == "FINISHED"
    assert 2 <= run["searched"]["trials"] < 200


def test_a_failing_trial_fails_itself_and_ten_at_first_fail_the_search(shared_yard: Yard) -> None:
    # Without max_leaves, lossguide needs a max_depth above 0: the choice of 0 fails its trials, and no others.
    space = {"grow_policy": ["lossguide"], "max_depth": [0, 3]}
    run = finished(shared_yard, searching(space=space, sampler="grid", trials=2, pruner="none"))
    assert (run["searched"]["completed"], run["searched"]["failed"]) == (1, 1)
    failed = next(each for each in nested(shared_yard, run) if each["status"] == "FAILED")
    assert trial_end(failed).startswith("failed: invalid_params")

    hopeless = searching(space={**space, "max_depth": [0]}, sampler="random", trials=50)
    run = shared_yard.ended(shared_yard.submit(hopeless)["run_id"])
    assert (run["status"], run["reason"]) == ("FAILED", "invalid_params")
    assert len(nested(shared_yard, run)) == 10


def test_a_space_that_cannot_work_is_refused_with_every_field_named(shared_yard: Yard) -> None:
    space = {
        "max_dept": {"low": 1, "high": 3},
        "max_depth": {"low": 1, "high": 100},
        "learning_rate": {"low": 0.0, "high": 0.5},
        "booster": ["gbtree", "gblinear"],
        "n_estimators": {"low": 1, "high": 3},
        "max_bin": {"low": 2.5, "high": 8},
    }
    answer = shared_yard.http.post("/train", json=searching(space=space, metric="validation_auc"))
    assert answer.status_code == 422
    errors = {each["pointer"]: each["detail"] for each in answer.json()["errors"]}
    assert set(errors) == {
        "/search/space/max_dept",
        "/search/space/max_depth/high",
        "/search/space/learning_rate/low",
        "/search/space/booster/1",
        "/search/space/n_estimators",
        "/search/space/max_bin/low",
        "/search/metric",
    }
    assert "max_depth" in errors["/search/space/max_dept"]
    assert "64" in errors["/search/space/max_depth/high"]
    assert "validation_roc_auc" in errors["/search/metric"]


def test_the_search_is_in_the_artifacts(shared_yard: Yard) -> None:
    run = finished(shared_yard, REQUEST)
    answer = WEB.get(
        f"{shared_yard.mlflow.url}/api/2.0/mlflow/artifacts/list",
        params={"run_id": run["run_id"], "path": "search"},
        timeout=30,
    ).json()
    assert {Path(each["path"]).name for each in answer["files"]} == {
        "trials.csv",
        "best_params.json",
        "history.png",
        "importances.png",
        "parallel_coordinates.png",
        "slices.png",
    }
    assert json.dumps(run["searched"])


def test_the_best_of_an_earlier_search_is_tried_first(shared_yard: Yard) -> None:
    experiment = "warm starts"
    space: dict[str, Any] = {**SPACE, "subsample": {"low": 0.5, "high": 1.0}}
    first_time = {
        **searching(trials=3, warm_start={"best_of": "experiment"}),
        "experiment": experiment,
    }
    earlier = finished(shared_yard, first_time)
    assert any("no earlier search" in (step["message"] or "") for step in earlier["transitions"])

    best = earlier["searched"]["best_params"]
    for best_of in ("experiment", earlier["run_id"]):
        again = searching(trials=1, space=space, warm_start={"best_of": best_of})
        run = finished(shared_yard, {**again, "experiment": experiment})
        (trial,) = nested(shared_yard, run)
        assert {name: trial["params"][name] for name in best} == {
            name: str(value) for name, value in best.items()
        }
        assert "subsample" in trial["params"]  # what the earlier search did not have is drawn
    narrow = {**SPACE, "max_depth": [best["max_depth"] + 1]}
    run = finished(
        shared_yard,
        {
            **searching(trials=1, space=narrow, warm_start={"best_of": earlier["run_id"]}),
            "experiment": experiment,
        },
    )
    (trial,) = nested(shared_yard, run)
    assert trial["params"]["learning_rate"] == str(best["learning_rate"])
    assert trial["params"]["max_depth"] == str(best["max_depth"] + 1)


def test_an_earlier_search_that_is_none_of_this_experiment_is_refused(shared_yard: Yard) -> None:
    plain = finished(shared_yard, {**REQUEST, "search": None, "experiment": "no search"})
    searched = finished(shared_yard, {**searching(trials=1), "experiment": "another"})
    for best_of, said in (
        (plain["run_id"], "has not searched"),
        ("0" * 32, "no run that MLflow has"),
        (searched["run_id"], "'another'"),
        ("best", "experiment"),
    ):
        body = {**searching(warm_start={"best_of": best_of}), "experiment": "no search"}
        answer = shared_yard.http.post("/train", json=body)
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/search/warm_start/best_of", answer.text
        assert said in error["detail"]


def test_a_trial_is_measured_on_all_folds_and_pruned_between_them(shared_yard: Yard) -> None:
    run = finished(shared_yard, searching(trials=12, sampler="random", cross_validation=3))
    trials = nested(shared_yard, run)
    completed = [each for each in trials if trial_end(each) == "completed"]
    best = min(completed, key=lambda each: each["metrics"]["validation_log_loss"])
    found = run["searched"]
    assert best["metrics"]["validation_log_loss"] == pytest.approx(found["best_value"])
    assert best["metrics"]["validation_log_loss_std"] == pytest.approx(found["best_std"])
    assert found["best_std"] > 0
    # The winner is trained as the request says, on the training rows alone.
    assert run["metrics"]["validation_log_loss"] != pytest.approx(found["best_value"], rel=1e-6)
    pruned = [trial_end(each) for each in trials if each["status"] == "KILLED"]
    assert pruned
    assert all(each.endswith(" of 90 rounds") for each in pruned)


@pytest.mark.parametrize(
    "yard", [{"TRAINYARD_SLOTS": "2", "TRAINYARD_THREADS": "2"}], indirect=True
)
def test_a_search_borrows_the_slots_that_nobody_needs_and_gives_them_back(yard: Yard) -> None:
    search_id = yard.submit(slow(trials=500, parallel=4))["run_id"]

    def running() -> Any:
        run = yard.get(search_id)
        assert not run["ended_at"], run
        return (run["progress"] or {}).get("running")

    until(lambda: running() == 2, "a trial in each of both slots, with one thread")
    held = yard.submit({"model": "ticking", "data": {"source": "builtin", "name": "iris"}})
    until(lambda: yard.get(held["run_id"])["status"] == "RUNNING", "the slot of another run")
    until(lambda: running() == 1, "a search in its own slot alone")
    done = yard.get(search_id)["progress"]["done"]
    until(lambda: yard.get(search_id)["progress"]["done"] >= done + 3, "trials in its own slot")
    assert running() <= 1

    last = yard.submit({"model": "ticking", "data": {"source": "builtin", "name": "iris"}})
    until(lambda: yard.get(last["run_id"])["status"] == "RUNNING", "the search's own slot")
    assert running() == 0
    assert yard.get(search_id)["phase"] == "searching"
    yard.cancel(last["run_id"])
    until(lambda: running() == 1, "a search that has its own slot again")
    yard.cancel(held["run_id"])
    until(lambda: running() == 2, "the slot that is free again")
    yard.cancel(search_id)


@pytest.mark.parametrize("yard", [{"TRAINYARD_SLOTS": "1"}], indirect=True)
def test_a_search_that_dies_without_its_slot_waits_for_it_before_its_next_attempt(
    yard: Yard,
) -> None:
    search_id = yard.submit({**slow(trials=3), "max_attempts": 2})["run_id"]
    until(lambda: (yard.get(search_id)["progress"] or {}).get("running"), "a trial")
    other = yard.submit({"model": "ticking", "data": {"source": "builtin", "name": "iris"}})
    until(lambda: yard.get(other["run_id"])["status"] == "RUNNING", "the search's own slot")
    os.kill(yard.pid(search_id), signal.SIGKILL)
    until(lambda: yard.get(search_id)["queue_position"] == 1, "a search that waits again")
    assert yard.get(other["run_id"])["status"] == "RUNNING"
    freed = yard.cancel(other["run_id"])["ended_at"]
    run = yard.ended(search_id)
    assert (run["status"], run["attempt"], run["searched"]["trials"]) == ("FINISHED", 2, 3)
    begun = [step["at"] for step in run["transitions"] if step["phase"] == "starting"]
    assert len(begun) == 2
    assert begun[1] > freed
