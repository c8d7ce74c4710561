"""A champion is judged on the test rows of the run that may replace it: real services, real models, new data."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from champions import made, noted, other_model, trained
from mlflow import MlflowClient
from servers import Server, Yard, until
from sklearn.metrics import roc_auc_score
from waiting_model import WAITING

ABSENT = """
import absent_library
import mlflow.models
mlflow.models.set_model(absent_library.Model())
"""


@pytest.fixture
def client(shared_yard: Yard) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(shared_yard.mlflow.url)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


def bank(rows: int) -> pd.DataFrame:
    """Bank marketing, which is in the order of time."""
    folder = os.environ.get("TRAINYARD_TEST_DATA")
    if not folder:
        pytest.skip("TRAINYARD_TEST_DATA names no folder with tabular/bank_marketing.csv")
    table = pd.read_csv(Path(folder) / "tabular/bank_marketing.csv", nrows=rows)
    table = table.rename(columns={"y": "bought"})
    table["bought"] = (table["bought"].astype(str) == str(max(table["bought"].unique()))).astype(
        int
    )
    return table.assign(when=np.arange(len(table)))


def area(model_uri: str, rows: pd.DataFrame) -> float:
    """What the model reaches on the rows, as anybody who has it finds out."""
    model = mlflow.pyfunc.load_model(model_uri)
    answer = model.predict(rows.drop(columns="bought"), params={"method": "predict_proba"})
    return float(roc_auc_score(rows["bought"], answer["1"]))


@pytest.mark.parametrize("source", [made, bank])
def test_quarter_by_quarter_the_champion_is_who_is_better_on_the_newest_rows(
    shared_yard: Yard, client: MlflowClient, data_root: Path, source: Any
) -> None:
    name, quarters = f"by quarters of {source.__name__}", 4
    whole = source(8_000)
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
        version = run["registered"]["version"]
        note = noted(client, name, version)
        newest = table.tail(int(note["test_rows"]))
        assert len(newest) == len(table) // 4
        assert float(note["value"]) == pytest.approx(area(run["model_uri"], newest), abs=1e-9)
        if champion is None:
            assert note["decision"].startswith("promoted: nobody held 'champion'")
        else:
            held = area(f"models:/{name}/{champion}", newest)
            assert note["champion_version"] == champion
            assert float(note["champion_value"]) == pytest.approx(held, abs=1e-9)
            assert run["metrics"]["champion_test_roc_auc"] == pytest.approx(held, abs=1e-9)
            assert run["registered"]["promoted"] is (run["metrics"]["test_roc_auc"] > held)
            low, high = float(note["difference_low"]), float(note["difference_high"])
            assert low < run["metrics"]["test_roc_auc"] - held < high
            assert note["rows_seen_by_champion"] == "0"
            assert "the newest rows, 'when' from" in note["decision"]
            in_mlflow = client.get_run(run["run_id"])
            assert in_mlflow.data.tags["trainyard.champion_version"] == champion
            assert in_mlflow.data.metrics["champion_test_roc_auc"] == pytest.approx(held)
        if run["registered"]["promoted"]:
            champion = version
            changed.append(quarter)
        assert str(client.get_model_version_by_alias(name, "champion").version) == champion
    assert len(changed) >= 2, "new data, and never a new champion"


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
