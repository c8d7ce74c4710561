"""The buffered store against a real MLflow: large batches, refused ones, and outages."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Server, until

pytest.importorskip("mlflow")

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag
from mlflow.utils.rest_utils import MlflowHostCreds
from trainyard.tracking.buffered_store import BufferedStore
from trainyard.tracking.overflow_queue import OverflowQueue

FLUSH_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


@pytest.fixture
def client(mlflow_server: Server) -> MlflowClient:
    return MlflowClient(mlflow_server.url)


@pytest.fixture
def run(client: MlflowClient) -> Run:
    return client.create_run("0")


@pytest.fixture
def store(mlflow_server: Server, run: Run) -> Iterator[BufferedStore]:
    made = BufferedStore(lambda: MlflowHostCreds(mlflow_server.url), run)
    yield made
    assert made.flush(FLUSH_SECONDS)


def metric(step: int, key: str = "train_log_loss") -> Metric:
    return Metric(key, 1 / (step + 1), 1_700_000_000_000 + step, step)


def steps_of(client: MlflowClient, run: Run, key: str = "train_log_loss") -> list[int]:
    return sorted(each.step for each in client.get_metric_history(run.info.run_id, key))


def test_a_batch_beyond_all_of_mlflow_s_limits_arrives_whole(
    store: BufferedStore, client: MlflowClient, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    store.log_batch(
        run.info.run_id,
        [metric(step) for step in range(2_500)],
        [Param(f"p{number}", str(number)) for number in range(350)],
        [RunTag(f"t{number}", str(number)) for number in range(250)],
    )
    store.log_param(run.info.run_id, Param("long", "x" * 10_000))
    assert store.flush(FLUSH_SECONDS)
    data = client.get_run(run.info.run_id).data
    assert steps_of(client, run) == list(range(2_500))
    assert {f"p{number}" for number in range(350)} < data.params.keys()
    assert {f"t{number}" for number in range(250)} < data.tags.keys()
    assert data.params["long"] == "x" * 6_000, "MLflow keeps as much"
    assert "refused" not in capsys.readouterr().out


def test_of_a_refused_batch_all_but_what_mlflow_refuses_arrives_and_that_is_said_once(
    store: BufferedStore, client: MlflowClient, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    client.log_param(run.info.run_id, "rounds", "300")
    for step in range(1_200):
        store.log_batch(
            run.info.run_id,
            [metric(step), metric(step, "system/50%!"), metric(step, "test_a")],
            [],
            [],
        )
    store.log_batch(
        run.info.run_id,
        [],
        [Param("rounds", "12"), Param("depth", "6")],
        [RunTag("team", "growth")],
    )
    assert store.flush(FLUSH_SECONDS)
    data = client.get_run(run.info.run_id).data
    assert steps_of(client, run) == list(range(1_200))
    assert steps_of(client, run, "test_a") == list(range(1_200))
    assert (data.params["rounds"], data.params["depth"]) == ("300", "6")
    assert data.tags["team"] == "growth"
    said = [line for line in capsys.readouterr().out.splitlines() if "refused" in line]
    assert [line.partition(":")[0] for line in said] == [
        "MLflow refused metric 'system/50%!'",
        "MLflow refused param 'rounds'",
    ]


def test_metrics_of_the_champion_and_of_drift_are_kept_and_a_library_s_own_names_are_not(
    store: BufferedStore, client: MlflowClient, run: Run
) -> None:
    kept = {"test_roc_auc", "champion_test_roc_auc", "drift_max_psi", "best_iteration"}
    for key in (*kept, "validation_0-logloss", "champion_loss", "drift_max_psi_2", "drift"):
        store.log_metric(run.info.run_id, metric(0, key))
    assert store.flush(FLUSH_SECONDS)
    assert client.get_run(run.info.run_id).data.metrics.keys() == kept


def test_of_several_values_of_a_tag_the_last_stays(
    store: BufferedStore, client: MlflowClient, run: Run
) -> None:
    for number in range(700):
        store.set_tag(run.info.run_id, RunTag("stage", str(number)))
    assert store.flush(FLUSH_SECONDS)
    assert client.get_run(run.info.run_id).data.tags["stage"] == "699"


def test_what_is_on_its_way_to_a_busy_mlflow_is_waited_for_before_a_fork(
    mlflow_server: Server, store: BufferedStore, run: Run
) -> None:
    assert mlflow_server.process is not None
    group = mlflow_server.process.pid
    os.killpg(group, signal.SIGSTOP)
    goes_on = threading.Timer(0.5, os.killpg, (group, signal.SIGCONT))
    try:
        store.log_metric(run.info.run_id, metric(0))
        until(lambda: store._sending, "the metric to be on its way")
    finally:
        goes_on.start()
    with store.still(30) as still:
        assert still
    goes_on.join()


def test_after_an_outage_all_is_sent_in_order_also_what_waited_in_the_file(
    mlflow_server: Server, client: MlflowClient, run: Run, tmp_path: Path
) -> None:
    pending = OverflowQueue(tmp_path, limit=100)
    store = BufferedStore(lambda: MlflowHostCreds(mlflow_server.url), run, pending)
    inputs: list[Any] = [DatasetInput(Dataset("bank", "d1", "trainyard", "{}"), [])]
    mlflow_server.kill(signal.SIGKILL, group=True)
    try:
        for step in range(3_000):
            store.log_batch(run.info.run_id, [metric(step)], [], [RunTag("step", str(step))])
        store.log_inputs(run.info.run_id, inputs)
        assert not store.flush(0.5)
        until(lambda: len(pending) == 6_001, "what could not be sent to be back in the queue")
        assert len(pending._memory) <= 100 + 500
        assert not store.answers()
    finally:
        mlflow_server.start()
    assert store.answers()
    assert store.flush(FLUSH_SECONDS)
    found = client.get_run(run.info.run_id)
    assert steps_of(client, run) == list(range(3_000))
    assert found.data.tags["step"] == "2999"
    assert [each.dataset.name for each in found.inputs.dataset_inputs] == ["bank"]
