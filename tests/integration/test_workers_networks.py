"""Networks that two processes train together: as good as by one, the same on both, and ended as one. And a search of networks."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from servers import Server, Yard, open_yard, tidied, until
from several import alike, asked, digests, history, none_is_left, pids, trained, trains

MEMORY_MB = 1
"""What the service gives the data of a run that asks for no memory: less than `large.parquet` takes."""


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def lasting(
    request: pytest.FixtureRequest, mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    home = tmp_path_factory.mktemp(request.param)
    large_table(home / "large.parquet")
    # The workers reach each other where a proxy is named, too.
    proxy = {"grpc_proxy": "http://127.0.0.1:9"}
    variables = {
        "TRAINYARD_SLOTS": "2",
        "TRAINYARD_THREADS": "2",
        "TRAINYARD_COLLECTIVE_SECONDS": "30",
        "TRAINYARD_MEMORY_MB": str(MEMORY_MB),
        "TRAINYARD_DATA_ROOTS": str(home),
        **proxy,
    }
    yield from open_yard(mlflow_server, home, request.param, **variables)


def large_table(path: Path) -> None:
    """Numbers, some of them missing, a category that counts and dates; rows have weights."""
    rng, rows = np.random.default_rng(0), 8_000
    frame = pd.DataFrame({f"x {at}": rng.standard_normal(rows) for at in range(6)})
    frame["x 1"] = frame["x 1"].where(rng.random(rows) > 0.1)
    frame["city"] = rng.choice(["Ulm", "Bonn", "Köln", None], rows)
    frame["when"] = np.datetime64("2024-01-01", "us") + rng.integers(
        0, 5_000, rows
    ) * np.timedelta64(1, "h")
    frame["number"] = frame["x 0"] + 2 * (frame["city"] == "Ulm") + rng.standard_normal(rows)
    frame["class"] = pd.qcut(frame["number"], 3, labels=["low", "mid", "high"]).astype(str)
    frame["weight"] = rng.random(rows) + 0.1
    frame.to_parquet(path)


@pytest.fixture
def yard(lasting: Yard) -> Yard:
    """A service of two slots, with no run under way."""
    return tidied(lasting)


SMALL = {"epochs": 6, "batch_size": 64}


@pytest.mark.parametrize(
    ("model", "data", "params", "metric", "tolerance"),
    [
        ("cnn", "digits", {"conv_channels": [16, 32], **SMALL}, "test_accuracy", 0.03),
        ("mlp", "digits", {"hidden_units": [64], **SMALL}, "test_accuracy", 0.03),
        (
            "mlp_regressor",
            "diabetes",
            {"hidden_units": [32], "epochs": 20, "batch_size": 32, "early_stopping_patience": 5},
            "test_root_mean_squared_error",
            6.0,
        ),
    ],
)
def test_two_workers_train_one_network_which_is_as_good_as_that_of_one(  # noqa: PLR0913, PLR0917 - what is trained, and how well
    yard: Yard, model: str, data: str, params: dict[str, Any], metric: str, tolerance: float
) -> None:
    """What they drop out and norm by is not what one does: that makes other networks, as another seed does."""
    alone, both = (
        trained(yard, model=model, workers=workers, data=data, params=params) for workers in (1, 2)
    )
    assert (alone["status"], both["status"]) == ("FINISHED", "FINISHED"), both
    assert both["metrics"][metric] == pytest.approx(alone["metrics"][metric], abs=tolerance)
    assert set(both["metrics"]) == set(alone["metrics"])
    assert alike(yard, both) == {0, 1}


def test_a_killed_rank_ends_the_other_and_a_batch_must_be_large_enough_for_all(
    yard: Yard,
) -> None:
    params = {"epochs": 10_000, "hidden_units": [32]}
    run_id = yard.submit(asked("mlp", data="digits", params=params))["run_id"]
    ranks = trains(yard, run_id)
    os.kill(ranks[1], signal.SIGKILL)
    run = yard.ended(run_id)
    assert (run["status"], run["reason"]) == ("FAILED", "killed_by_signal"), run
    assert run["message"].startswith("rank 1 of 2:")
    assert none_is_left(ranks)
    refused = trained(yard, model="mlp", data="digits", params={"batch_size": 4})
    assert refused["reason"] == "invalid_params", refused
    assert "take 8 or more" in refused["message"]


def test_a_rank_that_stands_still_is_named_by_the_one_that_waited_for_it(yard: Yard) -> None:
    params = {"epochs": 10_000, "hidden_units": [32]}
    run_id = yard.submit(asked("mlp", data="digits", params=params))["run_id"]
    ranks = trains(yard, run_id)
    os.kill(ranks[1], signal.SIGSTOP)
    run = yard.ended(run_id)
    assert (run["status"], run["reason"]) == ("FAILED", "crashed"), run
    first, _, other = run["message"].rpartition("; ")
    assert first.startswith("rank 0 of 2: ")
    assert "\n" not in first, "in a line, without the code that made a graph"
    assert 'File "' not in first
    assert other == "rank 1 said nothing, and had to be ended"
    assert none_is_left(ranks)


@pytest.mark.parametrize(
    ("model", "target", "loss"),
    [("mlp", "class", "log_loss"), ("mlp_regressor", "number", "root_mean_squared_error")],
)
def test_two_workers_in_batches_train_the_network_of_two_in_memory_to_the_last_byte_also_after_a_kill(
    yard: Yard, model: str, target: str, loss: str
) -> None:
    uri = str(yard.work_dir.parent / "large.parquet")
    drop = [name for name in ("class", "number") if name != target]
    data = {"source": "file", "uri": uri, "target": target, "weight": "weight", "drop": drop}
    params = {"hidden_units": [256, 128], "epochs": 8, "batch_size": 64}
    request = {"model": model, "data": data, "params": params, "max_attempts": 2}
    whole = {**request, "resources": {"workers": 2, "memory_mb": 1_000}}
    run_id = yard.submit({**request, "resources": {"workers": 2}})["run_id"]
    until(lambda: (yard.get(run_id)["progress"] or {"done": 0})["done"] >= 2, "the second epoch")
    ranks = pids(yard, run_id)
    os.kill(ranks[1], signal.SIGKILL)
    batched, whole = (yard.ended(each) for each in (run_id, yard.submit(whole)["run_id"]))
    assert none_is_left(ranks)
    assert [(run["status"], run["attempt"]) for run in (batched, whole)] == [
        ("FINISHED", 2),
        ("FINISHED", 1),
    ], (batched, whole)
    assert [in_batches(run) for run in (batched, whole)] == [True, False]
    assert digests(yard, batched) == digests(yard, whole)
    assert set(digests(yard, batched)) == {0, 1}
    assert batched["metrics"] == whole["metrics"]
    for metric in (f"train_{loss}", f"validation_{loss}"):
        assert history(yard, batched, metric) == history(yard, whole, metric)
        assert set(history(yard, whole, metric)) == set(range(1, 9))


def in_batches(run: dict[str, Any]) -> bool:
    """Whether the run said that it trains on its table so."""
    return any("trained on in batches" in (each["message"] or "") for each in run["transitions"])


TRIALS = 12
"""The samplers draw the first ten at random, and compute only then."""


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_trials_of_a_network_share_its_data_and_train_on_threads_of_their_own(
    yard: Yard, sampler: str
) -> None:
    """Each framework survives the forks, and the sampler may compute with it."""
    request = {
        "model": "mlp",
        "params": {"epochs": 2, "hidden_units": [32]},
        "data": {"source": "builtin", "name": "digits"},
        "resources": {"workers": 2, "memory_mb": 1_000},
        "search": {
            "space": {"learning_rate": {"low": 0.001, "high": 0.03, "log": True}},
            "trials": TRIALS,
            "parallel": 2,
            "sampler": sampler,
            "metric": "validation_accuracy",
        },
    }
    answer = yard.http.post("/train", json=request)
    if answer.status_code == 422:
        assert sampler == "gp"
        assert "torch" in answer.json()["errors"][0]["detail"]
        return
    run = yard.ended(answer.json()["run_id"])
    assert run["status"] == "FINISHED", run
    assert run["searched"]["trials"] == TRIALS
    assert run["searched"]["failed"] == 0
    assert run["searched"]["best_value"] > 0.5
