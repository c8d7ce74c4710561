"""The data sets that come with scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets as sklearn_datasets
from sklearn.model_selection import train_test_split
from trainyard.contract import BuiltinData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData

ACCESS = DataAccess(roots=(), data_dir=Path("nowhere"))


def load(name: str, task=Task.CLASSIFICATION, kinds=("table",)):
    spec = BuiltinData(source="builtin", name=name)
    loading.inspect(spec, task=task, kinds=kinds, access=ACCESS, split=Split())
    return loading.load(spec, Split(), task=task, kinds=kinds, access=ACCESS)


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [("breast_cancer", 569, 30), ("wine", 178, 13), ("iris", 150, 4), ("digits", 1797, 64)],
)
def test_a_builtin_table_is_divided_as_a_plain_script_divides_it(name, rows, columns):
    data = load(name)
    x, y = getattr(sklearn_datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    _, x_test, _, y_test = train_test_split(x, y, test_size=0.2, random_state=42, stratify=y)
    assert (data.test.x.to_numpy() == x_test.to_numpy()).all()
    assert (data.test.y == y_test.to_numpy()).all()
    assert data.profile["rows"] == rows
    assert data.frame.shape[1] == columns
    assert data.classes == tuple(sorted(set(y)))


def test_diabetes_is_a_regression_of_floats():
    data = load("diabetes", Task.REGRESSION)
    assert data.classes is None
    assert data.train.y.dtype == np.float64
    assert data.profile["target"]["max"] == 346.0


def test_digits_are_images_for_a_model_of_images_and_a_table_for_one_of_tables():
    images = load("digits", kinds=("images",))
    assert images.train.x.shape[1:] == (8, 8, 1)
    assert images.train.x.dtype == np.uint8
    assert (images.train.x.min(), images.train.x.max()) == (0, 255)
    table = load("digits", kinds=("images", "table"))
    assert table.kind == "table"
    assert (table.train.y == images.train.y).all()


@pytest.mark.parametrize(
    ("name", "task", "kinds", "complaint"),
    [
        ("irs", Task.CLASSIFICATION, ("table",), "did you mean 'iris'?"),
        ("zzz", Task.CLASSIFICATION, ("table",), "there are breast_cancer"),
        ("iris", Task.REGRESSION, ("table",), "is for classification"),
        ("diabetes", Task.CLASSIFICATION, ("table",), "is for regression"),
        ("iris", Task.CLASSIFICATION, ("images",), "takes images"),
        ("mnist", Task.CLASSIFICATION, ("table",), "takes table"),
    ],
)
def test_a_builtin_that_does_not_fit_is_refused_at_submit(name, task, kinds, complaint):
    with pytest.raises(InvalidData) as error:
        loading.inspect(
            BuiltinData(source="builtin", name=name),
            task=task,
            kinds=kinds,
            access=ACCESS,
            split=Split(),
        )
    assert complaint in error.value.detail
    assert error.value.pointer == "/data/name"
