"""However a run's own code ends it, the run says why, and the service goes on."""

from pathlib import Path
from typing import Any

import psutil
import pytest
from servers import WEB, Yard, until

REASONS = {
    "invalid_data": ("invalid_data", "row 7 holds a banana"),
    "invalid_params": ("invalid_params", "no such banana"),
    "diverged": ("diverged", "loss"),
    "nan": ("diverged", "train_log_loss became nan at rounds 3"),
    "out_of_memory": ("out_of_memory", "memory"),
    "memory_error": ("out_of_memory", "memory"),
    "gpu_out_of_memory": ("gpu_out_of_memory", "GPU memory"),
    "disk_full": ("disk_full", "no space"),
    "no_space": ("disk_full", "no space"),
    "full_disk": ("disk_full", "not even for what the run says of its end"),
    "registry_conflict": ("registry_conflict", "the version is taken"),
    "tracking_unavailable": ("tracking_unavailable", "MLflow"),
    "a_bug": ("crashed", "ZeroDivisionError: banana"),
    "unprintable": ("crashed", "Unprintable"),
    "surrogate": ("crashed", "ValueError"),
    "long": ("crashed", "banana banana"),
    "exit": ("crashed", "SystemExit"),
    "keyboard": ("crashed", "KeyboardInterrupt"),
    "gone": ("crashed", "exit code 3"),
    "segfault": ("killed_by_signal", "SIGSEGV"),
}
RETRYABLE = {
    "crashed",
    "out_of_memory",
    "gpu_out_of_memory",
    "disk_full",
    "killed_by_signal",
    "registry_conflict",
    "tracking_unavailable",
}


def troubled(**params: Any) -> dict[str, Any]:
    return {"model": "troubled", "params": params, "data": {"source": "builtin", "name": "iris"}}


@pytest.mark.parametrize("trouble", REASONS)
def test_each_trouble_has_its_reason_and_says_what_it_was(shared_yard: Yard, trouble: str) -> None:
    run = shared_yard.ended(shared_yard.submit(troubled(trouble=trouble))["run_id"])
    reason, words = REASONS[trouble]
    assert (run["status"], run["reason"], run["retryable"]) == (
        "FAILED",
        reason,
        reason in RETRYABLE,
    )
    assert words in run["message"]
    assert len(run["message"]) < 3000
    assert run["transitions"][-1]["message"] == run["message"]
    assert run["metrics"].get("train_log_loss", 0.0) > 0 or trouble == "nan"
    kept = WEB.get(
        f"{shared_yard.mlflow.url}/api/2.0/mlflow/runs/get",
        params={"run_id": run["run_id"]},
        timeout=30,
    ).json()["run"]
    tags = {tag["key"]: tag["value"] for tag in kept["data"]["tags"]}
    assert tags["trainyard.reason"] == reason
    if trouble not in {"gone", "segfault"}:
        assert {"key": "trouble", "value": trouble} in kept["data"]["params"]


@pytest.mark.parametrize("place", ["predict", "log_model"])
def test_a_bug_after_the_training_fails_the_run_too_and_its_log_shows_where(
    shared_yard: Yard, place: str
) -> None:
    run = shared_yard.ended(shared_yard.submit(troubled(trouble="a_bug", at=place))["run_id"])
    assert (run["status"], run["reason"], run["model_uri"]) == ("FAILED", "crashed", None)
    log = shared_yard.http.get(f"/train/{run['run_id']}/logs").text
    assert "Traceback" in log
    assert "troubled.py" in log


def test_a_log_of_any_bytes_is_read_and_uploaded(shared_yard: Yard) -> None:
    run = shared_yard.ended(shared_yard.submit(troubled(trouble="bytes"))["run_id"])
    assert run["status"] == "FINISHED"
    assert b" no text" in shared_yard.http.get(f"/train/{run['run_id']}/logs").content


@pytest.mark.parametrize("how", ["finished", "cancelled"])
def test_what_a_run_started_ends_with_it(shared_yard: Yard, how: str) -> None:
    hold = {"hold": "predict"} if how == "cancelled" else {}
    run_id = shared_yard.submit(troubled(trouble="child", **hold))["run_id"]
    child = until(lambda: _child(shared_yard, run_id), "the run to start a process")
    if how == "cancelled":
        assert shared_yard.cancel(run_id)["status"] == "KILLED"
    else:
        assert shared_yard.ended(run_id)["status"] == "FINISHED"
    until(
        lambda: (
            not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        ),
        "the child to end",
    )


def test_an_ended_run_keeps_its_request_and_its_log_and_nothing_else(shared_yard: Yard) -> None:
    for trouble in (None, "a_bug", "segfault"):
        run_id = shared_yard.ended(shared_yard.submit(troubled(trouble=trouble))["run_id"])[
            "run_id"
        ]
        folder = shared_yard.folder(run_id)
        until((folder / "closed").exists, "the folder to be closed")
        kept = {"request.json", "state.json", "training.log", "outcome.json", "closed"}
        until(
            lambda folder=folder, kept=kept: {path.name for path in folder.iterdir()} == kept,
            "what is left to be removed",
        )


@pytest.mark.parametrize(
    ("place", "within"),
    [
        ("train", None),
        ("train", "another process"),
        ("predict", None),
        ("predict", "a serializer"),
        ("log_model", None),
        ("log_model", "a finalizer"),
    ],
)
def test_a_run_is_cancelled_wherever_it_is(
    shared_yard: Yard, place: str, within: str | None
) -> None:
    """Also where what asks it to stop is made another error, or is passed over."""
    run_id = shared_yard.submit(troubled(hold=place, within=within))["run_id"]
    until(lambda: f"waits in {place}" in shared_yard.http.get(f"/train/{run_id}/logs").text, place)
    asked = shared_yard.http.delete(f"/train/{run_id}")
    assert asked.status_code == 202
    run = shared_yard.ended(run_id)
    assert (run["status"], run["reason"], run["retryable"]) == ("KILLED", "cancelled", False)
    until(lambda: not half_logged(shared_yard, run), "a model that is half logged to go")


def half_logged(yard: Yard, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Models of the run that MLflow still waits for."""
    asked = {
        "experiment_ids": [run["experiment_id"]],
        "filter": f"source_run_id = '{run['run_id']}'",
    }
    url = f"{yard.mlflow.url}/api/2.0/mlflow/logged-models/search"
    found = WEB.post(url, json=asked, timeout=30).raise_for_status().json().get("models", [])
    return [each for each in found if each["info"]["status"] != "LOGGED_MODEL_READY"]


def test_a_run_that_is_cancelled_with_attempts_left_is_not_started_again(shared_yard: Yard) -> None:
    run_id = shared_yard.submit({**troubled(hold="train"), "max_attempts": 5})["run_id"]
    until(
        lambda: "waits in train" in shared_yard.http.get(f"/train/{run_id}/logs").text, "training"
    )
    run = shared_yard.cancel(run_id)
    assert (run["status"], run["attempt"]) == ("KILLED", 1)


def test_a_trouble_that_a_retry_may_help_is_tried_as_often_as_asked_and_no_other_is(
    shared_yard: Yard,
) -> None:
    twice = shared_yard.ended(
        shared_yard.submit({**troubled(trouble="a_bug"), "max_attempts": 2})["run_id"]
    )
    assert (twice["status"], twice["attempt"]) == ("FAILED", 2)
    assert [step["phase"] for step in twice["transitions"]].count("training") == 2
    once = shared_yard.ended(
        shared_yard.submit({**troubled(trouble="invalid_data"), "max_attempts": 2})["run_id"]
    )
    assert (once["status"], once["attempt"]) == ("FAILED", 1)


@pytest.mark.parametrize(
    "batch_size, fits, status, sizes",
    [
        (256, 64, "FINISHED", [128, 64]),
        (1000, 64, "FAILED", [500, 250, 125]),
        (2, 1, "FINISHED", [1]),
    ],
)
def test_a_run_that_runs_out_of_memory_halves_its_batch_where_asked(
    shared_yard, batch_size, fits, status, sizes
):
    request = troubled(trouble="too_large", batch_size=batch_size, fits=fits)
    run = shared_yard.ended(
        shared_yard.submit({**request, "on_out_of_memory": "halve_batch"})["run_id"]
    )
    assert (run["status"], run["attempt"]) == (status, 1)
    said = [
        step["message"].rpartition(" ")[2]
        for step in run["transitions"]
        if "going on with batch_size" in (step["message"] or "")
    ]
    assert said == [str(size) for size in sizes]
    assert shared_yard.ended(shared_yard.submit(request)["run_id"])["reason"] == "out_of_memory"


def _child(yard: Yard, run_id: str) -> int | None:
    log = yard.folder(run_id) / Path("training.log")
    words = log.read_text().split() if log.exists() else []
    return int(words[words.index("child") + 1]) if "child" in words[:-1] else None
