"""A holder that the run has not judged is judged when somebody asks: in a process of its own, by the rows of the run."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
import pytest
from champions import made, noted, other_model, trained
from mlflow import MlflowClient
from servers import Yard, until
from sklearn.metrics import roc_auc_score
from trainyard.launcher.spare import NAME as SPARE
from waiting_model import WAITING

BY_TIME = {"by": "time", "column": "when", "test_size": 0.25}


@pytest.fixture
def client(shared_yard: Yard) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(shared_yard.mlflow.url)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


def asked(yard: Yard, run: dict[str, Any], **word: Any) -> Any:
    return yard.http.post(f"/train/{run['run_id']}/promotion", json=word)


def judgings(yard: Yard) -> list[int]:
    """The processes that the fork server of the service has forked, runs aside, and the one that waits to be one."""
    service = yard.service.process
    assert service is not None
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    found: list[int] = []
    for child in children:
        for task in Path(f"/proc/{child}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return [pid for pid in found if not is_spare(pid)]


def is_spare(pid: int) -> bool:
    """Whether the process waits for the next run."""
    with suppress(FileNotFoundError):  # it has ended meanwhile
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n") == SPARE
    return False


def three(yard: Yard, data_root: Path, name: str, **promote: Any) -> list[dict[str, Any]]:
    """A champion, and two runs that wait to be asked, each judged against it; the last one's table is larger."""
    whole, runs = made(6_000), []
    for rows, when, trees in ((2_000, "now", 1), (4_000, "asked", 20), (6_000, "asked", 40)):
        table = f"{name}-{rows}.csv"
        whole.head(rows).to_csv(data_root / table, index=False)
        runs.append(
            trained(
                yard,
                {"uri": table},
                name,
                params={"n_estimators": trees, "max_depth": 1 if trees == 1 else 3},
                split=BY_TIME,
                promote={"when": when, **promote},
            )
        )
    return runs


def test_a_holder_that_came_after_the_judgement_is_scored_on_the_rows_of_the_run_and_the_numbers_are_right(
    shared_yard: Yard, client: MlflowClient, data_root: Path
) -> None:
    name = "asked of another holder"
    _, second, third = three(shared_yard, data_root, name, confidence=0.9)
    assert asked(shared_yard, second).json()["promoted"] is True
    before = shared_yard.get(third["run_id"])
    answer = asked(shared_yard, third, by="anna")
    assert answer.status_code == 200, answer.text
    note = noted(client, name, "3")
    rows = pd.read_csv(data_root / f"{name}-6000.csv").tail(int(note["test_rows"]))
    areas = [
        float(
            roc_auc_score(
                rows["bought"],
                mlflow.pyfunc.load_model(f"models:/{name}/{version}").predict(
                    rows.drop(columns="bought"), params={"method": "predict_proba"}
                )["1"],
            )
        )
        for version in ("2", "3")
    ]
    assert note["champion_version"] == "2"
    assert [float(note["champion_value"]), float(note["value"])] == pytest.approx(areas, abs=1e-9)
    low, high = float(note["difference_low"]), float(note["difference_high"])
    assert low < areas[1] - areas[0] < high
    assert note["rows_seen_by_champion"] == "0"
    assert note["drift_max_psi"]
    assert answer.json()["promoted"] is (low > 0)
    assert "the newest rows, 'when' from" in note["decision"]
    assert shared_yard.get(third["run_id"]) == before
    until(lambda: not judgings(shared_yard), "the process to be gone")


def test_data_that_has_changed_since_makes_the_holder_incomparable_and_the_rule_says_what_follows(
    shared_yard: Yard, data_root: Path
) -> None:
    for on_incomparable, promoted in (("keep", False), ("promote", True)):
        name = f"asked after a change {on_incomparable}"
        _, second, third = three(
            shared_yard, data_root, name, on_incomparable=on_incomparable, confidence=0.5
        )
        assert asked(shared_yard, second).json()["promoted"] is True
        made(6_000, seed=1).to_csv(data_root / f"{name}-6000.csv", index=False)
        answer = asked(shared_yard, third).json()
        assert answer["promoted"] is promoted
        assert "the data has changed since the run of version 3 read it" in answer["decision"]


@pytest.fixture
def waiting(
    shared_yard: Yard, client: MlflowClient, data_root: Path, tmp_path: Path
) -> tuple[dict[str, Any], Path, Path]:
    """A run whose alias has gone to a model that answers once the gate is there; also what it touches when asked."""
    name = f"asked and waiting {tmp_path.name}"
    made(1_000).to_csv(data_root / "waiting.csv", index=False)
    run = trained(shared_yard, {"uri": "waiting.csv"}, name, promote={"when": "asked"})
    touched, gate = tmp_path / "asked", tmp_path / "gate"
    code = WAITING.format(asked=str(touched), gate=str(gate), labels=("0", "1"))
    other = other_model(client, f"{name} elsewhere", code, tmp_path)
    version = client.create_model_version(name, other.source, other.run_id)
    client.set_registered_model_alias(name, "champion", version.version)
    return run, touched, gate


def test_a_caller_that_hangs_up_loses_nothing_and_who_asks_again_joins_what_is_under_way(
    shared_yard: Yard, client: MlflowClient, waiting: tuple[dict[str, Any], Path, Path]
) -> None:
    run, touched, gate = waiting
    with pytest.raises(Exception, match="timed out"):
        shared_yard.http.post(f"/train/{run['run_id']}/promotion", json={}, timeout=3)
    until(touched.exists, "the holder to be asked")
    with ThreadPoolExecutor(2) as threads:
        again = [threads.submit(asked, shared_yard, run) for _ in range(2)]
        assert len(judgings(shared_yard)) == 1
        gate.touch()
        answers = [each.result() for each in again]
    assert [each.json()["promoted"] for each in answers] == [True, True]
    assert [each.json()["decision"] for each in answers] == [answers[0].json()["decision"]] * 2
    name = run["registered"]["name"]
    assert client.get_registered_model(name).tags["trainyard.previous.champion"] == '["2"]'
    until(lambda: not judgings(shared_yard), "the process to be gone")


def test_a_holder_whose_process_is_killed_is_incomparable_until_somebody_asks_again(
    shared_yard: Yard, waiting: tuple[dict[str, Any], Path, Path]
) -> None:
    run, touched, gate = waiting
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(asked, shared_yard, run)
        until(touched.exists, "the holder to be asked")
        os.kill(judgings(shared_yard)[0], signal.SIGKILL)
        found = answer.result().json()
    assert found["promoted"] is False
    assert "was ended by SIGKILL" in found["decision"]
    assert shared_yard.http.get("/readyz").status_code == 200
    gate.touch()
    assert asked(shared_yard, run).json()["promoted"] is True
