"""The folds of a search that cross-validates."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trainyard.contract import FileData, Split, Task, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.errors import InvalidData
from trainyard.trainer import Data
from trainyard.worker.search.folds import averaged, folds_of
from trainyard.worker.search.metric import wrong_metric

ROWS = 300


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows in no order, each with its number as a feature."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("folds") / "visits.csv"
    pd.DataFrame(
        {
            "row": np.arange(ROWS) + 0.5,
            "day": rng.permutation(ROWS) // 3,
            "customer": rng.integers(0, 40, ROWS),
            "town": rng.choice(["Ulm", "Bonn"], ROWS),
            "y": rng.choice(["no", "yes"], ROWS, p=[0.8, 0.2]),
        }
    ).to_csv(path, index=False)
    return path


def loaded(table: Path, **split: Any) -> tuple[Data, Split]:
    asked = Split.model_validate_json(json.dumps(split))
    spec = FileData(source="file", uri=table.name, target="y")
    access = DataAccess(roots=(table.parent,), data_dir=table.parent)
    return load(spec, asked, task=Task.CLASSIFICATION, access=access), asked


def rows(frame: pd.DataFrame) -> set[float]:
    return set(frame["row"])


@pytest.mark.parametrize(
    "split",
    [{}, {"by": "group", "column": "customer"}, {"by": "time", "column": "day"}],
    ids=["random", "group", "time"],
)
def test_no_fold_has_a_test_row_and_none_validates_what_it_trains_on(
    table: Path, split: dict[str, Any]
) -> None:
    data, asked = loaded(table, **split)
    assert data.validation is not None
    folds = folds_of(data, asked, 4)
    validated: list[float] = []
    for number in range(len(folds)):
        fold = folds.of(number)
        assert fold.validation is not None
        assert len(fold.train)
        assert not rows(fold.train.x) & rows(fold.validation.x)
        assert not rows(data.test.x) & (rows(fold.train.x) | rows(fold.validation.x))
        validated.extend(fold.validation.x["row"])
        assert list(fold.train.x["town"].cat.categories) == ["Bonn", "Ulm"]
    assert len(validated) == len(set(validated)), "a row validates once"
    everything = rows(data.train.x) | rows(data.validation.x)
    if asked.by == "time":
        assert set(validated) < everything
    else:
        assert set(validated) == everything


def test_each_row_keeps_its_target(table: Path) -> None:
    data, asked = loaded(table)
    truth = dict(zip(data.train.x["row"], data.train.y, strict=True))
    fold = folds_of(data, asked, 3).of(1)
    known = [
        (row, y) for row, y in zip(fold.train.x["row"], fold.train.y, strict=True) if row in truth
    ]
    assert known
    assert all(truth[row] == y for row, y in known)


def test_by_time_a_fold_trains_on_what_is_older_than_what_it_validates(table: Path) -> None:
    data, asked = loaded(table, by="time", column="day")
    day = dict(zip(*(pd.read_csv(table)[name] for name in ("row", "day")), strict=True))
    folds = folds_of(data, asked, 4)
    for fold in map(folds.of, range(4)):
        assert fold.validation is not None
        oldest = min(day[row] for row in fold.validation.x["row"])
        assert max(day[row] for row in fold.train.x["row"]) < oldest


def test_by_group_no_group_trains_and_validates_in_one_fold(table: Path) -> None:
    data, asked = loaded(table, by="group", column="customer")
    customer = dict(zip(*(pd.read_csv(table)[name] for name in ("row", "customer")), strict=True))
    folds = folds_of(data, asked, 5)
    for fold in map(folds.of, range(5)):
        assert fold.validation is not None
        trained = {customer[row] for row in fold.train.x["row"]}
        assert not trained & {customer[row] for row in fold.validation.x["row"]}


def test_too_few_groups_and_a_class_that_a_fold_has_not_are_said(table: Path) -> None:
    data, asked = loaded(table, by="group", column="customer")
    one_group = {part: np.zeros_like(keys) for part, keys in data.keys.items()}
    with pytest.raises(InvalidData, match="cannot make 3 folds"):
        folds_of(replace(data, keys=one_group), asked, 3)
    rare = data.train.y * 0
    rare[0] = 1
    assert data.validation is not None
    scarce = replace(
        data,
        train=replace(data.train, y=rare),
        validation=replace(data.validation, y=data.validation.y * 0),
    )
    with pytest.raises(InvalidData, match="no row of class 'yes' to train on"):
        folds_of(scarce, asked, 3)


def test_a_metric_that_one_fold_has_not_has_no_mean() -> None:
    found = averaged([{"a": 1.0, "b": 2.0}, {"a": 3.0}])
    assert found == {"a": 2.0, "a_std": 1.0}


def test_folds_need_rows_that_validate() -> None:
    def said(**changes: Any) -> list[str]:
        body = {
            "model": "knobs",
            "data": {"source": "file", "uri": "a.csv", "target": "y"},
            "search": {"cross_validation": 5},
            **changes,
        }
        request = TrainRequest.model_validate_json(json.dumps(body))
        return [each.pointer for each in wrong_metric(request, Task.CLASSIFICATION)]

    assert not said()
    at = ["/search/cross_validation"]
    assert said(search={"cross_validation": 5, "metric": "train_log_loss"}) == at
    assert said(split={"by": "column", "column": "part"}) == at
