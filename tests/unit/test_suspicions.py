"""Columns that a person should look at, and columns that nobody need be told of."""

from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from trainyard.datasets.tables import suspicions
from trainyard.datasets.tables.features import Feature

RNG = np.random.default_rng(0)
ROWS = 400
PARTS = {"train": np.arange(300), "test": np.arange(300, ROWS)}


def feature(values) -> Feature:
    column = pa.chunked_array([pa.array(values)])
    return Feature("a", column, pa.types.is_string(column.type), "/data/drop")


@pytest.mark.parametrize("values", [[3] * 60, ["x"] * 60, [2.5] * 2, [True] * 60], ids=str)
def test_a_constant_is_named_with_its_value(values):
    said = suspicions.of_values(feature(values))
    assert f"{values[0]!r} in every row" in str(said)


@pytest.mark.parametrize(
    "values", [list(range(1000, 1060)), [f"user-{row}" for row in range(2_000)]], ids=len
)
def test_an_identifier_is_named(values):
    said = str(suspicions.of_values(feature(values)))
    assert f"all {len(values)} values of the column 'a' differ" in said


def test_text_of_very_many_values_is_told_of_with_what_it_may_be():
    fractions = [f"{row % 60}/7" for row in range(100)]
    said = str(suspicions.of_values(feature(fractions)))
    assert "text with 60 different values in 100 rows" in said
    assert "where they are numbers, dates or times" in said


@pytest.mark.parametrize(
    "values",
    [
        [1, 2] * 30,
        [f"{row % 40}/7" for row in range(100)],
        [3] * 59 + [None],
        [row / 7 for row in range(60)],
        list(range(49)),
        [*range(1_000), 5],
        [*range(59), None, None],
    ],
    ids=lambda values: str(values[-2:]),
)
def test_other_values_are_not_worth_a_word(values):
    assert suspicions.of_values(feature(values)) is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([-999, 5, None, 7, -999], "is -999 in 2 of 5 rows, and in no other below 0 or above 7,"),
        ([0.5, 9999.0, 120.0, 9999.0], "is 9999 in 2 of 4 rows"),
        ([-1, 40, 12, -1], "is -1 in 2 of 4 rows, and in no other below 0 or above 40"),
    ],
)
def test_a_number_of_nines_that_may_stand_for_a_missing_value_is_named(values, said):
    assert said in str(suspicions.of_stand_ins(feature(values)))


@pytest.mark.parametrize(
    "values",
    [
        [-1, -1, 0, 1],
        [-1, -1, -2, 40],
        [-1, 0, 40],
        [-999, 5, 7],
        [-999, -999, -5, 7],
        [999, 999, 998],
        [999, 999],
        [None, None],
        ["-999"] * 2,
    ],
    ids=str,
)
def test_other_nines_are_not_worth_a_word(values):
    assert suspicions.of_stand_ins(feature(values)) is None


@pytest.mark.parametrize(
    ("categories", "said"),
    [
        (["no", "true", "yes"], "'true' and 'yes'"),
        (["0", "1", "FALSE"], "'0' and 'FALSE'"),
        (["no", "yes"], None),
        (["maybe", "true", "yes"], None),
        (["e\u0301", "\xe9"], r"'e\u0301' and '\xe9'"),
        (["0", "1", "1.0"], "'1' and '1.0'"),
        (["01", "1"], None),
    ],
)
def test_yes_and_no_in_several_ways_are_told_of(categories, said):
    found = suspicions.of_spelling("a", pd.Categorical(categories))
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(
    ("years", "said"),
    [
        ([2024, 2023, 9999, 9999], "is 9999-01-01 in 2 of 4 rows"),
        ([1, 2023, 2022, None], "is 0001-01-01 in 1 of 4 rows"),
        ([950, 940, 930], None),
        ([1066, 2024], None),
        ([None, None], None),
    ],
)
def test_dates_that_may_stand_for_a_missing_one_are_named(years, said):
    times = pa.array([year and datetime(year, 1, 1) for year in years], pa.timestamp("us"))  # noqa: DTZ001 - a time on the wall
    found = suspicions.of_stand_in_dates(feature(times))
    assert found is None if said is None else said in str(found)


def said_of(values, y) -> str | None:
    each = {part: values[rows] for part, rows in PARTS.items()}
    return suspicions.Giveaways(y, PARTS).said("a", each)


def test_a_number_that_separates_the_classes_is_named():
    y = RNG.integers(0, 3, ROWS)
    assert "'a' alone predicts the target in all of 100 test rows" in str(said_of(y * 10.0, y))
    assert "'a'" in str(said_of(y == 1, (y == 1).astype(np.int64)))


def test_a_category_that_names_the_class_is_named():
    y = RNG.integers(0, 2, ROWS)
    leak = pd.Categorical.from_codes(y, categories=["no", "yes"])
    assert said_of(leak, y) is not None


def test_a_number_that_is_the_target_in_other_units_is_named():
    y = RNG.normal(size=ROWS)
    assert said_of(np.linspace(0, 1, ROWS), y) is None
    assert said_of(7 - y * 2.54, y) is not None
    with_gaps = np.where(np.arange(ROWS) < 10, np.nan, y)
    assert said_of(with_gaps, y) is not None
    assert said_of(y + RNG.normal(size=ROWS) / 20, y) is None


@pytest.mark.parametrize("flips", [1, 20])
def test_a_good_feature_is_no_leak(flips):
    y = RNG.integers(0, 2, ROWS)
    almost = y.astype(float)
    almost[300 : 300 + flips] = 1 - almost[300 : 300 + flips]
    assert said_of(almost, y) is None


def test_identifiers_sorted_by_the_target_are_no_leak_as_categories():
    y = np.repeat([0, 1], ROWS // 2)
    order = RNG.permutation(ROWS)
    codes = np.where(np.isin(np.arange(ROWS), PARTS["train"]), np.arange(ROWS), -1)
    names = pd.Categorical.from_codes(codes, categories=[f"id-{row}" for row in range(ROWS)])
    assert said_of(names, y[order]) is None


def test_missing_values_and_few_test_rows_do_not_break_it():
    y = RNG.integers(0, 2, ROWS)
    assert said_of(np.full(ROWS, np.nan), y) is None
    for tests, is_told in ((29, False), (30, True)):
        few = {"train": np.arange(300), "test": np.arange(300, 300 + tests)}
        values = {part: y[rows] * 1.0 for part, rows in few.items()}
        assert (suspicions.Giveaways(y, few).said("a", values) is not None) is is_told
    assert said_of(RNG.normal(size=ROWS), np.zeros(ROWS, dtype=np.int64)) is None
