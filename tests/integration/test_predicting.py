"""A logged table model takes the types that callers have, without Trainyard, and so does MLflow's own server for it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from servers import free_port, until

pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.trainer import Training
from trainyard_boosting import lightgbm_models, xgboost_models

ROWS = 300
ASK = """
import decimal, io, json, sys
for name in ("trainyard", "trainyard_boosting"):
    sys.modules[name] = None
import mlflow, numpy as np, pandas as pd

rows = pd.read_parquet(sys.argv[1]).drop(columns="y")
records = json.loads(rows.to_json(orient="records", date_format="iso"))

def answers(given):
    return np.asarray(model.predict(given, params={"method": "predict_proba"}))

def first_day(quarter):
    return pd.Timestamp(int(quarter[3:]), 3 * int(quarter[1]) - 2, 1)

for path in sys.argv[2:]:
    model = mlflow.pyfunc.load_model(path)
    usual = answers(rows)
    for alike in (
        rows.assign(whole=rows.whole.astype(float), code=rows.code.astype(float)),
        rows.assign(whole=rows.whole.astype("Int64"), flag=rows.flag.astype("boolean")),
        rows.convert_dtypes(dtype_backend="pyarrow"),
        rows[rows.columns[::-1]].assign(more="x"),
        rows.assign(code=rows.code.astype(str), flag=rows.flag.astype(str), truth=rows.flag),
        rows.assign(code=rows.code.astype(float).astype(str), flag=rows.flag.astype(int), truth=rows.flag.astype(int)),
        rows.assign(flag=rows.truth, truth=rows.flag.astype(str)),
        rows.astype(object),
        rows.assign(word=rows.word.astype("category"), code=rows.code.astype("category")),
        rows.assign(number=[decimal.Decimal(str(each)) for each in rows.number]),
        rows.assign(month=pd.PeriodIndex(rows.month, freq="M").to_timestamp(), quarter=rows.quarter.map(first_day)),
        rows.assign(quarter=[each.date().isoformat() for each in rows.quarter.map(first_day)]),
        pd.read_csv(io.StringIO(rows.to_csv(index=False))),
        pd.DataFrame(records),
        records,
    ):
        assert np.allclose(answers(alike), usual, atol=1e-6)
    assert not np.allclose(answers(rows.assign(month="2021-01", quarter="Q1 2021")), usual, atol=1e-3)
    for other in (
        rows.assign(month="2031-12", quarter="Q4 2031"),
        rows.assign(month=None, quarter="?"),
        rows.assign(number=np.nan, word=None, code=None),
        rows.assign(number=rows.number.round().astype(int)),
        rows.assign(word="never seen", code=99),
        rows.drop(columns="some"),
    ):
        found = answers(other)
        assert found.shape == usual.shape and np.isfinite(found).all()
    assert np.allclose(answers(rows.head(1)), usual[:1], atol=1e-6)
    assert answers(rows.head(0)).shape == (0, 2)
    assert len(model.predict(rows.head(0))) == 0
    assert set(model.predict(rows)) <= {"yes", "no"}
    for wrong, said in (
        (rows.drop(columns="number"), "number"),
        (rows.to_numpy(), "Model is missing inputs"),
        (rows.rename(columns=str.upper), "Model is missing inputs"),
        (rows.assign(number="x"), "the column 'number' is 'x', where a number is due"),
        (rows.assign(quarter="Q5 2023"), "the column 'quarter' is 'Q5 2023', where a date is due"),
    ):
        try:
            model.predict(wrong)
        except Exception as error:
            assert said in str(error), error
        else:
            raise AssertionError(said)
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=ROWS),
            "whole": rng.integers(0, 50, ROWS),
            "flag": rng.integers(0, 2, ROWS).astype(bool),
            "code": rng.integers(1, 5, ROWS),
            "word": rng.choice(["a", "b", "c"], ROWS),
            "some": np.where(rng.random(ROWS) < 0.2, np.nan, rng.normal(size=ROWS)),
            "when": pd.date_range("2024-01-01", periods=ROWS, freq="7h"),
        }
    )
    frame["truth"] = np.where(frame.flag, "true", "false")
    periods = pd.date_range("2021-01-01", periods=ROWS, freq="4D")
    frame["month"] = periods.strftime("%Y-%m")
    frame["quarter"] = [f"Q{each.quarter} {each.year}" for each in periods]
    score = frame.number + frame.whole / 25 + frame.flag + (np.arange(ROWS) - ROWS / 2) / 60
    frame["y"] = np.where(score > 1.3, "yes", "no")
    path = tmp_path_factory.mktemp("predicting") / "table.parquet"
    frame.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def models(table) -> list[Path]:
    """XGBoost's and LightGBM's."""
    spec = FileData(source="file", uri=table.name, target="y", categorical=["code"])
    access = DataAccess((table.parent,), table.parent)
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)
    assert data.dates.keys() == {"when", "month", "quarter"}
    training = Training(
        seed=1,
        threads=1,
        checkpoints=table.parent,
        report=lambda **_: None,
        checkpoint_due=lambda: False,
    )
    paths = []
    for trainer in (xgboost_models.classifier, lightgbm_models.classifier):
        fitted = trainer.train(trainer.params(n_estimators=10), data, training)
        paths.append(table.parent / trainer.name)
        fitted.save_model(paths[-1], input_example=fitted.raw_example(data.frame))
    return paths


def test_without_trainyard_they_take_the_types_that_callers_have(models, table):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK, str(table), *map(str, models)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_mlflows_own_server_takes_csv_and_json(models, table, tmp_path):
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = ["-m", "mlflow", "models", "serve", "--env-manager", "local", "-m", str(models[0])]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, *command, "-h", "127.0.0.1", "-p", str(port)],
            env=os.environ | {"PATH": path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: _is_up(url), "MLflow's server", 120, explain=(tmp_path / "log").read_text)
        _ask(f"{url}/invocations", pd.read_parquet(table).drop(columns="y").iloc[:: ROWS // 6])
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ping").is_success
    except httpx.TransportError:
        return False


def _ask(url: str, rows: pd.DataFrame) -> None:
    def csv(frame: pd.DataFrame) -> httpx.Response:
        return httpx.post(
            url,
            content=frame.to_csv(index=False),
            headers={"content-type": "text/csv"},
            timeout=60,
        )

    def records(frame: pd.DataFrame) -> httpx.Response:
        sent = json.loads(frame.to_json(orient="records", date_format="iso"))
        return httpx.post(url, json={"dataframe_records": sent}, timeout=60)

    usual = csv(rows).json()["predictions"]
    assert set(usual) == {"yes", "no"}
    assert records(rows).json()["predictions"] == usual
    assert csv(rows.head(0)).json() == {"predictions": []}
    absent = rows.assign(number=None, word=None)
    assert csv(absent).json() == records(absent).json()
    lacking = records(rows.drop(columns="number"))
    assert (lacking.status_code, "number" in lacking.text) == (400, True)
