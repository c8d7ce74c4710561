"""Boosting on tables that do not fit in memory, or have thousands of columns: the same model, and nothing drawn a column."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

import mlflow  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_diabetes  # noqa: E402
from trainyard.contract import FileData, Split, Task  # noqa: E402
from trainyard.datasets import loading  # noqa: E402
from trainyard.datasets.access import DataAccess  # noqa: E402
from trainyard.errors import InvalidParams  # noqa: E402
from trainyard.trainer import Interrupted, Training  # noqa: E402
from trainyard.worker.evaluation import evaluate  # noqa: E402
from trainyard.world import World  # noqa: E402
from trainyard_boosting import lightgbm_models, xgboost_models  # noqa: E402
from trainyard_boosting._batches import ROWS_AT_ONCE, LightGBMBatches, rows_at_once, slices  # noqa: E402
from trainyard_boosting._tables import Table  # noqa: E402

ROWS = ROWS_AT_ONCE + 20_000
"""Two batches of training rows."""
MODELS = [
    (xgboost_models.classifier, "two"),
    (xgboost_models.classifier, "three"),
    (xgboost_models.regressor, "number"),
    (lightgbm_models.classifier, "two"),
    (lightgbm_models.classifier, "three"),
    (lightgbm_models.regressor, "number"),
]


@pytest.fixture(autouse=True)
def _temporary_files_go_with_the_test(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("large-tables")
    rng = np.random.default_rng(0)
    rows = int(ROWS / 0.7)
    frame = pd.DataFrame({f"x {at}": rng.standard_normal(rows) for at in range(4)})
    frame["x 1"] = frame["x 1"].where(rng.random(rows) > 0.1)
    frame["city"] = rng.choice(["Ulm", "Bonn", "Köln", None], rows)
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        rng.integers(0, 10**7, rows), unit="s"
    )
    score = frame["x 0"] + 2 * (frame["city"] == "Ulm") + frame["when"].dt.hour / 12
    frame["number"] = score + rng.standard_normal(rows)
    frame["two"] = (frame["number"] > 1.5).astype(int)
    frame["three"] = pd.qcut(frame["number"], 3, labels=["low", "mid", "high"]).astype(str)
    frame["weight"] = rng.random(rows) + 0.1
    frame.to_parquet(found / "large.parquet")
    return found


def loaded(folder, task, target, memory_mb):
    others = sorted({"number", "two", "three"} - {target})
    return loading.load(
        FileData(source="file", uri="large.parquet", target=target, weight="weight", drop=others),
        Split(),
        task=task,
        access=DataAccess(roots=(folder,), data_dir=folder, memory_mb=memory_mb),
        needs_whole=None,
    )


def fit(trainer, data, folder, **params):
    def report(**_):
        """Nobody asks."""

    folder.mkdir(exist_ok=True)
    training = Training(
        seed=0, threads=2, checkpoints=folder, report=report, checkpoint_due=lambda: False
    )
    return trainer.train(trainer.params(**params), data, training)


@pytest.mark.parametrize(
    ("trainer", "target"), MODELS, ids=[f"{model.name}-{target}" for model, target in MODELS]
)
def test_metrics_in_batches_are_those_of_the_whole_in_memory(trainer, target, folder, tmp_path):
    found = []
    for memory_mb in (None, 16):
        data = loaded(folder, trainer.task, target, memory_mb)
        assert bool(data.beyond_memory) is (memory_mb is not None)
        fitted = fit(trainer, data, tmp_path, n_estimators=5)
        predicted = fitted.predict(data.test.x)
        found.append(evaluate(trainer.task, predicted, data.test, data.classes, "test"))
    whole, batched = found
    assert batched == pytest.approx(whole, rel=0.01)
    fitted.save_model(tmp_path / "model")
    raw = pd.DataFrame(
        {name: values.astype(object) for name, values in data.test.x.head(500).items()}
    )
    loaded_model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    method = "predict" if data.classes is None else "predict_proba"
    scored = np.asarray(loaded_model.predict(raw, params={"method": method}))
    np.testing.assert_allclose(scored, predicted[:500], rtol=1e-5)


def test_early_stopping_and_class_weights_hold_in_batches(folder, tmp_path):
    data = loaded(folder, Task.CLASSIFICATION, "two", 16)
    for trainer in (xgboost_models.classifier, lightgbm_models.classifier):
        fitted = fit(
            trainer,
            data,
            tmp_path,
            n_estimators=100,
            learning_rate=1.0,
            early_stopping_rounds=1,
            class_weight="balanced",
        )
        assert fitted.predict(data.test.x.head(5)).shape == (5, 2)


@pytest.mark.parametrize("trainer", [xgboost_models.classifier, lightgbm_models.classifier])
def test_a_training_in_batches_that_was_interrupted_ends_as_one_that_was_not(
    trainer, folder, tmp_path
):
    data = loaded(folder, Task.CLASSIFICATION, "two", 16)
    reported = []

    def training(stop_at):
        def report(*, done, save=None, **_):
            reported.append(done)
            if save:
                save()
            if done == stop_at:
                raise Interrupted

        return Training(
            seed=0,
            threads=2,
            checkpoints=tmp_path,
            report=report,
            checkpoint_due=lambda: len(reported) + 1 == stop_at,
        )

    params = trainer.params(n_estimators=6)
    with pytest.raises(Interrupted):
        trainer.train(params, data, training(3))
    reported.clear()
    resumed = trainer.train(params, data, training(None))
    goes_on = trainer.framework != "lightgbm"
    assert reported == ([4, 5, 6] if goes_on else [1, 2, 3, 4, 5, 6])
    unbroken = fit(trainer, data, tmp_path / "unbroken", n_estimators=6)
    x = data.test.x.head(1_000)
    np.testing.assert_allclose(resumed.predict(x), unbroken.predict(x), rtol=1e-4)


def test_lightgbm_is_given_rows_by_position_slice_and_list(folder):
    data = loaded(folder, Task.CLASSIFICATION, "two", 16)
    batches = LightGBMBatches(Table.of(data), data.train)
    assert len(batches) > ROWS_AT_ONCE
    far = ROWS_AT_ONCE + 3
    np.testing.assert_array_equal(batches[far], batches[far : far + 1][0])
    np.testing.assert_array_equal(batches[[1, far]], np.stack([batches[1], batches[far]]))
    assert np.isnan(batches[:100]).any()


@pytest.mark.parametrize(("rows", "size"), [(0, 2), (1, 3), (20, 3), (21, 3), (23, 4), (20, 1)])
def test_ranks_have_each_row_once_in_batches_and_those_that_they_have_in_memory(rows, size):
    numbers = np.arange(rows)
    for rank in range(size):
        taken = [numbers[each] for each in slices(rows, 5, rank=rank, size=size)]
        assert [each for each in map(len, taken) if not 0 < each <= 5] == []
        np.testing.assert_array_equal(
            np.concatenate([numbers[:0], *taken]), World(rank, size).rows(numbers)
        )


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_two_ranks_in_batches_train_the_model_of_two_in_memory_to_the_last_byte(tmp_path, library):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((12_000, 6)), columns=[f"x {at}" for at in range(6)])
    frame["city"] = rng.choice(["Ulm", "Bonn", None], len(frame))
    frame["two"] = (frame["x 0"] + 2 * (frame["city"] == "Ulm") > 1).astype(int)
    frame["weight"] = rng.random(len(frame)) + 0.1
    frame.to_parquet(tmp_path / "large.parquet")
    script = Path(__file__).parents[1] / "rank_in_batches.py"
    ranks = [
        subprocess.Popen(
            [sys.executable, script, str(rank), "2", tmp_path, library],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [
        [
            json.loads(line)
            for line in rank.communicate(timeout=300)[0].splitlines()
            if line[0] == "{"
        ]
        for rank in ranks
    ]
    assert said[0] == said[1]
    whole, batched = said[0]
    assert (whole["beyond"], batched["beyond"]) == (False, True)
    assert batched["model"] == whole["model"]
    assert batched["scores"] == pytest.approx(whole["scores"], rel=1e-5)


def test_of_many_columns_fewer_rows_are_taken_at_once():
    assert rows_at_once(10) == ROWS_AT_ONCE
    assert 8 * 60_000 * rows_at_once(60_000) <= 1 << 25
    assert rows_at_once(10**9) == 1


def test_xgboost_s_other_methods_say_that_they_need_the_whole_table():
    params = xgboost_models.ClassifierParams
    needs = xgboost_models.classifier.needs_whole
    assert "'exact'" in needs(params(tree_method="exact"))
    assert "'approx'" in needs(params(tree_method="approx"))
    assert "'dart'" in needs(params(booster="dart"))
    assert needs(params()) is None
    assert lightgbm_models.classifier.needs_whole(lightgbm_models.ClassifierParams()) is None


@pytest.mark.parametrize("trainer", [xgboost_models.classifier, xgboost_models.regressor])
def test_the_exact_method_takes_a_table_of_numbers(trainer, tmp_path):
    of_classes = trainer.task is Task.CLASSIFICATION
    source = load_breast_cancer if of_classes else load_diabetes
    source(as_frame=True).frame.to_parquet(tmp_path / "numbers.parquet")
    data = loading.load(
        FileData(source="file", uri="numbers.parquet", target="target"),
        Split(),
        task=trainer.task,
        access=DataAccess(roots=(tmp_path,), data_dir=tmp_path),
    )
    fitted = fit(trainer, data, tmp_path / "exact", n_estimators=20, tree_method="exact")
    metrics = evaluate(trainer.task, fitted.predict(data.test.x), data.test, data.classes, "test")
    assert metrics["test_roc_auc" if of_classes else "test_r2"] > (0.95 if of_classes else 0.2)


def test_the_exact_method_still_refuses_categories(folder, tmp_path):
    data = loaded(folder, Task.CLASSIFICATION, "two", None)
    with pytest.raises(InvalidParams, match="cannot split categories, and 'city' holds some"):
        fit(xgboost_models.classifier, data, tmp_path, tree_method="exact")


def test_lightgbm_s_autologging_draws_no_bar_a_column(tmp_path, monkeypatch):
    columns = 1_000
    x = np.random.default_rng(0).standard_normal((60, columns))
    frame = pd.DataFrame(x, columns=[f"gene_{at}" for at in range(columns)])
    frame.assign(y=(x[:, 0] > 0).astype(int)).to_parquet(tmp_path / "wide.parquet")
    data = loading.load(
        FileData(source="file", uri="wide.parquet", target="y"),
        Split(),
        task=Task.CLASSIFICATION,
        access=DataAccess(roots=(tmp_path,), data_dir=tmp_path),
    )
    drawn = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: drawn.append(1))
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    trainer = lightgbm_models.classifier
    try:
        trainer.autolog()
        with mlflow.start_run():
            fitted = fit(trainer, data, tmp_path / "wide", n_estimators=2)
    finally:
        mlflow.lightgbm.autolog(disable=True)
        mlflow.set_tracking_uri(None)
    assert not drawn
    assert len(fitted.feature_importance()) == columns
