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
from trainyard.datasets.tables.recognition.reading import recognised
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
    (text("%Y-%m-%d %H:%M:%S UTC"), "the year first"),
    (text("%d/%m/%Y %H:%M:%SZ"), "the day first"),
    (text("%Y年%m月%d日 %H:%M"), "the year first"),
    (text("%Y. %m. %d. %H:%M"), "the year first"),
    (text("%Y%m%dT%H%M%S"), "the year first"),
    (text("%d/%b/%Y:%H:%M:%S +0000"), "by its name"),
    (text("%b %d %Y %I:%M%p"), "by its name"),
    (text("%A, %B %d, %Y %H:%M"), "by its name"),
    (text("%a, %d %b %Y %H:%M:%S GMT"), "by its name"),
    (text("%a %b %d %H:%M:%S UTC %Y"), "by its name"),
    (text("%d-%b-%y %I.%M.%S.000000 %p"), "by its name"),
    (text("%dth of %B %Y at %H:%M"), "by its name"),
    (text("%d.%m.%Y, %H:%M Uhr"), "the day first"),
    (text("%d.%m.%Y %H.%M"), "the day first"),
    (text("%m/%d/%Y, %I:%M:%S\N{NARROW NO-BREAK SPACE}%p"), "the month first"),
    (text("\N{LEFT-TO-RIGHT MARK}%d/%m/%Y %H:%M"), "the day first"),
    (text("%Y-%m-%d %H:%M:%S,000"), "the year first"),
    (text("%Y-%m-%dT%H:%M:%S+00:00[Europe/London]"), "the year first"),
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


def test_a_zero_date_is_missing_and_said(tmp_path):
    days = ["0000-00-00" if row % 20 == 0 else f"2024-02-{row % 28 + 1:02}" for row in range(ROWS)]
    data = load(tmp_path, pa.array(days))
    assert "'0000-00-00' counts as missing, in 20 of 400 rows" in data.warnings[0]
    column = raw(data)
    assert np.isnat(raw_columns.dates(pd.Series(["0000-00-00"], dtype=object), column)).all()


def test_times_with_several_zones_are_read_in_utc(tmp_path):
    zones = ["Z", " UTC", "+00:00", " +02:00", "-05"]
    texts = [f"31/12/2024 12:{row % 60:02}:00{zones[row % 5]}" for row in range(ROWS)]
    column = raw(load(tmp_path, pa.array(texts)))
    found = raw_columns.dates(pd.Series(texts[:5], dtype=object), column)
    hours = [12, 12, 12, 10, 17]
    assert list(pd.DatetimeIndex(found).hour) == hours


def test_months_in_another_language_are_told_of(tmp_path):
    months = ["Januar", "März", "Dezember"]
    data = load(
        tmp_path, pa.array([f"{row % 28 + 1}. {months[row % 3]} 2024" for row in range(ROWS)])
    )
    assert "the month by a name that is not English" in data.warnings[0]
    assert "write them in the table as in 2024-12-31" in data.warnings[0]
    with pytest.raises(InvalidData, match="write them in the table"):
        load(
            tmp_path,
            pa.array([f"1. {months[row % 3]} 2024" for row in range(ROWS)]),
            columns={"when": {"type": "date"}},
        )


MONTHS = pd.date_range("2019-03-01", periods=48, freq="MS")
WEEKS = pd.date_range("2019-03-04", periods=100, freq="W-MON")
YEARS = pd.to_datetime([f"{year}-01-01" for year in range(1999, 2025)])
PERIODS = [
    *((MONTHS, form, "month") for form in ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y")),
    *((MONTHS, form, "month") for form in ("%YM%m", "%Y年%m月", "%Y-%b", "%b. %Y", "%B, %Y")),
    *((WEEKS, form, "week") for form in ("%G-W%V", "%GW%V", "W%V %G", "KW %V/%G", "Week %V, %G")),
    *((YEARS, form, "year") for form in ("FY%Y", "FY%y", "CY%Y")),
]


def repeated(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """As many as a table has rows."""
    return times[np.arange(ROWS) % len(times)]


@pytest.mark.parametrize(("times", "form", "kind"), PERIODS, ids=[each[1] for each in PERIODS])
def test_periods_as_text_are_read_as_their_first_days_and_said(tmp_path, times, form, kind):
    rows = repeated(times)
    data = load(tmp_path, pa.array(rows.strftime(form)))
    assert f"with the {kind} of each, and is read as dates" in data.warnings[0]
    assert set(by_row(data)) <= set(rows.to_numpy())
    assert set(data.dates["when"]["parts"]) <= {"month"}
    asked = pd.Series([*rows.strftime(form)[:100], "2024-05-06"], dtype=object)
    expected = [*rows.to_numpy()[:100], np.datetime64("2024-05-06")]
    assert (raw_columns.dates(asked, raw(data)) == np.array(expected, "datetime64[us]")).all()


@pytest.mark.parametrize(
    ("spelled", "days"),
    [
        ("2024-Q1 2023Q4 Q32023 1Q24", "2024-01-01 2023-10-01 2023-07-01 2024-01-01"),
        ("2024-H1 2023S2 H2-2023 1H24", "2024-01-01 2023-07-01 2023-07-01 2024-01-01"),
        ("2023/24 2019-20 FY2021/22 1999/2000", "2023-01-01 2019-01-01 2021-01-01 1999-01-01"),
        ("2020-W53 2021-W01-7", "2020-12-28 2021-01-10"),
        ("Jan-24 Feb'99 Sept-2023", "2024-01-01 1999-02-01 2023-09-01"),
    ],
)
def test_a_kind_of_periods_is_read_in_each_of_its_spellings(tmp_path, spelled, days):
    words = spelled.split()
    column = raw(load(tmp_path, pa.array([words[row % len(words)] for row in range(ROWS)])))
    found = raw_columns.dates(pd.Series(words), column)
    assert [str(each)[:10] for each in found] == days.split()


@pytest.mark.parametrize(
    ("words", "doubt"),
    [
        (["Jan-24", "Feb-23", "Mar-22"], "a month and its day or its year"),
        (["24-Jan", "23-Feb", "2-Mar"], "a month and its day or its year"),
        (["2010-11", "2011-12"], "a year and its month or a year and the next"),
        (["2024-01", "2024-Q1"], "several kinds (month, quarter)"),
    ],
    ids=lambda each: each[0],
)
def test_periods_that_may_be_others_are_not_guessed(tmp_path, words, doubt):
    data = load(tmp_path, pa.array([words[row % len(words)] for row in range(ROWS)]))
    assert isinstance(data.frame["when"].dtype, pd.CategoricalDtype)
    assert doubt in data.warnings[0]
    assert "write them in the table as in 2024-01" in data.warnings[0]


@pytest.mark.parametrize(
    "words", [["2024-13", "2023-00"], ["2023-001", "2023-017"], ["Q3", "Q4"], ["2024-W54"] * 2]
)
def test_text_that_only_resembles_periods_stays_text(tmp_path, words):
    data = load(tmp_path, pa.array([words[row % len(words)] for row in range(ROWS)]))
    assert "when" not in data.dates


@pytest.mark.parametrize(
    ("form", "zones", "hours"),
    [
        ("%Y-%m-%d %H:%M:%S {}", ["CET"], [1]),
        ("%d.%m.%Y %H:%M {}", ["CET", "CEST", "MESZ"], [1, 2, 2]),
        ("%m/%d/%Y %I:%M %p {}", ["EST", "PDT"], [-5, -7]),
        ("%a %b %d %H:%M:%S {} %Y", ["MSK"], [3]),
    ],
)
def test_zones_whose_letters_mean_one_are_read_and_said(tmp_path, form, zones, hours):
    text = [time.strftime(form).format(zones[row % len(zones)]) for row, time in enumerate(HOURS)]
    data = load(tmp_path, pa.array(text))
    assert f"{zones[0]} as {hours[0]:+03d}:00" in data.warnings[0]
    found = raw_columns.dates(pd.Series(text[:6]), raw(data))
    away = [pd.Timedelta(hours=hours[row % len(hours)]) for row in range(6)]
    seconds = "%S" in form
    expected = [
        (each if seconds else each.floor("min")) - by
        for each, by in zip(HOURS[:6], away, strict=True)
    ]
    assert [pd.Timestamp(each) for each in found] == expected


@pytest.mark.parametrize("zone", ["IST", "CST", "Europe/Berlin"])
def test_a_zone_that_may_be_several_is_named_and_not_guessed(tmp_path, zone):
    data = load(tmp_path, pa.array(HOURS.strftime(f"%Y-%m-%d %H:%M:%S {zone}")))
    assert "when" not in data.dates
    assert f"the time zone {zone!r} behind" in data.warnings[0]


@pytest.mark.parametrize(
    ("name", "first", "said"),
    [
        ("orderDate", 45291, "as spreadsheets count them, such as 45291, which is 2023-12-31"),
        ("Liefer_Datum", 45291.5, "as spreadsheets count them, such as 45291.5, which is 2023"),
        ("date", 2019060, "a year and its day, such as 2019060, which is 2019-03-01"),
        ("when", "2019-060", "a year and its day, such as '2019-060', which is 2019-03-01"),
        ("amount", 45291, ""),
        ("mandate_id_of", 45291, ""),
    ],
)
def test_days_that_are_counted_are_told_of_and_not_guessed(name, first, said):
    more = range(40)
    values = (
        [f"2019-{60 + at:03d}" for at in more]
        if first == "2019-060"
        else [first + at for at in more]
    )
    read = recognised(name, pa.chunked_array([values]))
    assert read.dates is None
    assert [said in each for each in read.warnings] == [True] * bool(said)


@pytest.mark.parametrize(
    ("form", "first"), [("%Y%m%d", "2023-11-20"), ("%Y%m", "2023-11-01")], ids=str
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()], ids=str)
def test_digits_that_are_dates_are_told_of_and_read_as_such_where_it_is_said(
    tmp_path, form, first, kind
):
    column = pa.array([int(each) for each in HOURS.strftime(form)]).cast(kind)
    told = load(tmp_path, column)
    assert [each for each in told.warnings if '{"when": {"type": "date"}}' in each]
    assert told.frame["when"].dtype.kind in "if"
    data = load(tmp_path, column, columns={"when": {"type": "date"}})
    assert not data.warnings
    digits = int(HOURS[0].strftime(form))
    for same in (
        digits,
        float(digits),
        str(digits),
        pd.Timestamp(first),
        date.fromisoformat(first),
    ):
        found = raw_columns.dates(pd.Series([same, None], dtype=object), raw(data))
        assert (str(found[0])[:10], np.isnat(found[1])) == (first, True)


@pytest.mark.parametrize("units", [1, 1_000, 1_000_000, None])
def test_numbers_that_are_times_are_told_of(tmp_path, units):
    numbers = HOURS.strftime("%Y%m%d%H%M%S") if units is None else HOURS.as_unit("s").asi8 * units
    (said,) = [
        each for each in load(tmp_path, np.array(numbers, np.int64)).warnings if "look like" in each
    ]
    assert f"look like times, such as {numbers[0]}, and is read as numbers" in said
    assert not [
        each for each in load(tmp_path, np.arange(ROWS) * 10**7).warnings if "look like" in each
    ]


def test_a_month_and_a_year_that_became_a_fraction_are_told_of(tmp_path):
    data = load(tmp_path, pa.array([float(each) for each in HOURS.strftime("%m.%Y")]))
    assert "such as 11.2023" in data.warnings[0]
    assert "write them in the table as in 2024-01" in data.warnings[0]


def test_whole_numbers_that_are_no_dates_are_left_alone(tmp_path):
    data = load(tmp_path, pa.array(20_240_100 + np.arange(ROWS)), drop=[])
    assert not [each for each in data.warnings if "look like dates" in each]
    with pytest.raises(InvalidData, match="which is no date as the others are"):
        load(tmp_path, pa.array([20240131, 20241332] * 200), columns={"when": {"type": "date"}})
    with pytest.raises(InvalidData, match="whole numbers such as 20241231"):
        load(tmp_path, pa.array([0.5] * ROWS), columns={"when": {"type": "date"}})


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
