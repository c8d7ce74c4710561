"""A search of networks: trials that are forked train with each framework, and the sampler may compute with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server, Yard, open_yard


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def network_yard(
    request: pytest.FixtureRequest,
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Yard]:
    """A service of either framework."""
    home: Path = tmp_path_factory.mktemp("networks")
    yield from open_yard(
        mlflow_server, home, request.param, TRAINYARD_THREADS="2", TRAINYARD_SLOTS="2"
    )


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_trials_of_a_network_share_its_data_and_train_on_threads_of_their_own(
    network_yard: Yard, sampler: str
) -> None:
    request = {
        "model": "mlp",
        "params": {"epochs": 2, "hidden_units": [32]},
        "data": {"source": "builtin", "name": "digits"},
        "resources": {"workers": 2},
        "search": {
            "space": {"learning_rate": {"low": 0.001, "high": 0.03, "log": True}},
            "trials": 14,
            "parallel": 2,
            "sampler": sampler,
            "metric": "validation_accuracy",
        },
    }
    answer = network_yard.http.post("/train", json=request)
    if answer.status_code == 422:
        assert sampler == "gp"
        assert "torch" in answer.json()["errors"][0]["detail"]
        return
    run = network_yard.ended(answer.json()["run_id"])
    assert run["status"] == "FINISHED", run
    assert run["searched"]["trials"] == 14
    assert run["searched"]["failed"] == 0
    assert run["searched"]["best_value"] > 0.5
