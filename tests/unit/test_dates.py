"""Dates are trained on, and a logged model reads the same dates from raw columns."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard import raw_columns
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData
from trainyard.networks.tables import TableEncoding

ROWS = 400
HOURS = pd.date_range("2023-11-20 07:30", periods=ROWS, freq="7h")


def load(root: Path, column, **more):
    """The data of a table with `when` and a number beside it; the look at submit must accept it too."""
    table = pa.table({"a": np.arange(ROWS) % 7, "when": column, "y": np.arange(ROWS) % 2})
    pq.write_table(table, root / "table.parquet")
    spec = FileData(source="file", uri="table.parquet", **{"target": "y", **more})
    access = DataAccess((root,), root)
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


def by_row(data) -> np.ndarray:
    """The dates of the training rows in the table's order."""
    return np.sort(data.frame["when"].to_numpy())


def raw(data) -> dict:
    return {"name": "when", "date": data.dates["when"]}


def text(form: str) -> pa.Array:
    return pa.array(HOURS.strftime(form))


WRITTEN = [
    (text("%d/%m/%Y %H:%M"), "the day first"),
    (text("%m-%d-%Y %H:%M"), "the month first"),
    (text("%d.%m.%y %H:%M"), "the day first"),
    (text("%m/%d/%Y %I:%M %p"), "the month first"),
    (text("%Y-%m-%dT%H:%M:%S"), "the year first"),
    (text("%Y/%m/%d %H:%M"), "the year first"),
    (text("%Y-%m-%d %H:%M:%SZ"), "the year first"),
    (text("%d %b %Y %H:%M"), "by its name"),
    (text("%B %d, %Y %H:%M"), "by its name"),
]


@pytest.mark.parametrize(("column", "words"), WRITTEN, ids=[str(each[0][0]) for each in WRITTEN])
def test_text_that_holds_dates_is_read_as_dates_and_said(tmp_path, column, words):
    data = load(tmp_path, column)
    assert set(by_row(data)) <= set(HOURS.to_numpy())
    assert [each for each in data.warnings if "'when'" in each and words in each]
    asked = pd.Series(column.to_pylist())
    assert (raw_columns.dates(asked, raw(data)) == HOURS.to_numpy()).all()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_become_elapsed_days_and_what_varies(tmp_path, unit):
    data = load(tmp_path, pa.array(HOURS).cast(pa.timestamp(unit)))
    assert data.profile["dates"]["when"]["features"] == [
        "elapsed_days",
        *(f"{part}_{wave}" for part in raw_columns.PARTS for wave in ("sin", "cos")),
    ]
    made = raw_columns.date_features(HOURS.to_numpy(), data.dates["when"])
    assert np.allclose(np.diff(made[:, 0]), 7 / 24)
    assert np.allclose(made[:, 1] ** 2 + made[:, 2] ** 2, 1)
    assert not data.warnings


def test_a_day_has_no_hour_and_a_constant_no_parts(tmp_path):
    days = load(tmp_path, pa.array([date(2024, 1, 1 + row % 9) for row in range(ROWS)]))
    assert days.dates["when"]["parts"] == ["weekday", "day_of_month"]
    always = load(tmp_path, pa.array([pd.Timestamp("2024-05-05 05:00")] * ROWS))
    assert always.dates["when"]["parts"] == []
    assert "in every row" in always.warnings[0]


def test_a_zone_is_kept_and_the_hour_is_that_of_the_clock_there(tmp_path):
    berlin = pa.array(HOURS.tz_localize("UTC"), pa.timestamp("us", "Europe/Berlin"))
    data = load(tmp_path, berlin)
    wall = HOURS.tz_localize("UTC").tz_convert("Europe/Berlin").tz_localize(None)
    assert set(by_row(data)) <= set(wall.to_numpy())
    for same in (
        pd.Series(HOURS.tz_localize("UTC")),
        pd.Series(HOURS.tz_localize("UTC").tz_convert("Asia/Tokyo")),
        pd.Series(HOURS.strftime("%Y-%m-%dT%H:%M:%SZ"), dtype=object),
        pd.Series(list(HOURS.tz_localize("UTC").to_pydatetime()), dtype=object),
    ):
        assert (raw_columns.dates(same, raw(data)) == wall.to_numpy()).all()
    with pytest.raises(ValueError, match="'when' holds times without a zone"):
        raw_columns.dates(pd.Series(HOURS), raw(data))


def test_callers_may_give_dates_in_any_type_and_no_date_is_refused_by_value(tmp_path):
    column = raw(load(tmp_path, text("%d/%m/%Y")))
    day = np.datetime64("2024-02-03")
    for value in ("03/02/2024", "2024-02-03", date(2024, 2, 3), pd.Timestamp("2024-02-03"), day):
        found = raw_columns.dates(pd.Series([value, None], dtype=object), column)
        assert (found[0], np.isnat(found[1])) == (day, True)
    assert np.isnat(raw_columns.dates(pd.Series([np.nan, np.nan]), column)).all()
    for value in ("soon", 20240203, "2024-02-03T00:00:00Z"):
        with pytest.raises(ValueError, match=f"'when' is '?{value}'?, where a date is due"):
            raw_columns.dates(pd.Series([value], dtype=object), column)


def test_what_may_be_day_or_month_is_not_guessed_and_can_be_said(tmp_path):
    doubtful = pa.array([f"{row % 12 + 1:02}/{row % 11 + 1:02}/2024" for row in range(ROWS)])
    data = load(tmp_path, doubtful)
    assert "when" not in data.dates
    assert isinstance(data.frame["when"].dtype, pd.CategoricalDtype)
    assert [
        each for each in data.warnings if "no value tells which" in each and "day_first" in each
    ]
    with pytest.raises(InvalidData, match="set day_first to true or false") as refused:
        load(tmp_path, doubtful, columns={"when": {"type": "date"}})
    assert refused.value.pointer == "/data/columns/when"
    for day_first, second in ((True, "2024-03-02"), (False, "2024-02-03")):
        stated = {"when": {"type": "date", "day_first": day_first}}
        column = raw(load(tmp_path, doubtful, columns=stated))
        found = raw_columns.dates(pd.Series(["02/03/2024"]), column)
        assert str(found[0]).startswith(second)


def test_marks_among_dates_are_missing_and_other_text_is_told_of(tmp_path):
    column = pa.array(
        [None if row == 1 else "?" if row < 5 else f"{row % 28 + 1}.1.2024" for row in range(ROWS)]
    )
    data = load(tmp_path, column)
    assert "'?' counts as missing, in 4" in data.warnings[0]
    assert np.isnat(raw_columns.dates(pd.Series(["?", "1.1.2024"]), raw(data))).tolist() == [
        True,
        False,
    ]
    mixed = pa.array([f"{row % 28 + 1}.1.2024" if row % 5 else "some day" for row in range(ROWS)])
    assert "when" not in load(tmp_path, mixed).dates
    with pytest.raises(InvalidData, match=r"is 'some day' in 80 rows, which is no date"):
        load(tmp_path, mixed, columns={"when": {"type": "date", "day_first": True}})


def test_dates_can_be_left_out_or_kept_as_text(tmp_path):
    ignored = load(tmp_path, pa.array(HOURS), dates="ignore")
    assert list(ignored.frame) == ["a"]
    assert "left out, as data.dates is 'ignore'" in ignored.warnings[0]
    with pytest.raises(InvalidData, match="no columns are left"):
        load(tmp_path, pa.array(HOURS), dates="ignore", drop=["a"])
    text_kept = load(tmp_path, text("%d/%m/%Y"), columns={"when": {"type": "category"}})
    assert isinstance(text_kept.frame["when"].dtype, pd.CategoricalDtype)
    with pytest.raises(InvalidData, match="which are no categories"):
        load(tmp_path, pa.array(HOURS), categorical=["when"])


def test_times_beyond_the_calendar_and_targets_of_dates_are_refused(tmp_path):
    far = pa.array([2**40] * ROWS, pa.timestamp("s"))
    with pytest.raises(InvalidData, match="outside the years 1 to 9999"):
        load(tmp_path, far)
    with pytest.raises(InvalidData, match="the target 'when' holds dates"):
        load(tmp_path, pa.array(HOURS), target="when")


def test_a_sentinel_far_away_costs_the_others_no_precision(tmp_path):
    values = [
        pd.Timestamp("0001-01-01") if row % 50 == 0 else each for row, each in enumerate(HOURS)
    ]
    about = load(tmp_path, pa.array(values, pa.timestamp("us"))).dates["when"]
    days = raw_columns.date_features(HOURS.to_numpy(), about)[:, 0]
    assert np.allclose(days.astype(np.float32), days, atol=1 / 86_400 * 10)


def test_a_network_takes_scaled_days_and_waves_and_zeros_where_there_is_no_date(tmp_path):
    column = pa.array([None if row % 9 == 0 else each for row, each in enumerate(HOURS)])
    data = load(tmp_path, column)
    encoding = TableEncoding.fitted(data.frame, dates=data.dates)
    made = encoding.encode(data.frame)
    assert made.shape == (len(data.train), 1 + 1 + 2 * 4)
    there = data.frame["when"].notna().to_numpy()
    assert abs(float(made[there, 1].mean())) < 1e-3
    assert not made[~there, 1:].any()
    assert encoding.columns[1].optional
