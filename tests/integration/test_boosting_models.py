"""The boosting models on real data: as good as the plain script, resumable, and logged without Trainyard."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

import mlflow  # noqa: E402
from trainyard.contract import Task  # noqa: E402
from trainyard.errors import InvalidData, InvalidParams  # noqa: E402
from trainyard.trainer import Data, Interrupted, Part, Training, prepared  # noqa: E402
from trainyard.worker.evaluation import evaluate  # noqa: E402
from trainyard_boosting import lightgbm_models, xgboost_models  # noqa: E402
from trainyard_boosting._matrices import Matrices  # noqa: E402

CLASSIFIERS = [xgboost_models.classifier, lightgbm_models.classifier]
REGRESSORS = [xgboost_models.regressor, lightgbm_models.regressor]


def by_name(trainer):
    return trainer.name


def data_of(frame, y, *, task, classes=None):
    """Split as a plain script does: a test part, then a validation part of the rest."""
    stratify = y if task is Task.CLASSIFICATION else None
    rows = np.arange(len(y))
    rest, test = train_test_split(rows, test_size=0.2, random_state=42, stratify=stratify)
    train, valid = train_test_split(
        rest, test_size=0.125, random_state=42, stratify=None if stratify is None else y[rest]
    )
    frame = frame.copy()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = pd.Categorical(
                frame[name], categories=sorted(frame[name].iloc[train].dropna().unique())
            )

    def part(chosen):
        return Part(frame.iloc[chosen], y[chosen])

    return Data(
        kind="table",
        name="table",
        source="test",
        digest="0",
        task=task,
        train=part(train),
        validation=part(valid),
        test=part(test),
        target="y",
        classes=classes,
    )


@pytest.fixture(scope="module")
def tables():
    folder = os.environ.get("TRAINYARD_TEST_DATA")
    if not folder:
        pytest.skip(
            "TRAINYARD_TEST_DATA is not set: it names the folder with tabular/bank_marketing.csv"
        )
    return Path(folder) / "tabular"


@pytest.fixture(scope="module")
def bank(tables):
    frame = pd.read_csv(tables / "bank_marketing.csv").drop(columns="duration")
    y = frame.pop("y").to_numpy(dtype=np.int64)
    return data_of(frame, y, task=Task.CLASSIFICATION, classes=(0, 1))


@pytest.fixture(scope="module")
def bike(tables):
    frame = pd.read_csv(tables / "bike_sharing_hourly.csv")
    y = frame.pop("cnt").to_numpy(dtype=np.float64)
    return data_of(frame, y, task=Task.REGRESSION)


@pytest.fixture(scope="module")
def cancer():
    table = load_breast_cancer(as_frame=True)
    return data_of(
        table.data, table.target.to_numpy(dtype=np.int64), task=Task.CLASSIFICATION, classes=(0, 1)
    )


@pytest.fixture(scope="module")
def mixed():
    """Three string classes; strings, numbers kept as categories, missing values, awkward names."""
    rng = np.random.default_rng(0)
    rows = 600
    colour = rng.choice(["red", "green", "blue"], rows).astype(object)
    size = rng.normal(size=rows)
    code = rng.choice([3, 7, 11], rows)
    score = size + (colour == "red") * 2 - (code == 7) * 2
    y = np.digitize(score, [-0.7, 0.9]).astype(np.int64)
    colour[rng.random(rows) < 0.1] = None
    size[rng.random(rows) < 0.1] = np.nan
    frame = pd.DataFrame(
        {
            "the colour": colour,
            "size [cm]": size,
            "count": rng.integers(0, 9, rows),
            "flag": rng.random(rows) < 0.5,
        }
    )
    data = data_of(frame, y, task=Task.CLASSIFICATION, classes=("high", "low", "mid"))
    everything = pd.Series(pd.Categorical(code, categories=[3, 7, 11]))

    def with_code(part):
        return replace(
            part, x=part.x.assign(code=everything.iloc[part.x.index].set_axis(part.x.index))
        )

    return replace(
        data,
        train=with_code(data.train),
        validation=with_code(data.validation),
        test=with_code(data.test),
    )


class Watch:
    """What a run's process gives to `train`: keeps the history, asks for checkpoints, interrupts."""

    def __init__(self, folder: Path, *, checkpoint_at=(), stop_at=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.history = {}
        self.done = []
        self._checkpoint_at, self._stop_at = set(checkpoint_at), stop_at
        self.notes = []
        self.training = Training(
            seed=42,
            threads=2,
            checkpoints=folder,
            report=self._report,
            checkpoint_due=self._due,
            note=self.notes.append,
        )

    def _due(self):
        return len(self.done) + 1 in self._checkpoint_at

    def _report(self, *, done, total, unit, metrics, save=None):
        if save:
            save()
        assert unit == "rounds"
        assert done <= total
        self.done.append(done)
        for name, value in metrics.items():
            self.history.setdefault(name, []).append((done, value))
        if done == self._stop_at:
            raise Interrupted


def fit(trainer, data, watch, **params):
    return trainer.train(trainer.params(**params), data, watch.training)


def measured(fitted, data):
    return evaluate(data.task, fitted.predict(data.test.x), data.test, data.classes, "test")


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_breast_cancer_reaches_its_quality(trainer, cancer, tmp_path):
    watch = Watch(tmp_path)
    fitted = fit(
        trainer, cancer, watch, n_estimators=200, learning_rate=0.1, early_stopping_rounds=20
    )
    assert measured(fitted, cancer)["test_roc_auc"] >= 0.97
    assert {"train_log_loss", "validation_log_loss"} == set(watch.history)


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_bank_marketing_reaches_its_quality(trainer, bank, tmp_path):
    fitted = fit(
        trainer,
        bank,
        Watch(tmp_path),
        n_estimators=300,
        learning_rate=0.1,
        max_depth=6,
        early_stopping_rounds=20,
    )
    assert measured(fitted, bank)["test_roc_auc"] >= 0.78


@pytest.mark.parametrize("trainer", REGRESSORS, ids=by_name)
def test_bike_sharing_reaches_its_quality(trainer, bike, tmp_path):
    watch = Watch(tmp_path)
    fitted = fit(trainer, bike, watch, n_estimators=300, learning_rate=0.1)
    assert measured(fitted, bike)["test_r2"] >= 0.94
    assert {"train_root_mean_squared_error", "validation_root_mean_squared_error"} == set(
        watch.history
    )


def test_xgboost_equals_the_plain_script(bank, tmp_path):
    settings = {
        "n_estimators": 150,
        "learning_rate": 0.2,
        "max_depth": 5,
        "subsample": 0.8,
        "colsample_bytree": 0.7,
        "early_stopping_rounds": 10,
    }
    found = measured(fit(xgboost_models.classifier, bank, Watch(tmp_path), **settings), bank)
    plain = xgboost.XGBClassifier(**settings, enable_categorical=True, random_state=42, n_jobs=2)
    plain.fit(
        bank.train.x,
        bank.train.y,
        eval_set=[(bank.train.x, bank.train.y), (bank.validation.x, bank.validation.y)],
        verbose=False,
    )
    predicted = plain.predict_proba(bank.test.x)
    assert found["test_roc_auc"] == pytest.approx(
        roc_auc_score(bank.test.y, predicted[:, 1]), abs=1e-6
    )
    assert found["test_log_loss"] == pytest.approx(log_loss(bank.test.y, predicted), abs=1e-6)


def test_lightgbm_equals_the_plain_script(bank, tmp_path):
    settings = {
        "n_estimators": 150,
        "learning_rate": 0.2,
        "num_leaves": 15,
        "subsample": 0.8,
        "subsample_freq": 1,
        "colsample_bytree": 0.7,
    }
    found = measured(
        fit(
            lightgbm_models.classifier, bank, Watch(tmp_path), early_stopping_rounds=10, **settings
        ),
        bank,
    )
    plain = lightgbm.LGBMClassifier(**settings, random_state=42, n_jobs=2, verbosity=-1)
    plain.fit(
        bank.train.x,
        bank.train.y,
        eval_set=[(bank.train.x, bank.train.y), (bank.validation.x, bank.validation.y)],
        eval_names=["train", "validation"],
        callbacks=[lightgbm.early_stopping(10, verbose=False)],
    )
    predicted = plain.predict_proba(bank.test.x)
    assert found["test_roc_auc"] == pytest.approx(
        roc_auc_score(bank.test.y, predicted[:, 1]), abs=1e-6
    )
    assert found["test_log_loss"] == pytest.approx(log_loss(bank.test.y, predicted), abs=1e-6)


@pytest.mark.parametrize("trainer", CLASSIFIERS + REGRESSORS, ids=by_name)
def test_an_interrupted_training_goes_on_from_its_checkpoint(trainer, cancer, tmp_path):
    data = (
        cancer
        if trainer.task is Task.CLASSIFICATION
        else replace(
            cancer,
            task=Task.REGRESSION,
            classes=None,
            train=replace(cancer.train, y=cancer.train.y.astype(float)),
            validation=replace(cancer.validation, y=cancer.validation.y.astype(float)),
            test=replace(cancer.test, y=cancer.test.y.astype(float)),
        )
    )
    whole = fit(trainer, data, Watch(tmp_path / "whole"), n_estimators=40)
    with pytest.raises(Interrupted):
        fit(
            trainer,
            data,
            Watch(tmp_path / "run", checkpoint_at=(10, 25), stop_at=25),
            n_estimators=40,
        )
    assert len(list((tmp_path / "run").iterdir())) == 2
    again = Watch(tmp_path / "run")
    resumed = fit(trainer, data, again, n_estimators=40)
    assert again.done == list(range(26, 41))
    assert any(each.startswith("going on after round 25 from checkpoint") for each in again.notes)
    np.testing.assert_allclose(resumed.predict(data.test.x), whole.predict(data.test.x), atol=1e-3)


def test_a_random_forest_saves_no_checkpoint_and_begins_again(cancer, tmp_path):
    forest = {
        "n_estimators": 12,
        "boosting_type": "rf",
        "subsample": 0.7,
        "subsample_freq": 1,
    }
    [trainer] = [each for each in CLASSIFIERS if each.name == "lightgbm_classifier"]
    with pytest.raises(Interrupted):
        fit(trainer, cancer, Watch(tmp_path, checkpoint_at=(5,), stop_at=5), **forest)
    again = Watch(tmp_path)
    fit(trainer, cancer, again, **forest)
    assert again.done == list(range(1, 13))
    assert "begins again" in again.notes[-1]


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_what_is_drawn_after_a_checkpoint_is_not_what_was_drawn_first(trainer, cancer, tmp_path):
    """A step so small that the second tree sees what the first one saw: it differs by the rows that were drawn alone."""
    drawn = {"subsample": 0.5, "learning_rate": 1e-9}
    if trainer.name.startswith("lightgbm"):
        drawn["subsample_freq"] = 1
    with pytest.raises(Interrupted):
        fit(
            trainer, cancer, Watch(tmp_path, checkpoint_at=(1,), stop_at=1), n_estimators=1, **drawn
        )
    fit(trainer, cancer, Watch(tmp_path, checkpoint_at=(1,)), n_estimators=2, **drawn)
    [model] = [each for each in tmp_path.iterdir() if each.suffix in {".ubj", ".txt"}]
    first, second = splits_of(model)
    assert first != second


def splits_of(model):
    """Each tree's columns and thresholds, in order."""
    if model.suffix == ".ubj":
        trees = xgboost.Booster(model_file=model).trees_to_dataframe()
        trees, column, threshold = trees[trees["Feature"] != "Leaf"], "Feature", "Split"
        by = "Tree"
    else:
        trees = lightgbm.Booster(model_file=model).trees_to_dataframe()
        trees = trees[trees["split_feature"].notna()]
        by, column, threshold = "tree_index", "split_feature", "threshold"
    return [list(zip(each[column], each[threshold], strict=True)) for _, each in trees.groupby(by)]


def test_xgboosts_dart_drops_trees_and_stops_early_for_nobody(cancer, tmp_path):
    [trainer] = [each for each in CLASSIFIERS if each.name == "xgboost_classifier"]
    trees, dropped, kept = (
        fit(trainer, cancer, Watch(tmp_path / str(number)), n_estimators=20, **params)
        for number, params in enumerate(
            ({}, {"booster": "dart", "skip_drop": 0.0}, {"booster": "dart", "rate_drop": 0.0})
        )
    )
    x = cancer.test.x
    np.testing.assert_allclose(kept.predict(x), trees.predict(x), atol=1e-5)
    assert np.abs(dropped.predict(x) - trees.predict(x)).max() > 0.01
    with pytest.raises(ValueError, match="early_stopping_rounds cannot be used with it"):
        trainer.params(booster="dart", early_stopping_rounds=3)


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_a_restarted_training_remembers_its_best_round(trainer, cancer, tmp_path):
    params = {"n_estimators": 2000, "learning_rate": 0.5, "early_stopping_rounds": 30}
    through = Watch(tmp_path / "whole")
    whole = fit(trainer, cancer, through, **params)
    last = through.done[-1]
    assert last < 2000
    with pytest.raises(Interrupted):
        fit(
            trainer,
            cancer,
            Watch(tmp_path / "run", checkpoint_at=(last - 5,), stop_at=last - 5),
            **params,
        )
    again = Watch(tmp_path / "run")
    resumed = fit(trainer, cancer, again, **params)
    assert again.done[-1] == last
    np.testing.assert_allclose(
        resumed.predict(cancer.test.x), whole.predict(cancer.test.x), atol=1e-6
    )


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_a_broken_checkpoint_is_ignored(trainer, cancer, tmp_path, caplog):
    suffix = ".ubj" if "xgboost" in trainer.name else ".txt"
    (tmp_path / f"round-00000005{suffix}").write_bytes(b"broken")
    (tmp_path / "round-00000005.json").write_text(
        '{"done": 5, "best_round": null, "best_score": null}'
    )
    watch = Watch(tmp_path)
    fit(trainer, cancer, watch, n_estimators=8)
    assert watch.done == list(range(1, 9))
    assert "is ignored" in caplog.text


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_an_interrupt_passes_through_autologging(trainer, cancer, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "MLFLOW_ALLOW_FILE_STORE", "true"
    )  # a database store needs more than mlflow-skinny
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    trainer.autolog()
    try:
        with mlflow.start_run(), pytest.raises(Interrupted):
            fit(trainer, cancer, Watch(tmp_path / "run", stop_at=3), n_estimators=8)
    finally:
        mlflow.xgboost.autolog(disable=True)
        mlflow.lightgbm.autolog(disable=True)
        mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
@pytest.mark.parametrize("class_weight", ["balanced", {"0": 5}])
def test_class_weights_are_sample_weights(trainer, cancer, tmp_path, class_weight):
    weighted = fit(
        trainer, cancer, Watch(tmp_path / "a"), n_estimators=20, class_weight=class_weight
    )
    y = cancer.train.y
    by_hand = (
        np.where(y == 0, 5.0, 1.0)
        if class_weight != "balanced"
        else (len(y) / (2 * np.bincount(y)))[y]
    )
    data = replace(cancer, train=replace(cancer.train, weight=by_hand))
    sampled = fit(trainer, data, Watch(tmp_path / "b"), n_estimators=20)
    np.testing.assert_allclose(
        weighted.predict(cancer.test.x), sampled.predict(cancer.test.x), atol=1e-7
    )


@pytest.mark.parametrize("trainer", REGRESSORS, ids=by_name)
def test_monotone_constraints_hold(trainer, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a b": rng.random(800), "c": rng.random(800)})
    y = (-frame["a b"] + np.sin(8 * frame["a b"]) + frame["c"]).to_numpy()
    fitted = fit(
        trainer,
        data_of(frame, y, task=Task.REGRESSION),
        Watch(tmp_path),
        n_estimators=30,
        monotone_constraints={"a b": -1},
    )
    grid = pd.DataFrame({"a b": np.linspace(0, 1, 100), "c": 0.5})
    assert (np.diff(fitted.predict(grid)) <= 1e-6).all()


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_params_that_do_not_fit_the_data_are_refused(trainer, cancer, mixed, tmp_path):
    with pytest.raises(InvalidParams, match="no_such"):
        fit(trainer, cancer, Watch(tmp_path), monotone_constraints={"no_such": 1})
    with pytest.raises(InvalidParams, match="categories"):
        fit(trainer, mixed, Watch(tmp_path), monotone_constraints={"the colour": 1})
    with pytest.raises(InvalidParams, match="validation"):
        fit(trainer, replace(cancer, validation=None), Watch(tmp_path), early_stopping_rounds=5)
    with pytest.raises(InvalidParams, match="not a class"):
        fit(trainer, cancer, Watch(tmp_path), class_weight={"9": 1.0})
    with pytest.raises(InvalidData, match="no training row"):
        fit(trainer, replace(cancer, classes=(0, 1, 2)), Watch(tmp_path))


@pytest.mark.parametrize("trainer", CLASSIFIERS + REGRESSORS, ids=by_name)
def test_params_are_strict_and_take_integers_for_floats(trainer):
    assert trainer.params.model_validate_json('{"learning_rate": 1}').learning_rate == 1.0
    for bad in (
        '{"n_estimators": "300"}',
        '{"n_estimators": 0}',
        '{"n_estimatrs": 3}',
        '{"learning_rate": -1}',
    ):
        with pytest.raises(ValidationError):
            trainer.params.model_validate_json(bad)


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_training_without_validation_reports_train_alone(trainer, cancer, tmp_path):
    watch = Watch(tmp_path)
    fit(trainer, replace(cancer, validation=None), watch, n_estimators=3)
    assert set(watch.history) == {"train_log_loss"}


SCORE = """
import sys
sys.modules["trainyard"] = None
sys.modules["trainyard_boosting"] = None
import mlflow, numpy as np, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
raw = pd.read_json(sys.argv[2], orient="split")
proba = model.predict(raw, params={"method": "predict_proba"})
proba.to_json(sys.argv[3], orient="split", double_precision=15)
labels = list(model.predict(raw))
assert labels == list(proba.idxmax(axis=1)), labels
text = ["the colour"]
assert raw["the colour"].isna().any() and raw["size [cm]"].isna().any()
for other in (
    raw.assign(**{"the colour": raw["the colour"].astype(object)}),
    raw.assign(**{"the colour": raw["the colour"].astype("str")}),
    raw.assign(**{"the colour": raw["the colour"].astype("category")}),
    raw.assign(count=raw["count"].astype("float64"), code=raw["code"].astype("float64")),
):
    assert list(model.predict(other)) == labels, other.dtypes
odd = raw.head(4).assign(**{"the colour": "never seen", "size [cm]": 3, "code": [3, None, 99, 7], "count": [1, None, 2, 3]})
assert len(model.predict(odd)) == 4
without = model.predict(raw.drop(columns="the colour").head(4), params={"method": "predict_proba"})
unseen = model.predict(raw.head(4).assign(**{"the colour": "never seen"}), params={"method": "predict_proba"})
assert np.allclose(without, unseen)
"""


def test_trials_share_the_binned_rows_unless_their_params_bin_otherwise(mixed, tmp_path):
    trainer = xgboost_models.classifier
    shared = prepared(trainer, trainer.params(max_bin=64), mixed)
    for params in ({"max_bin": 64}, {"max_bin": 16}, {"max_bin": 64, "class_weight": "balanced"}):
        given, own = (
            fit(trainer, data, Watch(tmp_path / str(shares)), n_estimators=10, **params)
            for shares, data in ((True, shared), (False, mixed))
        )
        assert np.array_equal(given.predict(mixed.test.x), own.predict(mixed.test.x))
    alone = replace(shared, train=None, validation=None)
    rows = xgboost_models._rows(trainer.params(max_bin=64))
    assert Matrices.of(alone, None, rows, threads=1) is shared.prepared


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_a_trial_measures_no_training_rows_and_trains_the_same(trainer, mixed, tmp_path):
    trial, run = Watch(tmp_path / "trial"), Watch(tmp_path / "run")
    trial.training = replace(trial.training, watch_train=False)
    for params in ({"early_stopping_rounds": 3}, {}):
        ours, theirs = (
            fit(trainer, mixed, each, n_estimators=20, **params) for each in (trial, run)
        )
        assert np.array_equal(ours.predict(mixed.test.x), theirs.predict(mixed.test.x))
    assert trial.history == {"validation_log_loss": run.history["validation_log_loss"]}


@pytest.mark.parametrize("rounds", [None, 3])
def test_validation_rows_are_predicted_as_any_others(mixed, tmp_path, rounds):
    fitted = fit(
        xgboost_models.classifier,
        mixed,
        Watch(tmp_path),
        n_estimators=20,
        early_stopping_rounds=rounds,
    )
    assert fitted.at_hand.x is mixed.validation.x
    others = replace(fitted, at_hand=None)
    assert np.array_equal(
        fitted.predict(mixed.validation.x), others.predict(mixed.validation.x.copy())
    )


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_a_logged_model_predicts_raw_rows_without_trainyard(trainer, mixed, tmp_path):
    fitted = fit(trainer, mixed, Watch(tmp_path / "run"), n_estimators=20, early_stopping_rounds=5)
    model = tmp_path / "model"
    fitted.save_model(model, input_example=fitted.raw_example(mixed.test.x))
    assert not [
        path.name for path in model.rglob("*") if path.suffix in {".pkl", ".pickle", ".cloudpickle"}
    ]
    requirements = (model / "requirements.txt").read_text().split()
    assert set(trainer.requirements) == set(requirements)
    raw = mixed.test.x.astype({"the colour": object, "code": "int64"}).reset_index(drop=True)
    raw.to_json(tmp_path / "raw.json", orient="split")
    script = tmp_path / "score.py"
    script.write_text(SCORE)
    ran = subprocess.run(
        [
            sys.executable,
            str(script),
            str(model),
            str(tmp_path / "raw.json"),
            str(tmp_path / "proba.json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    proba = pd.read_json(tmp_path / "proba.json", orient="split")
    assert list(proba.columns) == ["high", "low", "mid"]
    np.testing.assert_allclose(proba.to_numpy(), fitted.predict(mixed.test.x), atol=1e-6)


@pytest.mark.parametrize("trainer", REGRESSORS, ids=by_name)
def test_a_logged_regressor_gives_values(trainer, mixed, tmp_path):
    data = replace(
        mixed,
        task=Task.REGRESSION,
        classes=None,
        train=replace(mixed.train, y=mixed.train.y * 1.5),
        validation=replace(mixed.validation, y=mixed.validation.y * 1.5),
        test=replace(mixed.test, y=mixed.test.y * 1.5),
    )
    fitted = fit(trainer, data, Watch(tmp_path / "run"), n_estimators=20)
    fitted.save_model(tmp_path / "model")
    raw = data.test.x.astype({"the colour": object, "code": "int64"})
    values = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(raw)
    np.testing.assert_allclose(values, fitted.predict(data.test.x), atol=1e-6)


@pytest.mark.parametrize("trainer", CLASSIFIERS, ids=by_name)
def test_importance_names_every_raw_column(trainer, mixed, tmp_path):
    importance = fit(trainer, mixed, Watch(tmp_path), n_estimators=10).feature_importance()
    assert list(importance) == list(mixed.train.x.columns)
    assert all(math.isfinite(value) and value >= 0 for value in importance.values())
    assert importance["size [cm]"] > importance["flag"]
