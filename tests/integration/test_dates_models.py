"""Dates in the boosting models: better than without, and read from raw columns by the logged model."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

import mlflow
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.trainer import Training
from trainyard_boosting import lightgbm_models, xgboost_models

REGRESSORS = [xgboost_models.regressor, lightgbm_models.regressor]


def by_name(trainer):
    return trainer.name


@pytest.fixture(scope="module")
def bikes(tmp_path_factory) -> Path:
    """A folder with bike sharing, its year, month, day and hour written as a date, day first."""
    data = os.environ.get("TRAINYARD_TEST_DATA")
    if not data:
        pytest.skip("TRAINYARD_TEST_DATA is not set")
    frame = pd.read_csv(Path(data) / "tabular/bike_sharing_hourly.csv")
    parts = {"year": 2011 + frame.yr, "month": frame.mnth, "day": frame.dteday, "hour": frame.hr}
    frame["when"] = pd.to_datetime(pd.DataFrame(parts)).dt.strftime("%d/%m/%Y %H:%M")
    root = tmp_path_factory.mktemp("bikes")
    frame.to_csv(root / "bikes.csv", index=False)
    return root


def load(root: Path, uri: str, target: str, **more):
    spec = FileData(source="file", uri=uri, target=target, **more)
    return loading.load(spec, Split(), task=Task.REGRESSION, access=DataAccess((root,), root))


def trained(trainer, data, folder: Path, **params):
    training = Training(
        seed=1, threads=1, checkpoints=folder, report=lambda **_: None, checkpoint_due=lambda: False
    )
    return trainer.train(trainer.params(**params), data, training)


@pytest.mark.parametrize("trainer", REGRESSORS, ids=by_name)
def test_bike_sharing_is_predicted_better_with_its_dates(trainer, bikes, tmp_path):
    scores = {}
    for dates in ("features", "ignore"):
        data = load(bikes, "bikes.csv", "cnt", dates=dates)
        (tmp_path / dates).mkdir()
        fitted = trained(trainer, data, tmp_path / dates, n_estimators=100, learning_rate=0.1)
        scores[dates] = r2_score(data.test.y, fitted.predict(data.test.x))
    assert scores["features"] >= scores["ignore"], scores
    assert scores["features"] > 0.94


@pytest.mark.parametrize("trainer", REGRESSORS, ids=by_name)
def test_a_logged_model_predicts_from_raw_dates_what_the_fitted_one_does(trainer, tmp_path):
    times = pd.date_range("2022-01-01 05:00", periods=600, freq="5h", tz="Europe/Berlin")
    hours = np.cos(2 * np.pi * times.hour / 24) + np.arange(600) / 200
    raw = pd.DataFrame({"when": times, "when_hour_sin": np.arange(600) % 5, "y": hours})
    raw.to_parquet(tmp_path / "table.parquet", index=False)
    data = load(tmp_path, "table.parquet", "y")
    (tmp_path / "checkpoints").mkdir()
    rising = {"monotone_constraints": {"when": 1}} if trainer is REGRESSORS[1] else {}
    fitted = trained(trainer, data, tmp_path / "checkpoints", n_estimators=50, **rising)
    assert set(fitted.feature_importance()) == {"when", "when_hour_sin"}
    fitted.save_model(tmp_path / "model", input_example=fitted.raw_example(data.frame))
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    asked = raw.drop(columns="y")
    answers = model.predict(asked)
    assert r2_score(raw.y, answers) > 0.9
    for same in (
        asked.assign(when=times.tz_convert("UTC")),
        asked.assign(when=[each.isoformat() for each in times]),
    ):
        assert (model.predict(same) == answers).all()
    example = fitted.raw_example(data.frame)
    assert model.predict(example) == pytest.approx(fitted.predict(data.frame.head(5)))
