"""Services that know each other: one decides for all, and each scores what the other cannot load."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlflow
import pytest
from champions import made, noted, trained
from mlflow import MlflowClient
from servers import Server, Yard, free_port, service_over, until, yard_of
from trainyard.contract import Promote
from trainyard.peers.services import Peers, peer_secret
from trainyard.peers.turns import TurnsAmongServices
from trainyard.registry import mlflow_registry as registry

TOKEN = "a token of the tests"
RULE = Promote(metric="test_auc")
ROUNDS = 12


def ready(yard: Yard) -> None:
    """Wait until it would take a run: `/readyz` needs the token, so that `start` cannot ask for it."""
    until(lambda: yard.http.get("/readyz").status_code == 200, f"{yard.service.url}/readyz", 120)


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Of the services that know each other. The first decides for all, and the last is started by who needs it."""
    return {name: free_port() for name in ("boosting", "pytorch", "tensorflow")}


@contextmanager
def at_work(
    name: str, ports: dict[str, int], mlflow_server: Server, home: Path, data_root: Path
) -> Iterator[Yard]:
    """The service of the name in a folder of that name below `home`, which it shares with no other."""
    own = home / name
    own.mkdir()
    server = service_over(
        mlflow_server,
        own,
        name,
        TRAINYARD_PORT=str(ports[name]),
        TRAINYARD_SERVICES=",".join(
            f"{each}=http://127.0.0.1:{port}" for each, port in ports.items()
        ),
        TRAINYARD_TOKEN=TOKEN,
        TRAINYARD_DATA_ROOTS=str(data_root),
    )
    server.port, server.ready = ports[name], "/healthz"
    with contextmanager(yard_of)(server, mlflow_server, own) as yard:
        yard.http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield yard


@pytest.fixture(scope="module")
def pair(
    ports: dict[str, int],
    mlflow_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    data_root: Path,
) -> Iterator[tuple[Yard, Yard]]:
    """The boosting service, which decides for all, and the PyTorch service."""
    home = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack:
        boosting, pytorch = (
            stack.enter_context(at_work(name, ports, mlflow_server, home, data_root))
            for name in ("boosting", "pytorch")
        )
        for yard in (boosting, pytorch):
            ready(yard)
        yield boosting, pytorch


@pytest.fixture
def client(mlflow_server: Server) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mlflow_server.url)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


def version_of(client: MlflowClient, name: str, auc: float) -> str:
    """A version of a run that was tested on the same rows as the others."""
    tags = {"trainyard.data_digest": "d", "trainyard.split": "s", "trainyard.test_rows": "50"}
    run_id = client.create_run("0", tags=tags).info.run_id
    client.log_metric(run_id, "test_auc", auc)
    model = client.create_logged_model("0", name="model", source_run_id=run_id)
    uri = client.finalize_logged_model(model.model_id, "READY").model_uri
    return registry.register(client, name=name, model_uri=uri, run_id=run_id, tags={})


def peers_of(pair: tuple[Yard, Yard], own: str) -> Peers:
    urls = dict(zip(("boosting", "pytorch"), (each.service.url for each in pair), strict=True))
    return Peers(own, urls, peer_secret(TOKEN))


def turns(pair: tuple[Yard, Yard], own: str, patience_seconds: float = 180) -> TurnsAmongServices:
    """As a run of the service `own` takes them, with a client of its own."""
    locks = pair[own == "pytorch"].work_dir / "locks"
    return TurnsAmongServices(
        MlflowClient(), peers_of(pair, own), locks, patience_seconds=patience_seconds
    )


def test_two_services_that_promote_at_once_have_one_winner_each_time_and_the_history_is_whole(
    pair: tuple[Yard, Yard], client: MlflowClient
) -> None:
    name = "raced by two services"
    gates = threading.Barrier(2)
    rounds = [
        [version_of(client, name, 0.5 + (2 * each + which) / 1000) for which in (0, 1)]
        for each in range(ROUNDS)
    ]
    failed: list[BaseException] = []

    def race(own: str, which: int) -> None:
        mine = turns(pair, own)
        try:
            for each in rounds:
                gates.wait(180)
                registry.promote(
                    MlflowClient(),
                    name=name,
                    version=each[which],
                    rule=RULE,
                    locks=pair[0].work_dir / "locks",
                    turns=mine,
                )
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)
            gates.abort()

    racers = [
        threading.Thread(target=race, args=(own, which))
        for which, own in enumerate(("boosting", "pytorch"))
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert not failed
    model = client.get_registered_model(name)
    assert model.aliases["champion"] == rounds[-1][1]
    history = json.loads(model.tags["trainyard.previous.champion"])
    won = [
        version
        for each in rounds
        for version in each
        if noted(client, name, version)["decision"].startswith("promoted")
    ]
    assert all(each[1] in won for each in rounds), "the better one of each round becomes champion"
    assert [*history, model.aliases["champion"]] == won[-len(history) - 1 :]
    back = pair[1].http.post(f"/registered-models/{name}/rollback").json()
    assert (back["version"], back["aliases"]) == (won[-2], ["champion"])
    again = pair[0].http.post(f"/registered-models/{name}/rollback").json()
    assert again["version"] == won[-3]


def test_a_decider_that_dies_while_it_decides_is_waited_for_and_the_decision_is_taken_once(
    pair: tuple[Yard, Yard], client: MlflowClient
) -> None:
    name = "decided by one who died"
    first, second = (version_of(client, name, auc) for auc in (0.5, 0.6))
    decider = pair[0].service
    assert decider.process is not None
    registry.promote(
        client, name=name, version=first, rule=RULE, locks=Path(), turns=turns(pair, "pytorch")
    )
    decider.process.send_signal(signal.SIGSTOP)  # it has taken the call, and answers nobody
    found: list[Any] = []
    asking = threading.Thread(
        target=lambda: found.append(
            registry.promote(
                MlflowClient(),
                name=name,
                version=second,
                rule=RULE,
                locks=Path(),
                turns=turns(pair, "pytorch"),
            )
        )
    )
    asking.start()
    decider.kill(signal.SIGKILL, group=True)
    decider.start()
    asking.join(240)
    ready(pair[0])
    assert found[0].promoted is True
    model = client.get_registered_model(name)
    assert model.aliases["champion"] == second
    assert json.loads(model.tags["trainyard.previous.champion"]) == [first]


def test_what_services_ask_each_other_needs_a_token_and_theirs_opens_nothing_else(
    pair: tuple[Yard, Yard],
) -> None:
    theirs = {"Authorization": f"Bearer {peer_secret(TOKEN)}"}
    turn = {"name": "nothing", "version": "1"}
    decider, other = pair
    assert (
        decider.http.post("/decisions", json=turn, headers={"Authorization": ""}).status_code == 401
    )
    assert decider.http.get("/train", headers=theirs).status_code == 401
    assert decider.http.post("/decisions", json=turn, headers=theirs).status_code == 409
    refused = other.http.post("/decisions", json=turn, headers=theirs)
    assert "boosting decides about promotions, and not pytorch" in refused.json()["detail"]


NETWORK = {"model": "mlp", "params": {"epochs": 3}}
TREES = {"model": "xgboost_classifier", "params": {"n_estimators": 40, "max_depth": 3}}
STUMP = {"model": "xgboost_classifier", "params": {"n_estimators": 1, "max_depth": 1}}


@pytest.mark.parametrize(
    ("before", "after"), [((0, STUMP), (1, NETWORK)), ((1, NETWORK), (0, TREES))]
)
def test_a_holder_of_another_framework_is_scored_by_its_own_service_and_either_may_win(
    pair: tuple[Yard, Yard],
    client: MlflowClient,
    data_root: Path,
    before: tuple[int, dict[str, Any]],
    after: tuple[int, dict[str, Any]],
) -> None:
    name = f"of two frameworks {before[0]}"
    made(2_000).to_csv(data_root / f"{name}.csv", index=False)
    data = {"uri": f"{name}.csv", "drop": ["when"]}
    (which, request), (other, newer) = before, after
    first = trained(pair[which], data, name, **request)
    assert first["registered"]["promoted"] is True
    second = trained(pair[other], data, name, **newer)
    # The same table and the same split: the holder's metric on these rows is what its own run found.
    held = second["metrics"]["champion_test_roc_auc"]
    assert held == pytest.approx(first["metrics"]["test_roc_auc"], abs=1e-6)
    note = noted(client, name, second["registered"]["version"])
    assert note["champion_version"] == "1"
    assert note["difference_low"]
    assert second["registered"]["promoted"] is (second["metrics"]["test_roc_auc"] > held)


def test_a_service_that_is_away_or_finds_other_rows_leaves_the_holder_incomparable(
    pair: tuple[Yard, Yard], data_root: Path
) -> None:
    name = "of a service that is away"
    made(1_000).to_csv(data_root / f"{name}.csv", index=False)
    data = {"uri": f"{name}.csv", "drop": ["when"]}
    trained(pair[1], data, name, **NETWORK)
    pair[1].service.kill(signal.SIGTERM)
    try:
        run = trained(pair[0], data, name, promote={"on_incomparable": "promote"}, **TREES)
    finally:
        pair[1].service.start()
        ready(pair[1])
    assert run["registered"]["promoted"] is True
    assert "this service does not have 'torch'" in run["registered"]["decision"]
    assert "the service pytorch at" in run["registered"]["decision"]


def test_who_asks_later_has_a_holder_of_another_framework_scored_too(
    pair: tuple[Yard, Yard], client: MlflowClient, data_root: Path
) -> None:
    name = "asked of a network"
    made(2_000).to_csv(data_root / f"{name}.csv", index=False)
    data = {"uri": f"{name}.csv", "drop": ["when"]}
    rule = {"confidence": 0.5}
    waits = trained(pair[0], data, name, promote={"when": "asked", **rule}, **TREES)
    holder = trained(pair[1], data, name, promote=rule, **NETWORK)
    assert holder["registered"]["aliases"] == ["champion"]
    answer = pair[0].http.post(f"/train/{waits['run_id']}/promotion", json={})
    assert answer.status_code == 200, answer.text
    note = noted(client, name, "1")
    assert note["champion_version"] == "2", note
    held = holder["metrics"]["test_roc_auc"]
    assert float(note["champion_value"]) == pytest.approx(held, abs=1e-6)
    assert answer.json()["promoted"] is (float(note["difference_low"]) > 0)


@pytest.fixture
def tensorflow(
    ports: dict[str, int], mlflow_server: Server, tmp_path: Path, data_root: Path
) -> Iterator[Yard]:
    """The TensorFlow service."""
    with at_work("tensorflow", ports, mlflow_server, tmp_path, data_root) as yard:
        ready(yard)
        yield yard


def test_a_network_of_images_is_scored_by_the_service_of_its_framework_and_either_may_win(
    pair: tuple[Yard, Yard], tensorflow: Yard, client: MlflowClient
) -> None:
    name, found = "of two networks", []
    for yard, epochs in ((pair[1], 1), (tensorflow, 4), (pair[1], 4)):
        request = {
            "model": "cnn",
            "params": {"conv_channels": [8], "epochs": epochs, "batch_size": 32},
            "data": {"source": "builtin", "name": "digits"},
            "register": {"name": name, "promote": {"metric": "test_log_loss"}},
        }
        found.append(yard.ended(yard.submit(request)["run_id"]))
    assert [run["registered"]["promoted"] for run in found[:2]] == [True, True], found
    for before, after in pairwise(found):
        for metric in ("test_log_loss", "test_accuracy"):
            held = after["metrics"][f"champion_{metric}"]
            assert held == pytest.approx(before["metrics"][metric], abs=1e-6), metric
        note = noted(client, name, after["registered"]["version"])
        assert note["champion_version"] == before["registered"]["version"]
        assert note["difference_low"]
    newest = found[-1]["metrics"]
    better = newest["test_log_loss"] < newest["champion_test_log_loss"]
    assert found[-1]["registered"]["promoted"] is better
