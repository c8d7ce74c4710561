"""Networks that two processes train together: as good as by one, the same on both, and ended as one."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from servers import Server, Yard, open_yard, tidied
from several import alike, asked, none_is_left, trained, trains


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def lasting(
    request: pytest.FixtureRequest, mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    home = tmp_path_factory.mktemp(request.param)
    # The workers reach each other where a proxy is named, too.
    proxy = {"grpc_proxy": "http://127.0.0.1:9"}
    variables = {
        "TRAINYARD_SLOTS": "2",
        "TRAINYARD_THREADS": "2",
        "TRAINYARD_COLLECTIVE_SECONDS": "30",
        **proxy,
    }
    yield from open_yard(mlflow_server, home, request.param, **variables)


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
