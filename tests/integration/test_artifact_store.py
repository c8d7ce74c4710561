"""An artifact store that is broken while MLflow answers: the run ends soon and says why, or goes on when it heals."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import Server, Yard, open_yard, until

QUICK = {"model": "troubled", "data": {"source": "builtin", "name": "iris"}}


@pytest.fixture(scope="module")
def impatient(mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A service whose runs wait three seconds for a store that refuses."""
    home = tmp_path_factory.mktemp("impatient")
    yield from open_yard(mlflow_server, home, TRAINYARD_TRACKING_PATIENCE_SECONDS="3")


def held(yard: Yard, place: str, experiment: str) -> dict[str, Any]:
    """A run that has trained and waits in that place, in an experiment of its own."""
    asked = {**QUICK, "params": {"hold": place}, "experiment": experiment}
    run = yard.get(submitted(yard, asked))
    until(lambda: f"waits in {place}" in log_of(yard, run), "the run to have trained")
    return run


def submitted(yard: Yard, request: dict[str, Any]) -> str:
    """The run's id. After a refused upload MLflow closes the connection, and the next call may meet that: 503, try again."""

    def accepted() -> str | None:
        answer = yard.http.post("/train", json=request)
        assert answer.status_code in {202, 503}, answer.text
        return str(answer.json()["run_id"]) if answer.status_code == 202 else None

    return str(until(accepted, "the run to be accepted"))


def log_of(yard: Yard, run: dict[str, Any]) -> str:
    return yard.http.get(f"/train/{run['run_id']}/logs").text


def let_go(yard: Yard, run: dict[str, Any]) -> None:
    (yard.folder(run["run_id"]) / "checkpoints/go").touch()


def broken(yard: Yard, run: dict[str, Any], folder: str) -> Path:
    """A file where MLflow needs a folder; the store is whole again when it is removed."""
    place = yard.mlflow.log.parent / "artifacts" / run["experiment_id"] / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("not a folder")
    return place


def logged_models(yard: Yard, run: dict[str, Any]) -> list[str]:
    """The states of all models that were logged in the run's experiment."""
    answer = httpx.post(
        f"{yard.mlflow.url}/api/2.0/mlflow/logged-models/search",
        json={"experiment_ids": [run["experiment_id"]]},
        timeout=30,
    ).raise_for_status()
    return [each["info"]["status"] for each in answer.json().get("models", [])]


@pytest.mark.parametrize("folder", ["", "models"])
def test_a_broken_artifact_store_ends_the_run_soon_and_frees_its_slot(
    impatient: Yard, folder: str
) -> None:
    run = held(impatient, "predict", f"broken {folder or 'whole'}")
    place = broken(impatient, run, folder)
    started = time.monotonic()
    let_go(impatient, run)
    ended = impatient.http.get(f"/train/{run['run_id']}", params={"wait": 60}).json()
    assert time.monotonic() - started < 60
    assert (ended["status"], ended["reason"]) == ("FAILED", "tracking_unavailable")
    assert f"artifact store mlflow-artifacts:/{run['experiment_id']}/" in ended["message"]
    assert "/mlflow-artifacts/artifacts/" in ended["message"], (
        "what was asked of it, and its answer"
    )
    assert logged_models(impatient, run) == []
    following = submitted(impatient, {**QUICK, "experiment": "whole"})
    assert impatient.ended(following)["status"] == "FINISHED"
    place.unlink()
    assert impatient.ended(run["run_id"])["status"] == "FAILED"


@pytest.mark.parametrize("folder", ["", "models"])
def test_an_artifact_store_that_heals_gets_the_run_whole_with_one_model(
    shared_yard: Yard, folder: str
) -> None:
    run = held(shared_yard, "predict", f"healing {folder or 'whole'}")
    place = broken(shared_yard, run, folder)
    let_go(shared_yard, run)
    until(lambda: "refuses" in log_of(shared_yard, run), "a refused try")
    place.unlink()
    ended = shared_yard.ended(run["run_id"])
    assert ended["status"] == "FINISHED", ended
    assert logged_models(shared_yard, run) == ["LOGGED_MODEL_READY"]
    assert any("artifact store" in (each["message"] or "") for each in ended["transitions"])


def test_a_model_that_an_earlier_process_began_to_log_is_deleted(shared_yard: Yard) -> None:
    """Killed between making the logged model and uploading it, a process leaves it pending for ever."""
    run = held(shared_yard, "log_model", "begun before")
    assert logged_models(shared_yard, run) == ["LOGGED_MODEL_PENDING"]
    let_go(shared_yard, run)
    ended = shared_yard.ended(run["run_id"])
    assert ended["status"] == "FINISHED", ended
    assert logged_models(shared_yard, run) == ["LOGGED_MODEL_READY"]


def test_an_artifact_store_that_mlflow_does_not_stand_before_is_named_too(
    shared_yard: Yard, tmp_path: Path
) -> None:
    """A folder that MLflow and the services were meant to share, and do not."""
    (tmp_path / "shared").write_text("not a folder")
    httpx.post(
        f"{shared_yard.mlflow.url}/api/2.0/mlflow/experiments/create",
        json={"name": "shared folder", "artifact_location": f"file://{tmp_path}/shared/runs"},
        timeout=30,
    ).raise_for_status()
    run = shared_yard.get(submitted(shared_yard, {**QUICK, "experiment": "shared folder"}))
    until(lambda: "artifact store file://" in log_of(shared_yard, run), "a refused try")
    (tmp_path / "shared").unlink()
    assert shared_yard.ended(run["run_id"])["status"] == "FINISHED"
