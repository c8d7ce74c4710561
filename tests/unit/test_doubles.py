"""Rows that are in a table twice are told of where that is no chance."""

import numpy as np
import pandas as pd
from trainyard.datasets.tables.doubles import Doubles

RNG = np.random.default_rng(0)
ROWS = 300


def said(frame: pd.DataFrame, y: np.ndarray) -> str | None:
    """Of a table whose last third are test rows."""
    cut = len(frame) * 2 // 3
    parts = {"train": slice(0, cut), "test": slice(cut, None)}
    doubles = Doubles({part: len(frame[rows]) for part, rows in parts.items()})
    for name in frame:
        doubles.add({part: frame[name].array[rows] for part, rows in parts.items()})
    return doubles.said({part: y[rows] for part, rows in parts.items()})


def table(rows: int = ROWS) -> pd.DataFrame:
    colours = pd.Categorical(RNG.choice(["red", "blue"], rows))
    return pd.DataFrame(
        {"colour": colours, "a": RNG.normal(size=rows).round(2), "b": RNG.normal(size=rows)}
    )


def test_a_table_with_its_backup_is_told_of_and_whether_the_targets_differ() -> None:
    frame, y = table(), RNG.integers(0, 2, ROWS)
    twice = pd.concat([frame, frame], ignore_index=True)
    same = str(said(twice, np.concatenate([y, y])))
    assert same.startswith("600 of 600 rows are the same as another in all features; ")
    other = str(said(twice, np.concatenate([y, 1 - y])))
    assert other.startswith(
        "600 of 600 rows are the same as another in all features, some with another target; "
    )


def test_a_tenth_that_is_doubled_is_told_of_and_less_is_not() -> None:
    frame, y = table(), RNG.integers(0, 2, ROWS)
    for copies, told in ((20, True), (10, False)):
        more = pd.concat([frame, frame.head(copies)], ignore_index=True)
        assert bool(said(more, np.concatenate([y, y[:copies]]))) is told


def test_rows_of_coarse_columns_are_alike_by_chance() -> None:
    frame = table()[["colour"]].assign(size=RNG.integers(0, 3, ROWS))
    assert said(frame, RNG.integers(0, 2, ROWS)) is None


def test_columns_that_are_the_same_number_in_another_order_do_not_make_rows_alike() -> None:
    up = np.arange(ROWS)
    frame = pd.DataFrame({"coarse": up // 20, "a": up % 60 * 1.0, "b": up * 1.0})
    assert said(frame, up % 2) is None


def test_few_rows_and_missing_values_are_no_trouble() -> None:
    few = pd.concat([table(20)] * 2, ignore_index=True)
    assert said(few, np.zeros(40)) is None
    gaps = table().assign(a=np.nan)
    assert said(gaps, np.zeros(ROWS)) is None
