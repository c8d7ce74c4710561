"""What a logged model makes of the values it is asked about, in the code of both kinds of model."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trainyard.datasets.tables.recognition.notation import Notation

ROOT = Path(__file__).resolve().parents[2]
CODES = [
    ROOT / "common/trainyard/networks/scoring.py",
    ROOT / "services/boosting/trainyard_boosting/_scoring.py",
]


@pytest.fixture(params=CODES, ids=lambda path: path.name)
def scoring(request):
    spec = importlib.util.spec_from_file_location("scoring_of_a_model", request.param)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def test_text_is_read_as_training_read_it_and_numbers_as_they_are(scoring, notation, raw, numbers):
    read = scoring._read(pd.Series(raw), column(notation, "k.A."))
    assert read.to_numpy() == pytest.approx(np.array(numbers, dtype=np.float64), nan_ok=True)


@pytest.mark.parametrize(
    ("notation", "raw"), [(None, "abc"), (None, "1,5"), (Notation(","), "0.126"), (Notation(), "x")]
)
def test_text_where_a_number_is_due_is_refused_with_column_and_value(scoring, notation, raw):
    with pytest.raises(ValueError, match=f"the column 'a' is '{raw}', where a number is due"):
        scoring._read(pd.Series(["1", raw]), column(notation))


@pytest.mark.parametrize("categories", [[1, 3], ["1", "3"], [1.0, 3.0]], ids=str)
def test_a_number_is_one_category_however_it_is_spelled(scoring, categories):
    values = pd.Series([3, 3.0, "3", "3.0", 1, 2, None, "003"], dtype=object)
    assert scoring._codes(values, categories).tolist() == [1, 1, 1, 1, 0, -1, -1, -1]


def test_categories_that_are_written_alike_are_told_apart(scoring):
    values = pd.Series(["7", "007", "7.0", "true", True, "True"], dtype=object)
    assert scoring._codes(values, ["007", "7", "True"]).tolist() == [1, 0, 1, 2, 2, 2]
    assert scoring._codes(pd.Series(["7", "7.0", 7.0]), ["7", "7.0"]).tolist() == [0, 1, 1]


def test_rows_with_none_of_the_columns_are_refused_with_their_names(scoring):
    with pytest.raises(ValueError, match=r"none of the model's columns.*: 'a'"):
        scoring._check_columns(pd.DataFrame({0: [1.0]}), [column()])
    scoring._check_columns(pd.DataFrame({"a": [1.0], "more": [2]}), [column(), {"name": "b"}])
