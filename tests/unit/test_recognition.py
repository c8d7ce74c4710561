"""Text that holds numbers or dates: what is recognised, what is left alone, and what is not guessed."""

import json
import re
from collections import Counter

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainyard.contract import NumberColumn
from trainyard.datasets.tables.recognition.choosing import choose
from trainyard.datasets.tables.recognition.converting import converted
from trainyard.datasets.tables.recognition.dates import order_of
from trainyard.datasets.tables.recognition.notation import NOTATIONS, Notation
from trainyard.datasets.tables.recognition.reading import as_stated, recognised
from trainyard.errors import InvalidData
from trainyard.raw_columns import numbers as logged

MANY = [f"{number / 7:.2f}" for number in range(100)]
"""Numbers with a decimal point."""


def column(*values: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values[:1], pa.string()), pa.array(values[1:], pa.string())])


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["0,126", "-0,132", "0,640"], [0.126, -0.132, 0.64]),
        (["1.234,5", "12,25", "-7"], [1234.5, 12.25, -7]),
        (["$280,116", "$1,172,942", "$79"], [280116, 1172942, 79]),
        (["$280,116", "$779,287"], [280116, 779287]),
        (["-$1,848.10", "$12.5"], [-1848.1, 12.5]),
        (["3,50 €", "12,00 €"], [3.5, 12]),
        (["12%", "7.5 %"], [12, 7.5]),
        (["SEK 1 234,50", "SEK 12,00"], [1234.5, 12]),
        (["US$1,234.56", "US$7.50"], [1234.56, 7.5]),
        (["Rs. 1,234", "Rs. 500"], [1234, 500]),
        (["1 234,50 Kč", "7,00 Kč"], [1234.5, 7]),
        (["1 234,5", "9\u00a0876,25"], [1234.5, 9876.25]),
        (["1'234.5", "12'000"], [1234.5, 12000]),
        (["1.5e3", "+2E-2", ".5", "5."], [1500, 0.02, 0.5, 5]),
        ([" 73.5", "104.4 "], [73.5, 104.4]),
        (["-1,265e+00", "2,040e-01"], [-1.265, 0.204]),
        (["1\N{RIGHT SINGLE QUOTATION MARK}234.5", "12.25"], [1234.5, 12.25]),
        (["12,34,567.5", "1,234", "89"], [1234567.5, 1234, 89]),
        (["(1,944.26)", "$(5.00)", "12.5"], [-1944.26, -5, 12.5]),
        (["1.043-", "5 -", "2.5"], [-1.043, -5, 2.5]),
        (["$-5", "-$7", "$ 2"], [-5, -7, 2]),
        (["\N{MINUS SIGN}0.5", "2.25"], [-0.5, 2.25]),
        (["\uff11\uff12\uff0e\uff15", "\uff0d\uff17"], [12.5, -7]),
        (["\u0661\u0662\u066b\u0665", "\u0661\u066c\u0660\u0660\u0660"], [12.5, 1000]),
        (["\u06f1\u06f2", "\u06f7"], [12, 7]),
        (["\u0967\u0968.5", "\u096d"], [12.5, 7]),
        (["1.234", "2.345"], [1.234, 2.345]),
        (["1_234_567", "89"], [1234567, 89]),
        (["'566", "4882", "\N{RIGHT SINGLE QUOTATION MARK}12"], [566, 4882, 12]),
        (["566,-", "12.--"], [566, 12]),
        (["CHF 3\N{ACUTE ACCENT}462.-", "CHF 7.50"], [3462, 7.5]),
        (["eur 5.25", "EUR 7"], [5.25, 7]),
        (["5,000円", "7円"], [5000, 7]),
        (["₫ 5", "₫ 7"], [5, 7]),
        (["12.5\N{FULLWIDTH PERCENT SIGN}", "7%"], [12.5, 7]),
        (["346\N{FIGURE SPACE}200", "7"], [346200, 7]),
        (["๓๔", "๗"], [34, 7]),
        (["1", "2", None, "3"], [1, 2, None, 3]),
        (["(1.171,64) €", "12,50 €"], [-1171.64, 12.5]),
        (["CHF 1\N{RIGHT SINGLE QUOTATION MARK}036.\N{EN DASH}", "CHF 7.50"], [1036, 7.5]),
        (["12,5‰", "7 ‰"], [12.5, 7]),
        (["\N{EN DASH}12.5", "€ \N{EN DASH}7", "3"], [-12.5, -7, 3]),
        (["\N{NON-BREAKING HYPHEN}12.5", "7"], [-12.5, 7]),
        (['="12.5"', '="-7"'], [12.5, -7]),
        (["\N{LEFT-TO-RIGHT MARK}12.5", "7\N{ZERO WIDTH SPACE}"], [12.5, 7]),
    ],
    ids=lambda each: str(each[0]),
)
def test_numbers_in_one_notation_are_read_and_said(values, numbers):
    read = recognised("a", column(*values))
    assert read.notation is not None
    assert read.column.to_pylist() == pytest.approx(numbers)
    assert "the column 'a' holds numbers as text" in read.warnings[0]
    asked, about = pd.Series(values, dtype=object), {"name": "a", "notation": read.as_json()}
    assert logged(asked, about).tolist() == pytest.approx(read.column.to_pandas(), nan_ok=True)


@pytest.mark.parametrize("unit", ["kg", " kg", "d", "°C", " m²", "K", " m2", " euros", "kr/m"])
def test_one_unit_behind_all_numbers_is_left_out_and_said(unit):
    values = [f"{number / 2:.1f}{unit}" for number in range(-10, 10)]
    read = recognised("a", column(*values))
    assert read.column.to_pylist() == [number / 2 for number in range(-10, 10)]
    assert f"without the unit {unit.strip()!r}" in read.warnings[0]
    stated = as_stated("a", column(*values), NumberColumn(type="number"))
    assert stated.column.equals(read.column)
    about = {"name": "a", "notation": read.as_json()}
    assert logged(pd.Series(values), about).tolist() == read.column.to_pylist()


def test_a_unit_before_numbers_is_read_where_the_request_says_that_they_are_numbers():
    values = [f"kg {number / 2:.1f}" for number in range(20)]
    assert "a number stands behind a word, as in 'kg 0.0'" in recognised("a", column(*values)).doubt
    stated = as_stated("a", column(*values), NumberColumn(type="number"))
    assert stated.column.to_pylist() == [number / 2 for number in range(20)]
    about = {"name": "a", "notation": stated.as_json()}
    assert logged(pd.Series(values), about).tolist() == stated.column.to_pylist()


@pytest.mark.parametrize("mark", ["?", "-", ".", " ", "\\N", "missing", "#DIV/0!", "NA", "k.A."])
def test_a_mark_among_numbers_is_missing_and_said(mark):
    read = recognised("hp", column(*MANY, mark, mark))
    assert read.column.null_count == 2
    assert read.column[0].as_py() == 0.0
    assert f"{mark.strip()!r} counts as missing, in 2 of 102 rows" in read.warnings[0]


def test_the_only_word_among_very_many_numbers_is_missing_in_however_many_rows():
    values = [*(f"{row / 4}" for row in range(40)), *["keine Angabe"] * 30]
    read = recognised("a", column(*values))
    assert read.column.null_count == 30
    assert "'keine Angabe' counts as missing, in 30 of 70 rows" in read.warnings[0]
    about = {"name": "a", "notation": read.as_json()}
    assert pd.isna(logged(pd.Series(values[-1:]), about)).all()


@pytest.mark.parametrize(
    ("values", "doubt"),
    [
        (["1,234", "5,678", "12"], "decimal comma or thousands"),
        (["007", "123", "200"], "begins with a zero"),
        (["1234567890123456", "1234567890123457"], "more digits"),
        (["$5", "€7"], "several currencies"),
        (["12%", "0.12"], "per cent"),
        (["<20"] * 20 + MANY, "'<20'"),
        (["A"] + [str(number % 5) for number in range(60)], "'A'"),
        ([f"{number}{'KM'[number % 2]}" for number in range(30)], "several units (K, M)"),
        ([f"{number}\N{VULGAR FRACTION ONE HALF}" for number in range(30)], "within other text"),
        ([f"{number % 24}.{number + 10} Uhr" for number in range(30)], "within other text"),
        (["1,5", "2.5"], "written in several ways, such as '2.5' and '1,5'"),
        (["~12.5", "~7"], "other signs around the numbers, as in '~12.5'"),
        (['="0012"', '="0700"'], "begins with a zero"),
        (["12.5‰", "7"], "some have a per mille sign and others have none"),
        (["n.v."] * 20 + ["entfällt"] * 20 + MANY, "others are not, such as 'n.v.'"),
        ([f"{row + 90}/{row + 50}" for row in range(20)], "two numbers, as in '90/50'"),
        (["19:58", "07:30"], "they are times, as in '19:58'"),
        (["07:58 PM", "11:30 AM"], "they are times"),
        (["'007", "'123"], "begins with a zero"),
        ([f"{row}h {row + 5}m" for row in range(20)], "within other text, as in '0h 5m'"),
        ([f"PT{row}H{row + 5}M" for row in range(20)], "within other text"),
        ([f"{row}'{row % 12}\"" for row in range(20)], "within other text"),
        ([f"{row} {row % 3 + 1}/8" for row in range(20)], "within other text"),
        ([f"{row}.5x10^3" for row in range(20)], "within other text"),
        ([f"{row} e3" for row in range(20)], "within other text"),
        ([f"{row}½" if row % 2 else f"{row}" for row in range(20)], "in several ways, such as"),
        ([f"{row} kg" if row % 2 else f"{row}" for row in range(30)], "in several ways, such as"),
        (["TRUE"] * 20 + [f"{row}.5" for row in range(20)], "in several ways, such as"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_what_cannot_be_told_is_left_as_it_is_with_a_word_and_a_cure(values, doubt):
    given_column = column(*values)
    read = recognised("a", given_column)
    assert read.notation is None
    assert read.column is given_column
    assert doubt in read.warnings[0]
    assert '{"a": {"type": "number", "decimal": ","}}' in read.warnings[0]


@pytest.mark.parametrize(
    "values",
    [
        ["red", "blue", "green"],
        ["Flat 1", "Flat 2"],
        [f"SKU-{number}" for number in range(30)],
        [f"v1.{number}" for number in range(30)],
        [f"{number}-{number + 9}" for number in range(30)],
        ["-", "?", "-"],
        ["1-5", "6-10"],
        ["4G", "5G"],
        [f"{number} {chr(65 + number)}X" for number in range(20)],
        ["10.0.0.1", "192.168.100.200"],
        ["5", "5", "5"],
        [None, None],
        [],
    ],
    ids=str,
)
def test_other_text_is_left_alone_without_a_word(values):
    read = recognised("a", pa.chunked_array([pa.array(values, pa.string())]))
    assert (read.notation, read.warnings) == (None, ())


def test_what_was_written_as_categories_stays_categories():
    kept = column("1", "2", "3").dictionary_encode()
    read = recognised("a", kept)
    assert (read.column, read.warnings) == (kept, ())


@pytest.mark.parametrize("twice", ["--5", "-5-", "(-5)", "-$-5", "+-5"])
def test_a_number_with_two_signs_is_none(twice):
    read = recognised("a", column(*MANY, twice))
    assert read.column.null_count == 1
    assert f"{twice!r} counts as missing" in read.warnings[0]


def test_numbers_at_the_sampled_rows_alone_do_not_make_a_column_of_numbers():
    """The sample has every 20th row; the others are seen when the whole is read."""
    values = [f"{row / 8}" if row % 20 == 0 else "1/2" for row in range(1_999 * 20 + 1)]
    read = recognised("a", pa.chunked_array([values]))
    assert read.notation is None
    assert "such as '1/2'" in read.warnings[0]


@given(
    st.lists(st.integers(-(10**9), 10**9).map(lambda cents: cents / 100), min_size=1),
    st.sampled_from(NOTATIONS),
)
def test_what_is_written_in_a_notation_is_read_back(numbers, notation):
    written = [_written(number, notation) for number in numbers]
    made = converted(pa.chunked_array([written]), notation)
    assert made.column.to_pylist() == pytest.approx(numbers)
    assert not made.marks
    assert not made.others
    spelled = [
        float(re.sub(notation.ignored, "", each).replace(notation.decimal, ".")) for each in written
    ]
    assert spelled == pytest.approx(numbers), "as a logged model reads them"


def _written(number: float, notation: Notation) -> str:
    parts = str.maketrans({",": notation.thousands, ".": notation.decimal})
    return f"{number:,.2f}".translate(parts)


@given(st.dictionaries(st.text(max_size=12).map(str.strip), st.integers(1, 9), max_size=20))
def test_no_text_breaks_the_choice(counts):
    choice = choose(counts)
    assert choice is None or choice.notation is not None or choice.doubt


@given(st.lists(st.none() | st.text(max_size=12), max_size=30))
def test_no_text_breaks_a_column(values):
    read = recognised("a", pa.chunked_array([pa.array(values, pa.string())]))
    assert len(read.column) == len(values)


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["01/01/2020", "13/01/2020"], "the day first"),
        (["01/13/2020", "01/02/2020"], "the month first"),
        (["01/02/2020", "03/04/2020"], "no value tells which"),
        (["13/01/2020", "01/13/2020"], "in others"),
        (["31.12.2024", "1.1.25"], "the day first"),
        (["2020/01/31", "2020-1-1 08:00"], "the year first"),
    ],
)
def test_dates_as_text_are_named_with_their_order(values, order):
    assert order in str(order_of(Counter(values)))
    read = recognised("when", column(*values))
    assert order in read.warnings[0]
    assert "'when'" in read.warnings[0]


@pytest.mark.parametrize("values", [["1/2", "3/4"], ["45/50/2020"], ["red"], []], ids=str)
def test_what_is_no_date_is_none(values):
    assert order_of(Counter(values)) is None


def test_a_stated_column_is_read_as_it_is_stated():
    stated = NumberColumn(type="number", decimal=",", missing=["k.A."])
    read = as_stated("price", column("1,234", "k.A.", "?", "5"), stated)
    assert read.column.to_pylist() == [1.234, None, None, 5]
    assert not read.warnings
    thousands = NumberColumn(type="number", thousands=",")
    assert as_stated("price", column("1,234", "5"), thousands).column.to_pylist() == [1234, 5]


def test_a_stated_column_with_other_text_is_refused_with_the_value_and_the_cure():
    with pytest.raises(InvalidData) as refused:
        as_stated("a/b", column("1.5", "12,5", "12,5"), NumberColumn(type="number"))
    assert refused.value.pointer == "/data/columns/a~1b"
    assert "'12,5' in 2 rows" in refused.value.detail
    assert "missing" in refused.value.detail


def test_a_notation_is_json():
    notation = Notation(",", ".")
    assert json.loads(json.dumps(notation.as_json())) == notation.as_json()
