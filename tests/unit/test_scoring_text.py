"""What a logged model makes of the values it is asked about, by the file that each carries with it."""

import numpy as np
import pandas as pd
import pytest
from trainyard import raw_columns
from trainyard.datasets.tables.recognition.notation import Notation


def column(notation: Notation | None = None, *missing: str) -> dict:
    """As a model's preprocessing.json describes it."""
    written = None if notation is None else notation.as_json() | {"missing": list(missing)}
    return {"name": "a", "notation": written}


@pytest.mark.parametrize(
    ("notation", "raw", "numbers"),
    [
        (
            Notation(",", "."),
            ["1.234,5", "-0,126", "?", "k.A.", None, 7.5],
            [1234.5, -0.126, None, None, None, 7.5],
        ),
        (Notation(".", ","), ["$280,116", " 5 ", "12%"], [280116, 5, 12]),
        (Notation(), [1, 2.5, None], [1, 2.5, None]),
        (Notation(","), pd.Categorical(["0,5", "1,5"]), [0.5, 1.5]),
        (None, ["1.5", " 2 ", 3, "", "NA", None], [1.5, 2, 3, None, None, None]),
        (None, [True, "True", "true", 1, "false"], [1, 1, 1, 1, 0]),
        (None, pd.array([1, None], "Int64"), [1, None]),
        (None, pd.array(["1", None], "string"), [1, None]),
        (None, [None, None], [None, None]),
    ],
    ids=[
        "decimal comma",
        "dollars",
        "numbers",
        "categories",
        "text of JSON",
        "true and false",
        "nullable",
        "strings",
        "missing",
    ],
)
def test_text_is_read_as_training_read_it_and_numbers_as_they_are(notation, raw, numbers):
    read = raw_columns.numbers(pd.Series(raw), column(notation, "k.A."))
    assert read == pytest.approx(np.array(numbers, dtype=np.float64), nan_ok=True)


@pytest.mark.parametrize(
    ("notation", "raw"), [(None, "abc"), (None, "1,5"), (Notation(","), "0.126"), (Notation(), "x")]
)
def test_text_where_a_number_is_due_is_refused_with_column_and_value(notation, raw):
    with pytest.raises(ValueError, match=f"the column 'a' is '{raw}', where a number is due"):
        raw_columns.numbers(pd.Series(["1", raw]), column(notation))


@pytest.mark.parametrize("categories", [[1, 3], ["1", "3"], [1.0, 3.0]], ids=str)
def test_a_number_is_one_category_however_it_is_spelled(categories):
    values = pd.Series([3, 3.0, "3", "3.0", 1, 2, None], dtype=object)
    assert raw_columns.codes(values, categories).tolist() == [1, 1, 1, 1, 0, -1, -1]


@pytest.mark.parametrize("categories", [[0, 1067, 4109], [0.0, 1067.0, 4109.0]], ids=str)
def test_codes_that_training_read_as_numbers_may_come_with_their_zeros(categories):
    values = pd.Series(["01067", "04109", "1067", 1067, "00", "001067", "0x1", "01068", "-01067"])
    assert raw_columns.codes(values, categories).tolist() == [1, 2, 1, 1, 0, 1, -1, -1, -1]
    text = [str(each) for each in categories]
    assert raw_columns.codes(values[[0, 4]], text).tolist() == [-1, -1]
    assert raw_columns.codes(pd.Series(["01", "1"]), [False, True]).tolist() == [-1, 1]


def test_categories_that_are_written_alike_are_told_apart():
    values = pd.Series(["7", "007", "7.0", "true", True, "True"], dtype=object)
    assert raw_columns.codes(values, ["007", "7", "True"]).tolist() == [1, 0, 1, 2, 2, 2]
    assert raw_columns.codes(pd.Series(["7", "7.0", 7.0]), ["7", "7.0"]).tolist() == [0, 1, 1]


def test_rows_with_none_of_the_columns_are_refused_with_their_names():
    with pytest.raises(ValueError, match=r"none of the model's columns.*: 'a'"):
        raw_columns.check_columns(pd.DataFrame({0: [1.0]}), [column()])
    optional = [column(), {"name": "b", "optional": True}]
    raw_columns.check_columns(pd.DataFrame({"a": [1.0], "more": [2]}), optional)


def test_a_column_that_is_not_there_is_named_unless_training_rows_lacked_it_too():
    with pytest.raises(ValueError, match="the rows lack 'b'"):
        raw_columns.check_columns(pd.DataFrame({"a": [1.0], "B": [2]}), [column(), {"name": "b"}])
