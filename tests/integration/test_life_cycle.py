"""Every accepted run ends, whatever dies in between: real services, a real MLflow, real kills."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from servers import WEB, Yard, ticking, until

QUICK = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 5},
    "data": {"source": "builtin", "name": "iris"},
}
SLOW = {
    "model": "xgboost_classifier",
    "params": {"n_estimators": 100, "max_depth": 2},
    "data": {"source": "builtin", "name": "digits"},
}


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def fork_server_of(yard: Yard) -> psutil.Process:
    """The service's fork server."""
    assert yard.service.process is not None
    return psutil.Process(yard.service.process.pid).children()[0]


def test_a_killed_process_fails_its_run_and_not_the_service(shared_yard: Yard) -> None:
    run_id = shared_yard.submit()["run_id"]
    shared_yard.in_phase(run_id, "training")
    os.kill(shared_yard.pid(run_id), signal.SIGKILL)
    run = shared_yard.ended(run_id)
    assert (run["status"], run["reason"], run["retryable"]) == ("FAILED", "killed_by_signal", True)
    assert shared_yard.ended(shared_yard.submit(QUICK)["run_id"])["status"] == "FINISHED"


@pytest.mark.parametrize("place", ["train", "predict", "log_model"])
def test_a_process_killed_anywhere_is_started_again_while_attempts_are_left(
    shared_yard: Yard, place: str
) -> None:
    request = {
        "model": "troubled",
        "params": {"hold": place},
        "data": {"source": "builtin", "name": "iris"},
        "max_attempts": 2,
    }
    run_id = shared_yard.submit(request)["run_id"]
    until(lambda: f"waits in {place}" in shared_yard.http.get(f"/train/{run_id}/logs").text, place)
    os.kill(shared_yard.pid(run_id), signal.SIGKILL)
    (shared_yard.folder(run_id) / "checkpoints/go").touch()
    run = shared_yard.ended(run_id)
    assert (run["status"], run["attempt"]) == ("FINISHED", 2)


@pytest.mark.parametrize("phase", ["starting", "loading_data"])
def test_a_process_killed_while_it_begins_is_started_again_while_attempts_are_left(
    shared_yard: Yard, phase: str
) -> None:
    run_id = shared_yard.submit({**SLOW, "max_attempts": 2})["run_id"]
    state = shared_yard.folder(run_id) / "state.json"
    until(
        lambda: (
            state.exists()
            and '"process_id":null' not in state.read_text()
            and (phase == "starting" or shared_yard.get(run_id)["phase"] != "starting")
        ),
        phase,
    )
    os.kill(shared_yard.pid(run_id), signal.SIGKILL)
    run = shared_yard.ended(run_id)
    assert (run["status"], run["attempt"]) == ("FINISHED", 2)


def test_a_run_goes_on_without_its_fork_server_and_the_next_gets_a_new_one(
    shared_yard: Yard,
) -> None:
    run_id = shared_yard.submit()["run_id"]
    before = shared_yard.in_phase(run_id, "training")["version"]
    fork_server_of(shared_yard).kill()
    until(lambda: shared_yard.get(run_id)["version"] > before + 3, "the run to go on")
    assert shared_yard.cancel(run_id)["status"] == "KILLED"
    until(lambda: shared_yard.http.get("/readyz").status_code == 200, "the next fork server")
    assert shared_yard.ended(shared_yard.submit(QUICK)["run_id"])["status"] == "FINISHED"


def test_a_killed_service_takes_its_processes_along_and_the_next_one_closes_and_queues(
    shared_yard: Yard,
) -> None:
    running = shared_yard.submit()["run_id"]
    shared_yard.in_phase(running, "training")
    waiting = shared_yard.submit(QUICK)["run_id"]
    until(lambda: shared_yard.in_mlflow(waiting) == "SCHEDULED", "MLflow to be told that it waits")
    pid = shared_yard.pid(running)
    shared_yard.service.kill(signal.SIGKILL)
    until(lambda: gone(pid), "the run's process to end")
    shared_yard.service.start()
    assert shared_yard.ended(running)["reason"] == "service_restarted"
    assert shared_yard.ended(waiting)["status"] == "FINISHED"


def test_a_killed_service_starts_a_run_again_from_its_checkpoint_while_attempts_are_left(
    shared_yard: Yard,
) -> None:
    run_id = shared_yard.submit(ticking(max_attempts=2))["run_id"]
    shared_yard.in_phase(run_id, "training")
    shared_yard.service.kill(signal.SIGKILL)
    (shared_yard.folder(run_id) / "checkpoints/round").write_text("41")
    shared_yard.service.start()
    assert shared_yard.in_phase(run_id, "training")["attempt"] == 2
    until(
        lambda: "from round 41" in shared_yard.http.get(f"/train/{run_id}/logs").text,
        "the checkpoint to be used",
    )
    shared_yard.cancel(run_id)


def test_a_stopped_service_hands_its_run_to_the_next_and_the_start_does_not_count(
    shared_yard: Yard,
) -> None:
    run_id = shared_yard.submit()["run_id"]
    version = shared_yard.in_phase(run_id, "training")["version"]
    shared_yard.service.kill(signal.SIGTERM)
    assert shared_yard.in_mlflow(run_id) == "SCHEDULED"
    shared_yard.service.start()
    run = shared_yard.in_phase(run_id, "training")
    assert run["attempt"] == 1
    assert run["version"] > version
    rounds = int((shared_yard.folder(run_id) / "checkpoints/round").read_text())
    assert rounds > 0
    shared_yard.cancel(run_id)


def test_what_ended_without_the_service_knowing_is_closed_by_its_outcome(shared_yard: Yard) -> None:
    run_id = shared_yard.ended(shared_yard.submit(QUICK)["run_id"])["run_id"]
    folder = shared_yard.folder(run_id)
    until((folder / "closed").exists, "the run to be closed")
    shared_yard.service.kill(signal.SIGTERM)
    (folder / "closed").unlink()
    shared_yard.service.start()
    until((folder / "closed").exists, "the sweep to close the run")
    assert shared_yard.get(run_id)["status"] == "FINISHED"


def test_a_run_whose_work_directory_is_gone_ends_failed(shared_yard: Yard) -> None:
    run_id = shared_yard.submit()["run_id"]
    shared_yard.in_phase(run_id, "training")
    until(lambda: shared_yard.metrics_in_mlflow(run_id), "MLflow to hear of the run")
    shared_yard.service.kill(signal.SIGKILL)
    until(lambda: gone(shared_yard.pid(run_id)), "the run's process to end")
    subprocess.run(["rm", "-r", shared_yard.folder(run_id)], check=True)
    shared_yard.service.start()
    assert shared_yard.ended(run_id)["reason"] == "service_restarted"


def test_a_second_service_of_the_same_instance_refuses_to_start(shared_yard: Yard) -> None:
    second = subprocess.run(
        shared_yard.service.command,
        env=os.environ | shared_yard.service.environment | {"TRAINYARD_PORT": "0"},
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert second.returncode == 2
    assert b"TRAINYARD_WORK_DIR" in second.stdout + second.stderr


def test_a_run_that_takes_too_long_is_timed_out(shared_yard: Yard) -> None:
    run = shared_yard.ended(shared_yard.submit(ticking(timeout_seconds=1))["run_id"])
    assert (run["status"], run["reason"]) == ("FAILED", "timed_out")


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(ticking(params={"stubborn": True}))["run_id"]
    shared_yard.in_phase(run_id, "training")
    pid = shared_yard.pid(run_id)
    assert shared_yard.cancel(run_id)["reason"] == "cancelled"
    assert gone(pid)


def test_a_waiting_run_is_cancelled_without_ever_starting(shared_yard: Yard) -> None:
    first = shared_yard.submit()["run_id"]
    second = shared_yard.submit()
    run = shared_yard.cancel(second["run_id"])
    assert (run["status"], run["started_at"]) == ("KILLED", None)
    assert shared_yard.cancel(first)["status"] == "KILLED"


def test_a_full_queue_answers_429_and_leaves_nothing_in_mlflow(yard: Yard) -> None:
    runs = [yard.submit()["run_id"] for _ in range(4)]
    refused = yard.http.post("/train", json=ticking())
    assert (refused.status_code, refused.json()["type"]) == (429, "queue-full")
    assert int(refused.headers["Retry-After"]) > 0
    assert len(yard.http.get("/train").json()["runs"]) == len(runs)
    for run_id in reversed(runs):
        assert yard.cancel(run_id)["status"] == "KILLED"


def test_one_key_from_twenty_threads_at_once_makes_one_run(shared_yard: Yard) -> None:
    with ThreadPoolExecutor(20) as threads:
        runs = list(threads.map(lambda _: shared_yard.submit(Idempotency_Key="the key"), range(20)))
    assert len({run["run_id"] for run in runs}) == 1
    other = shared_yard.http.post(
        "/train", json=ticking(seed=1), headers={"Idempotency-Key": "the key"}
    )
    assert other.status_code == 422
    shared_yard.cancel(runs[0]["run_id"])


def test_a_key_is_known_after_a_restart_even_without_the_work_directory(shared_yard: Yard) -> None:
    first = shared_yard.ended(shared_yard.submit(QUICK, Idempotency_Key="kept")["run_id"])
    shared_yard.service.kill(signal.SIGTERM)
    subprocess.run(["rm", "-r", shared_yard.folder(first["run_id"])], check=True)
    shared_yard.service.start()
    again = shared_yard.http.post("/train", json=QUICK, headers={"Idempotency-Key": "kept"})
    assert (again.status_code, again.json()["run_id"]) == (200, first["run_id"])
    rerun = shared_yard.submit({**QUICK, "on_existing": "rerun"}, Idempotency_Key="kept")
    assert (rerun["attempt"], rerun["run_id"] != first["run_id"]) == (2, True)
    assert shared_yard.ended(rerun["run_id"])["status"] == "FINISHED"


def test_a_killed_run_is_trained_again_as_the_next_attempt(shared_yard: Yard) -> None:
    first = shared_yard.submit(Idempotency_Key="killed")["run_id"]
    shared_yard.in_phase(first, "training")
    shared_yard.cancel(first)
    second = shared_yard.submit(Idempotency_Key="killed")
    assert (second["attempt"], second["run_id"] != first) == (2, True)
    attached = shared_yard.submit(ticking(on_existing="attach"), Idempotency_Key="killed")
    assert attached["run_id"] == second["run_id"]
    shared_yard.cancel(second["run_id"])


def test_a_training_under_way_outlives_an_mlflow_that_goes_away(shared_yard: Yard) -> None:
    run_id = shared_yard.submit(SLOW)["run_id"]
    shared_yard.in_phase(run_id, "training")
    shared_yard.mlflow.kill(signal.SIGKILL, group=True)
    try:
        refused = shared_yard.http.post("/train", json=QUICK)
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        shared_yard.in_phase(run_id, "logging_model")
        assert "mlflow" in shared_yard.http.get("/readyz").json()["problems"]
    finally:
        shared_yard.mlflow.start()
    assert shared_yard.ended(run_id)["status"] == "FINISHED"
    history = WEB.get(
        f"{shared_yard.mlflow.url}/api/2.0/mlflow/metrics/get-history",
        params={"run_id": run_id, "metric_key": "train_log_loss", "max_results": 5000},
        timeout=30,
    )
    assert len(history.json()["metrics"]) == SLOW["params"]["n_estimators"]
    newest = shared_yard.http.get("/train").json()["runs"][0]
    assert newest["run_id"] == run_id, "what was refused left a run"


def test_a_run_that_ends_while_mlflow_is_away_is_told_at_once_and_closed_later(
    shared_yard: Yard,
) -> None:
    run_id = shared_yard.submit()["run_id"]
    shared_yard.in_phase(run_id, "training")
    shared_yard.mlflow.kill(signal.SIGKILL, group=True)
    try:
        shared_yard.http.delete(f"/train/{run_id}")
        run = shared_yard.http.get(f"/train/{run_id}", params={"wait": 60}).json()
        assert run["status"] == "KILLED"
    finally:
        shared_yard.mlflow.start()
    assert shared_yard.ended(run_id)["status"] == "KILLED"
