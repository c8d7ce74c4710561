"""A champion is judged on the test rows of the run that may replace it: real services, real models, new data."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from champions import area, decided_as_recomputed, made, noted, other_model, trained
from mlflow import MlflowClient
from servers import Server, Yard, until
from waiting_model import WAITING

LATER = "the champion is scored once the model is trained"
LITTLE_MEMORY_MB = 450
"""Of which libraries take 200."""
ABSENT = """
import absent_library
import mlflow.models
mlflow.models.set_model(absent_library.Model())
"""


DEADLY = """
import os
import mlflow.models
import mlflow.pyfunc

class Deadly(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        os._exit(0)

mlflow.models.set_model(Deadly())
"""


@pytest.fixture
def client(shared_yard: Yard) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(shared_yard.mlflow.url)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


def test_quarter_by_quarter_the_champion_is_who_is_better_on_the_newest_rows(
    shared_yard: Yard, client: MlflowClient, data_root: Path
) -> None:
    name, quarters = "by quarters", 4
    whole = made(8_000)
    champion, changed = None, []
    for quarter in range(1, quarters + 1):
        table = whole.head(len(whole) * quarter // quarters)
        table.to_csv(data_root / "growing.csv", index=False)
        run = trained(
            shared_yard,
            {"uri": "growing.csv"},
            name,
            split={"by": "time", "column": "when", "test_size": 0.25},
        )
        better = decided_as_recomputed(client, name, run, table, champion)
        assert run["registered"]["promoted"] is better
        if better:
            champion = run["registered"]["version"]
            changed.append(quarter)
        assert str(client.get_model_version_by_alias(name, "champion").version) == champion
    assert len(changed) >= 2, "new data, and never a new champion"
    log = (shared_yard.folder(run["run_id"]) / "training.log").read_text()
    assert "since the champion's data" in log
    assert "Downloading artifacts" not in log, "MLflow's progress bar is in the log"


@pytest.fixture(scope="module")
def tables(data_root: Path) -> Path:
    """A table, one without a column of it, and one of other people."""
    made(1_000).to_csv(data_root / "people.csv", index=False)
    made(1_000).drop(columns="balance").to_csv(data_root / "no_balance.csv", index=False)
    return data_root


def test_the_champion_sees_columns_that_the_new_run_leaves_out_and_rows_it_trained_on_are_counted(
    shared_yard: Yard, tables: Path
) -> None:
    data, name = {"uri": "people.csv", "drop": ["when"]}, "left out"
    first = trained(shared_yard, data, name)
    second = trained(shared_yard, {**data, "drop": ["when", "balance"]}, name, split={"seed": 42})
    same_rows = second["metrics"]["champion_test_roc_auc"]
    assert same_rows == pytest.approx(first["metrics"]["test_roc_auc"], abs=1e-9)
    other = trained(shared_yard, data, name, split={"seed": 7})
    decision = other["registered"]["decision"]
    assert "of these rows, which flatters it" in decision
    assert other["metrics"]["champion_test_roc_auc"] != same_rows


def test_the_champion_reads_a_csv_as_it_was_trained_and_not_as_its_values_look(
    shared_yard: Yard, client: MlflowClient, data_root: Path
) -> None:
    """Departments 01 to 19 and 2A; of the newest rows none has a letter, and the zeros would be lost."""
    rng, name = np.random.default_rng(0), "departments"
    number = rng.integers(1, 20, 2_000)
    table = pd.DataFrame({"dept": [f"{each:02}" for each in number], "bought": number % 2})
    first = table.copy()
    first.loc[::40, "dept"] = "2A"
    first.to_csv(data_root / "letters.csv", index=False)
    table.to_csv(data_root / "digits.csv", index=False)
    trained(shared_yard, {"uri": "letters.csv"}, name)
    run = trained(shared_yard, {"uri": "digits.csv"}, name)
    assert run["metrics"]["champion_test_roc_auc"] == pytest.approx(
        area(f"models:/{name}/1", table), abs=0.01
    )
    assert run["metrics"]["champion_test_roc_auc"] > 0.99, "it knows each department"


def test_on_a_table_beyond_memory_the_champion_is_asked_for_the_same_rows(
    shared_yard: Yard, data_root: Path
) -> None:
    more = dict.fromkeys(map(str, range(24)), 0.5)
    made(500_000).assign(**more).to_parquet(data_root / "large.parquet")
    data, name = {"uri": "large.parquet"}, "beyond memory"
    first = trained(shared_yard, data, name)
    small = {"resources": {"memory_mb": LITTLE_MEMORY_MB}}
    second = trained(shared_yard, data, name, params={"n_estimators": 30, "max_depth": 5}, **small)
    said = [each["message"] or "" for each in second["transitions"]]
    assert any("trained on in batches" in each for each in said), said
    own, champions = (second["metrics"][f"{who}test_roc_auc"] for who in ("", "champion_"))
    assert champions == pytest.approx(first["metrics"]["test_roc_auc"], abs=1e-9)
    assert second["registered"]["promoted"] is (own > champions)
    assert second["metrics"]["drift_max_psi"] == 0.0


@pytest.mark.parametrize(("on_incomparable", "promoted"), [("keep", False), ("promote", True)])
def test_a_champion_whose_column_is_gone_is_dealt_with_as_the_rule_has_it(
    shared_yard: Yard, client: MlflowClient, tables: Path, on_incomparable: str, promoted: bool
) -> None:
    name = f"column gone {on_incomparable}"
    trained(shared_yard, {"uri": "people.csv"}, name)
    run = trained(
        shared_yard,
        {"uri": "no_balance.csv"},
        name,
        promote={"on_incomparable": on_incomparable},
    )
    assert run["registered"]["promoted"] is promoted
    assert "'balance' is not a column" in run["registered"]["decision"]
    assert noted(client, name, "2")["decision"] == run["registered"]["decision"]
    assert "champion_test_roc_auc" not in run["metrics"]


def test_a_champion_that_needs_what_this_service_does_not_have_keeps_its_alias(
    shared_yard: Yard, client: MlflowClient, tables: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "absent_library.py").write_text(
        "import mlflow.pyfunc\n\n\nclass Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return model_input\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    other_model(client, "absent", ABSENT, tmp_path)
    run = trained(shared_yard, {"uri": "people.csv"}, "absent")
    assert run["registered"]["promoted"] is False
    assert "No module named 'absent_library'" in run["registered"]["decision"]


def test_a_champion_that_ends_the_process_that_asks_it_ends_no_run(
    shared_yard: Yard, client: MlflowClient, tables: Path, tmp_path: Path
) -> None:
    other_model(client, "deadly", DEADLY, tmp_path)
    run = trained(shared_yard, {"uri": "people.csv"}, "deadly")
    assert run["attempt"] == 1
    assert run["registered"]["promoted"] is False
    assert "scoring it ended the process that did (exit code 0)" in run["registered"]["decision"]


def test_a_champion_whose_files_are_gone_is_not_waited_for_for_ever(
    shared_yard: Yard, client: MlflowClient, tables: Path, mlflow_server: Server
) -> None:
    name = "files gone"
    first = trained(shared_yard, {"uri": "people.csv"}, name)
    model_id = first["model_uri"].removeprefix("models:/")
    [stored] = Path(mlflow_server.log.parent / "artifacts").glob(f"**/{model_id}")
    shutil.rmtree(stored)
    run = trained(shared_yard, {"uri": "people.csv"}, name, promote={"on_incomparable": "promote"})
    assert run["registered"]["promoted"] is True
    assert "version 1, which holds 'champion', cannot be compared" in run["registered"]["decision"]


def held(yard: Yard, data: dict[str, Any], name: str) -> str:
    """A run that wants to become champion of `name`, and trains until `let_go`."""
    request = {
        "model": "troubled",
        "params": {"hold": "train"},
        "data": {"source": "file", "target": "bought", **data},
        "register": {"name": name, "promote": {"metric": "test_roc_auc"}},
    }
    run_id = str(yard.submit(request)["run_id"])
    until(lambda: "waits in train" in yard.http.get(f"/train/{run_id}/logs").text, "the training")
    return run_id


def let_go(yard: Yard, run_id: str) -> dict[str, Any]:
    (yard.folder(run_id) / "checkpoints/go").touch()
    return yard.ended(run_id)


def files(folder: Path) -> set[tuple[str, int]]:
    """Name and size of each file at any depth."""
    return {(path.name, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def held_with(stored: Path, yard: Yard, data: dict[str, Any], name: str, tries: int = 3) -> str:
    """A run that is `held` and has the champion's files.

    One for which MLflow is too slow says so; one that does not have them for a minute scores the champion itself once it
    is let go. In place of either, another is sent.
    """
    run_id = held(yard, data, name)
    gives_up_at = time.monotonic() + 60

    def log() -> str:
        return yard.http.get(f"/train/{run_id}/logs").text

    def has() -> bool:
        return files(stored) <= files(yard.folder(run_id) / "tmp")

    until(
        lambda: has() or LATER in log() or time.monotonic() > gives_up_at,
        "the champion's files",
        explain=log,
    )
    if has():
        return run_id
    there = sorted(files(yard.folder(run_id) / "tmp"))
    assert let_go(yard, run_id)["status"] == "FINISHED"
    assert tries > 1, f"has {there}, and not {sorted(files(stored))}; its log:\n{log()}"
    return held_with(stored, yard, data, name, tries - 1)


def test_the_champion_is_fetched_while_the_run_trains_and_who_took_its_place_meanwhile_is_judged(
    shared_yard: Yard, client: MlflowClient, tables: Path, mlflow_server: Server
) -> None:
    data, name = {"uri": "people.csv", "drop": ["when", "job"]}, "fetched"
    first, second = (
        trained(shared_yard, data, name, params={"n_estimators": trees}, promote={"min_delta": 0.5})
        for trees in (20, 1)
    )
    model_id = first["model_uri"].removeprefix("models:/")
    [stored] = Path(mlflow_server.log.parent / "artifacts").glob(f"**/{model_id}")
    assert not [*stored.rglob("__pycache__")]
    run_id = held_with(stored, shared_yard, data, name)
    shutil.rmtree(stored)
    run = let_go(shared_yard, run_id)
    held_value = run["metrics"]["champion_test_roc_auc"]
    assert held_value == pytest.approx(first["metrics"]["test_roc_auc"], abs=1e-9)
    assert run["metrics"]["drift_max_psi"] == 0

    run_id = held(shared_yard, data, name)
    client.set_registered_model_alias(name, "champion", second["registered"]["version"])
    run = let_go(shared_yard, run_id)
    assert noted(client, name, run["registered"]["version"])["champion_version"] == "2"
    held_value = run["metrics"]["champion_test_roc_auc"]
    assert held_value == pytest.approx(second["metrics"]["test_roc_auc"], abs=1e-9)
    assert run["metrics"]["drift_max_psi"] == 0


def test_a_service_killed_while_it_judges_registers_and_decides_once(
    shared_yard: Yard, client: MlflowClient, tables: Path, tmp_path: Path
) -> None:
    asked, gate = tmp_path / "asked", tmp_path / "gate"
    code = WAITING.format(asked=str(asked), gate=str(gate), labels=("0", "1"))
    other_model(client, "killed", code, tmp_path)
    request = {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 10},
        "data": {"source": "file", "uri": "people.csv", "target": "bought"},
        "register": {"name": "killed", "promote": {"metric": "test_roc_auc"}},
        "max_attempts": 2,
    }
    run_id = shared_yard.submit(request)["run_id"]
    until(asked.exists, "the champion to be asked")
    shared_yard.service.kill(signal.SIGKILL)
    gate.touch()
    shared_yard.service.start()
    run = shared_yard.ended(run_id)
    assert (run["status"], run["attempt"]) == ("FINISHED", 2), run
    assert run["metrics"]["champion_test_roc_auc"] == 0.5
    assert run["registered"]["promoted"] is True
    assert [str(each.version) for each in client.search_model_versions("name='killed'")] == [
        "2",
        "1",
    ]
    assert client.get_registered_model("killed").tags["trainyard.previous.champion"] == '["1"]'


def test_a_run_that_waits_to_be_asked_is_promoted_by_the_numbers_that_it_recorded(
    shared_yard: Yard, client: MlflowClient, data_root: Path
) -> None:
    name, whole = "asked", made(8_000)
    runs = []
    for rows, when, trees in ((4_000, "now", 1), (8_000, "asked", 40)):
        whole.head(rows).to_csv(data_root / f"asked-{rows}.csv", index=False)
        runs.append(
            trained(
                shared_yard,
                {"uri": f"asked-{rows}.csv", "drop": ["balance"]},
                name,
                params={"n_estimators": trees, "max_depth": 1 if trees == 1 else 3},
                split={"by": "time", "column": "when", "test_size": 0.25},
                promote={"when": when, "confidence": 0.9},
            )
        )
    first, second = runs
    assert second["registered"]["promoted"] is None
    assert second["registered"]["decision"].startswith("not decided yet: ")
    assert str(client.get_model_version_by_alias(name, "champion").version) == "1"
    answer = shared_yard.http.post(f"/train/{second['run_id']}/promotion", json={"by": "anna"})
    assert (answer.status_code, answer.json()["promoted"]) == (200, True), answer.text
    assert answer.json()["decision"].endswith("; asked for by anna")
    note = noted(client, name, "2")
    held = second["metrics"]["champion_test_roc_auc"]
    assert float(note["champion_value"]) == pytest.approx(held, abs=1e-12)
    assert note["difference_low"]
    assert str(client.get_model_version_by_alias(name, "champion").version) == "2"
    # The first was judged when nobody held the alias, so the second is scored on its test rows now.
    answer = shared_yard.http.post(f"/train/{first['run_id']}/promotion")
    assert (answer.status_code, answer.json()["promoted"]) == (200, False), answer.text
    assert str(client.get_model_version_by_alias(name, "champion").version) == "2"
    assert shared_yard.get(second["run_id"]) == second
