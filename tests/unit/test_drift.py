"""Two data sets compared by their sketches."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from counting import calls_of
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from scipy.stats import norm
from trainyard.datasets.sketches import (
    MOST_CATEGORIES,
    column_sketch,
    number_sketch,
    table_sketches,
    target_sketch,
)
from trainyard.drift.comparison import ColumnDrift, Drift, KindChange, compare
from trainyard.drift.numbers import Curve
from trainyard.drift.stability import FLOOR, Bin, Moved, moved, stability_index

GENERATOR = np.random.default_rng


def drift_of(now: Any, before: Any) -> ColumnDrift:
    """Of one column, given as arrays."""
    sketches = [{"columns": {"a": column_sketch([values])}} for values in (now, before)]
    (column,) = compare(*sketches).columns
    return column


def frame(rows: int, seed: int) -> pd.DataFrame:
    """Columns of many kinds, alike but for chance."""
    random = GENERATOR(seed)
    numbers = random.normal(size=rows)
    return pd.DataFrame(
        {
            "normal": numbers,
            "missing": np.where(random.random(rows) < 0.3, np.nan, numbers),
            "mostly 0": np.where(random.random(rows) < 0.9, 0, random.exponential(size=rows)),
            "age": random.integers(18, 90, rows),
            "stars": random.integers(1, 6, rows),
            "flag": random.random(rows) < 0.03,
            "day": pd.Timestamp(2026, 1, 1) + pd.to_timedelta(random.integers(0, 90, rows), "D"),
            "job": pd.Categorical(random.choice(["", "admin", "nurse"], rows, p=[0.1, 0.6, 0.3])),
            "name": pd.Categorical(random.zipf(1.5, rows).clip(max=400).astype(str)),
            "constant": np.full(rows, 7),
        }
    )


def sketches_of(table: pd.DataFrame, y: Any) -> dict[str, Any]:
    """As they are read from a profile that went through MLflow."""
    found = {"columns": table_sketches([table]), "target": target_sketch(y, ("no", "yes"))}
    return dict(json.loads(json.dumps(found, allow_nan=False)))


def test_the_same_data_has_not_moved() -> None:
    sketches = sketches_of(frame(5_000, 0), np.array([0, 1] * 2_500))
    drift = compare(sketches, sketches)
    assert len(drift.columns) == 10
    assert drift.max_psi == 0
    assert not any(column.new.share or column.new.names for column in drift.columns)
    assert "no column moved more than a little" in drift.sentence()


def test_other_rows_of_the_same_kind_move_by_chance_alone() -> None:
    halves = [sketches_of(frame(20_000, seed), np.arange(20_000) % 2) for seed in (1, 2)]
    drift = compare(*halves)
    assert len(drift.columns) == 10
    assert 0 < drift.max_psi < 0.01, drift.sentence()


@pytest.mark.parametrize(
    ("mean", "deviation"), [(0.1, 1.0), (0.25, 1.0), (0.5, 1.0), (1.0, 1.0), (0.0, 1.3), (0.0, 0.7)]
)
def test_a_normal_that_moved_has_nearly_the_index_of_the_formula(
    mean: float, deviation: float
) -> None:
    deciles = norm.ppf(np.arange(1, 10) / 10)
    now = np.diff([0, *norm.cdf(deciles, mean, deviation), 1])
    expected = ((now - 0.1) * np.log(now / 0.1)).sum()
    rows = GENERATOR(3).normal(size=(2, 200_000))
    found = drift_of(rows[0] * deviation + mean, rows[1])
    assert found.psi == pytest.approx(expected, rel=0.08)
    assert found.moved is moved(expected)


def test_new_categories_are_counted_and_named() -> None:
    before = pd.Categorical(["admin"] * 60 + ["nurse"] * 40)
    now = pd.Categorical(["admin"] * 50 + ["nurse"] * 30 + ["rider"] * 15 + [""] * 5)
    found = drift_of(now, before)
    assert found.new.share == pytest.approx(0.2)
    assert found.new.names == ("rider", "")
    assert found.most == Bin("new categories", 0.0, pytest.approx(0.2))
    shares = [(0.6, 0.5), (0.4, 0.3), (FLOOR, 0.2)]
    assert found.psi == pytest.approx(sum((n - b) * np.log(n / b) for b, n in shares))
    assert "such as 'rider'" in Drift((found,)).sentence()


def test_a_category_that_went_away_moves_the_column_and_is_not_new() -> None:
    found = drift_of(pd.Categorical(["a"] * 100), pd.Categorical(["a"] * 80 + ["b"] * 20))
    assert found.psi > 0.25
    assert found.new.share == 0
    assert found.most == Bin("'b'", pytest.approx(0.2), 0.0)


def test_what_may_be_among_the_unnamed_others_is_not_called_new() -> None:
    """Of equally many rows a category, which ones are named is chance."""
    labels = [f"k{number:03d}" for number in range(2 * MOST_CATEGORIES)]
    before = pd.Categorical(labels * 10)
    now = pd.Categorical([*labels * 10, *labels[MOST_CATEGORIES:] * 2])
    found = drift_of(now, before)
    assert found.psi < 0.1
    assert found.new.share == 0
    assert found.new.names == ()


def test_many_rows_in_unnamed_categories_are_new_beyond_what_the_holder_had_of_them() -> None:
    before = pd.Categorical(["a"] * 90 + ["b"] * 10)
    now = pd.Categorical(["a"] * 100 + ["b"] * 100 + [f"id {number}" for number in range(200)])
    found = drift_of(now, before)
    assert found.new.share == pytest.approx(0.5)
    assert found.moved is Moved.MUCH


def test_missing_values_are_a_bin_of_their_own() -> None:
    numbers = GENERATOR(4).normal(size=10_000)
    holed = numbers.copy()
    holed[::5] = np.nan
    for now, before in ((holed, numbers), (numbers, holed)):
        found = drift_of(now, before)
        assert found.most.label == "missing"
        assert abs(found.missing_now - found.missing_before) == pytest.approx(0.2)
        deciles = 10 * (0.1 - 0.08) * np.log(0.1 / 0.08)
        assert found.psi == pytest.approx(deciles + (0.2 - FLOOR) * np.log(0.2 / FLOOR), rel=0.001)


@pytest.mark.parametrize("now", [3.0, 7.1, 1e300, np.nan])
def test_a_constant_that_became_another_has_moved(now: float) -> None:
    assert drift_of(np.full(100, now), np.full(100, 7.0)).moved is Moved.MUCH
    assert drift_of(np.full(100, 7.0), np.full(100, now)).moved is Moved.MUCH


def test_a_value_that_most_rows_have_is_a_bin_of_its_own() -> None:
    """Half of the zeros became -1, which a bin "up to 0" would not tell."""
    before = np.array([0.0] * 90 + [5.0] * 10)
    now = np.array([-1.0] * 45 + [0.0] * 45 + [5.0] * 10)
    found = drift_of(now, before)
    assert found.most == Bin("below 0", 0.0, pytest.approx(0.45))
    assert found.moved is Moved.MUCH


def test_a_share_of_booleans_is_compared_exactly() -> None:
    flags = np.arange(1_000)
    found = drift_of(flags < 250, flags < 150)
    expected = (0.25 - 0.15) * np.log(0.25 / 0.15) + (0.75 - 0.85) * np.log(0.75 / 0.85)
    assert found.psi == pytest.approx(expected, abs=1e-6)


def test_dates_are_told_by_day() -> None:
    days = pd.date_range("2026-01-01", periods=100, freq="D").to_numpy()
    found = drift_of(days + np.timedelta64(50, "D"), days)
    assert found.kind == "date"
    assert found.most.label == "above 2026-03-31"
    far = np.array(["-5000-01-01", "-4000-01-01"], dtype="datetime64[s]").repeat(50)
    assert drift_of(far, far).psi == 0


def test_the_target_s_shift_counts_and_stands_apart() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0] * 50})
    now = sketches_of(table, np.array([1] * 50 + [0] * 50))
    before = sketches_of(table, np.array([1] * 10 + [0] * 90))
    drift = compare(now, before)
    assert drift.target is not None
    assert drift.max_psi == drift.target.psi == drift.most_moved[0].psi > 0.25
    assert [column.name for column in drift.columns] == ["a"]
    assert "the target moved much" in drift.sentence()


def test_columns_that_are_gone_new_or_of_another_kind_are_named() -> None:
    before = {"columns": table_sketches([pd.DataFrame({"a": [1], "b": [1], "c": [1]})])}
    now = {"columns": table_sketches([pd.DataFrame({"c": ["x"], "b": [1], "d": [1]})])}
    drift = compare(now, before)
    assert [column.name for column in drift.columns] == ["b"]
    assert (drift.gone, drift.new) == (("a",), ("d",))
    assert drift.changed == (KindChange("c", "number", "category"),)
    said = drift.sentence()
    assert "gone: a; new: d; of another kind: c (number before, category now)" in said
    rows = drift.as_rows()
    assert [row["column"] for row in rows] == ["b", "c", "a", "d"]
    assert len({tuple(row) for row in rows}) == 1, "all rows have the same keys"


def test_columns_that_are_called_by_whole_questions_are_cut() -> None:
    names = [f"{number} {'how satisfied are you ' * 10}" for number in range(4)]
    sketch = column_sketch([np.arange(9.0)])
    before = {names[0]: sketch, names[1]: sketch}
    now = {names[0]: column_sketch([np.arange(9.0) + 9]), names[2]: sketch, names[3]: sketch}
    said = compare({"columns": now}, {"columns": before}).sentence()
    assert len(said) < 700
    assert all(f"{number} how satisfied" in said for number in range(4))


def test_a_target_of_another_kind_is_not_compared() -> None:
    table = pd.DataFrame({"a": [1.0]})
    classes = sketches_of(table, np.array([1]))
    numbers = {**classes, "target": target_sketch(np.array([1.0]), None)}
    assert compare(numbers, classes).target is None
    assert compare(numbers, {}).target is None
    assert compare({}, {}).max_psi == 0
    assert compare({}, {}).sentence() == "there is nothing to compare"


def test_a_sentence_names_a_few_columns_and_counts_the_others() -> None:
    before = {str(number): number_sketch([np.full(50, 0)]) for number in range(30)}
    now = {name: number_sketch([np.full(50, int(name) < 9)]) for name in before}
    said = compare({"columns": now}, {"columns": before}).sentence()
    assert said.startswith("moved much: 0 (PSI ")
    assert said.count("PSI") == 5
    assert "4 more moved some or much; 21 moved little" in said


def test_the_words_follow_the_thresholds() -> None:
    words = [moved(index) for index in (0, 0.0999, 0.1, 0.25, 0.2501)]
    assert words == [Moved.LITTLE, Moved.LITTLE, Moved.SOME, Moved.SOME, Moved.MUCH]


def test_a_curve_is_exact_at_its_values_and_straight_between() -> None:
    curve = Curve([1.0, 3.0], [0.0, 0.6], [0.2, 1.0])
    points = [curve.at(value) for value in (0, 1, 2, 3, 4)]
    assert points == [(0, 0), (0, 0.2), (pytest.approx(0.4),) * 2, (0.6, 1), (1, 1)]


def test_work_grows_with_the_number_of_columns_and_not_with_its_square() -> None:
    def compared(columns: int) -> int:
        sketch = number_sketch([np.arange(100)])
        whole = {"columns": {str(number): sketch for number in range(columns)}}
        return calls_of(lambda: compare(whole, whole).sentence())

    compared(10)
    assert compared(10_000) <= 4.2 * compared(2_500)


NUMBERS = st.lists(st.floats() | st.integers(-3, 3).map(float), max_size=40).map(np.array)
TEXTS = st.lists(st.none() | st.sampled_from("abc") | st.text(max_size=3), max_size=40).map(
    lambda values: pd.Categorical(np.array(values, dtype=object))
)


@settings(max_examples=examples(300))
@given(st.tuples(NUMBERS, NUMBERS) | st.tuples(TEXTS, TEXTS))
def test_whatever_is_compared_the_index_is_finite_and_not_negative(pair: tuple[Any, Any]) -> None:
    now, before = ({"columns": {"a": column_sketch([each])}} for each in pair)
    drift = compare(now, before)
    assert 0 <= drift.max_psi < 100
    json.dumps(drift.as_rows(), allow_nan=False)
    assert all(0 <= column.new.share <= 1 for column in drift.columns)
    assert "nan" not in str(drift.max_psi)
    assert compare(before, before).max_psi == 0


SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20)


@given(SHARES)
def test_the_index_is_the_same_either_way_round_and_0_for_equal_shares(
    shares: list[tuple[float, float]],
) -> None:
    there = stability_index([Bin("", before, now) for before, now in shares])
    back = stability_index([Bin("", now, before) for before, now in shares])
    assert there == pytest.approx(back)
    assert there >= 0
    assert stability_index([Bin("", share, share) for share, _ in shares]) == 0
