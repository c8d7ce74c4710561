"""What a data profile keeps of how values are spread."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from counting import calls_of
from hypothesis import given
from hypothesis import strategies as st
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading, sketches
from trainyard.datasets.access import DataAccess
from trainyard.datasets.images.pictures import Labelled, divided
from trainyard.datasets.sketches import (
    LONGEST_CATEGORY,
    MOST_CATEGORIES,
    PROBABILITIES,
    column_sketch,
    number_sketch,
    table_sketches,
    target_sketch,
)


def test_a_number_s_values_are_its_quantiles_with_exact_shares() -> None:
    numbers = np.random.default_rng(0).normal(size=10_007)
    sketch = number_sketch([numbers])
    expected = np.quantile(numbers, PROBABILITIES, method="inverted_cdf")
    assert sketch["values"] == expected.tolist()
    for value, below, at_most in zip(
        sketch["values"], sketch["below"], sketch["at_most"], strict=True
    ):
        assert below == pytest.approx((numbers < value).mean(), abs=1e-7)
        assert at_most == pytest.approx((numbers <= value).mean(), abs=1e-7)


def test_a_value_that_two_percent_have_is_kept_wherever_it_stands() -> None:
    numbers = np.random.default_rng(0).normal(size=10_000)
    numbers[100:300] = 0.777
    sketch = number_sketch([numbers])
    place = sketch["values"].index(0.777)
    assert sketch["at_most"][place] - sketch["below"][place] == pytest.approx(0.02, abs=1e-6)


def test_missing_and_infinite_numbers_are_counted_and_left_out() -> None:
    sketch = number_sketch([np.array([1.0, np.nan, 3.0, np.inf]), np.array([2, 2, 2, 2])])
    assert sketch["missing"] == 0.25
    assert sketch["values"] == [1.0, 2.0, 3.0]
    assert number_sketch([np.array([np.nan, np.nan])]) == {
        "kind": "number",
        "missing": 1.0,
        "values": [],
        "below": [],
        "at_most": [],
    }


def test_a_constant_is_one_value_that_all_have() -> None:
    sketch = number_sketch([np.full(500, 7)])
    assert (sketch["values"], sketch["below"], sketch["at_most"]) == ([7.0], [0.0], [1.0])


def test_booleans_are_numbers_whether_or_not_some_are_missing() -> None:
    whole = column_sketch([np.array([True, False, True, True])])
    holed = column_sketch([np.array([1.0, 0.0, 1.0, np.nan])])
    assert whole["kind"] == holed["kind"] == "number"
    assert whole["values"] == holed["values"] == [0.0, 1.0]
    assert whole["at_most"] == [0.25, 1.0]


def test_dates_are_seconds_and_may_be_missing() -> None:
    days = pd.Series(pd.to_datetime(["1970-01-01", "1970-01-02", None]))
    for unit in ("s", "ns"):
        sketch = column_sketch([days.astype(f"datetime64[{unit}]").array])
        assert sketch["kind"] == "date"
        assert sketch["values"] == [0.0, 86_400.0]
        assert sketch["missing"] == pytest.approx(1 / 3, abs=1e-6)


def test_of_many_categories_the_most_frequent_are_named_and_the_others_counted() -> None:
    labels = [f"k{number:03d}" for number in range(80) for _ in range(80 - number)]
    sketch = column_sketch([pd.Categorical([*labels, None])])
    assert list(sketch["counts"].items())[:2] == [("k000", 80), ("k001", 79)]
    assert len(sketch["counts"]) == MOST_CATEGORIES
    assert sum(sketch["counts"].values()) + sketch["others"] == len(labels)
    assert sketch["missing"] == pytest.approx(1 / (len(labels) + 1), abs=1e-7)


def test_strings_are_categories_also_empty_and_long_ones() -> None:
    sketch = column_sketch([np.array(["", "", "a", "x" * 1000], dtype=object)])
    assert sketch["counts"] == {"": 2, "a": 1, "x" * LONGEST_CATEGORY: 1}
    assert sketch["others"] == 0


def test_parts_with_other_categories_are_put_together_by_name() -> None:
    sketch = column_sketch([pd.Categorical(["a", "b"]), pd.Categorical(["b", "c", None])])
    assert sketch["counts"] == {"b": 2, "a": 1, "c": 1}
    assert sketch["missing"] == 0.2


def test_every_class_of_a_target_is_named() -> None:
    classes = tuple(range(300))
    sketch = target_sketch(np.arange(300).repeat(2), classes)
    assert sketch["counts"] == {str(label): 2 for label in classes}
    assert target_sketch(np.array([1.0, 2.0]), None)["values"] == [1.0, 2.0]


def test_beyond_the_limit_every_so_many_th_row_stands_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = np.random.default_rng(0).gamma(2.0, size=200_000)
    numbers[::10] = np.nan
    parts = [numbers[:150_000], numbers[150_000:]]
    exact = number_sketch(parts)
    monkeypatch.setattr(sketches, "MOST_SORTED", 20_000)
    taken = number_sketch(parts)
    assert taken == number_sketch(parts), "the same rows each time"
    assert taken != exact
    assert taken["missing"] == exact["missing"] == 0.1
    for value, at_most in zip(taken["values"], taken["at_most"], strict=True):
        truth = (numbers[np.isfinite(numbers)] <= value).mean()
        assert at_most == pytest.approx(truth, abs=0.015)


def test_the_sketches_of_a_table_are_of_all_its_rows_whatever_the_split(tmp_path: Path) -> None:
    rows = 400
    pd.DataFrame({"a": range(rows), "k": ["x", "y"] * 200, "t": [0, 0, 1, 1] * 100}).to_csv(
        tmp_path / "a.csv", index=False
    )
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    spec = FileData(source="file", uri="a.csv", target="t")
    found = [
        loading.load(
            spec, split, task=Task.CLASSIFICATION, kinds=("table",), access=access
        ).profile["sketches"]
        for split in (Split(), Split(test_size=0.5, seed=7, validation_size=0.0))
    ]
    assert found[0] == found[1]
    assert found[0]["columns"]["a"]["values"][-1] == rows - 1
    assert found[0]["columns"]["k"]["counts"] == {"x": 200, "y": 200}
    assert found[0]["target"]["counts"] == {"0": 200, "1": 200}


def test_a_category_that_only_test_rows_have_is_counted_and_not_missing(tmp_path: Path) -> None:
    for name, labels in (("a.csv", ["x", "y", ""] * 40), ("test.csv", ["z", "x", "y"] * 10)):
        pd.DataFrame({"k": labels, "n": 1, "t": [0, 1] * (len(labels) // 2)}).to_csv(
            tmp_path / name, index=False
        )
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    spec = FileData(source="file", uri="a.csv", target="t", test_uri="test.csv")
    data = loading.load(spec, Split(), task=Task.CLASSIFICATION, kinds=("table",), access=access)
    sketch = data.profile["sketches"]["columns"]["k"]
    assert sketch["counts"] == {"x": 50, "y": 50, "z": 10}
    assert sketch["missing"] == pytest.approx(40 / 150, abs=1e-6)


def test_of_images_the_target_has_a_sketch() -> None:
    images = Labelled(np.zeros((40, 2, 2, 1), np.uint8), np.array([3, 5] * 20))
    profile = divided(images, None, Split(), name="i", source="builtin:i").profile
    assert profile["sketches"]["target"]["counts"] == {"3": 20, "5": 20}
    assert profile["sketches"]["columns"] == {}


def calls_for(columns: int) -> int:
    """How much work the sketches of so many columns are."""
    values = {str(number): np.arange(20.0) for number in range(columns)}
    frames = [pd.DataFrame(values, copy=False) for _ in range(2)]
    found: list[int] = []
    calls = calls_of(lambda: found.append(len(table_sketches(frames))))
    assert found == [columns]
    return calls


def test_work_grows_with_the_number_of_columns_and_not_with_its_square() -> None:
    calls_for(10)
    assert calls_for(2_000) <= 4.2 * calls_for(500)


@given(
    st.lists(
        st.lists(st.floats() | st.integers(-(2**60), 2**60).map(float), max_size=30),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_the_numbers_their_sketch_is_finite_and_ascends(parts: list[list[float]]) -> None:
    sketch: dict[str, Any] = number_sketch([np.array(part, dtype=float) for part in parts])
    json.dumps(sketch, allow_nan=False)
    for name in ("values", "below", "at_most"):
        assert sketch[name] == sorted(sketch[name])
    shares = [*sketch["below"], *sketch["at_most"], sketch["missing"]]
    assert all(0 <= share <= 1 for share in shares)
