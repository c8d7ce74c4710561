"""A look at data shows what a training would make of it, and what a person should know before."""

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter
from trainyard.contract import ScoredData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.previewing import preview
from trainyard.datasets.tables import parquet
from trainyard.errors import InvalidData

SPEC = TypeAdapter(ScoredData)
ROWS = 100


def seen(root, **data):
    """The preview, and its columns by name."""
    found = preview(SPEC.validate_python(data), DataAccess((root,), root))
    return found, {each.name: each for each in found.columns}


def odd(root):
    frame = pd.DataFrame(
        {
            "customer": [f"c{n:03}" for n in range(ROWS)],
            "price": [f"{n}.500,25 €" for n in range(1, ROWS + 1)],
            "day": pd.date_range("2026-01-31", periods=ROWS).strftime("%d.%m.%Y"),
            "same": 1,
            "nothing": None,
            "zip": [f"0{1000 + n % 7}" for n in range(ROWS)],
            "active": [n % 2 == 0 for n in range(ROWS)],
            "amount": [np.nan if n % 10 == 0 else n / 2 for n in range(ROWS)],
        }
    )
    frame.to_csv(root / "odd.csv", sep=";", index=False)
    frame.assign(several=[[1]] * ROWS).to_parquet(root / "odd.parquet")


@pytest.mark.parametrize("uri", ["odd.csv", "odd.parquet"])
def test_each_column_has_the_type_that_a_training_would_give_it(tmp_path, uri):
    odd(tmp_path)
    found, columns = seen(tmp_path, source="file", uri=uri)
    types = {name: each.type for name, each in columns.items() if name not in {"zip", "several"}}
    assert types == {
        "customer": "category",
        "price": "number",
        "day": "date",
        "same": "number",
        "nothing": "none",
        "active": "boolean",
        "amount": "number",
    }
    assert (found.kind, found.rows_seen, found.about_rows, found.complete) == (
        "table",
        ROWS,
        ROWS,
        True,
    )
    assert columns["price"].examples[:2] == ["1.500,25 €", "2.500,25 €"]
    assert (columns["amount"].missing, columns["nothing"].missing) == (10, ROWS)


def test_what_a_person_should_know_is_said_of_the_table_and_of_each_column(tmp_path):
    odd(tmp_path)
    found, columns = seen(tmp_path, source="file", uri="odd.csv")
    assert "delimiter ';'" in found.warnings[0]
    assert "begin with a zero" in found.warnings[1]
    told = {name: " ".join(each.warnings) for name, each in columns.items()}
    assert "as identifiers do" in told["customer"]
    assert "is read as numbers with decimal ','" in told["price"]
    assert "nothing can be learnt" in told["same"]
    assert "every value" in told["nothing"]
    assert told["active"] == told["amount"] == ""
    _, columns = seen(tmp_path, source="file", uri="odd.parquet")
    assert (columns["several"].type, columns["several"].examples) == ("none", ["[1]"])
    assert "write what matters of it" in columns["several"].warnings[0]


def test_how_a_column_is_to_be_read_is_heard(tmp_path):
    odd(tmp_path)
    _, columns = seen(
        tmp_path,
        source="file",
        uri="odd.csv",
        categorical=["same"],
        columns={"price": {"type": "category"}},
    )
    assert (columns["same"].type, columns["price"].type) == ("category", "category")


def test_of_a_target_it_is_not_said_that_it_should_be_dropped(tmp_path):
    odd(tmp_path)
    _, columns = seen(tmp_path, source="file", uri="odd.csv", target="customer")
    assert columns["customer"].warnings == []


def test_a_name_that_the_table_does_not_have_is_said_so(tmp_path):
    odd(tmp_path)
    with pytest.raises(InvalidData, match="did you mean 'price'") as refused:
        seen(tmp_path, source="file", uri="odd.csv", target="prise")
    assert refused.value.pointer == "/data/target"


def test_of_the_first_rows_of_more_nothing_is_said_that_only_all_rows_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "SAMPLE_ROWS", ROWS)
    rows = range(10 * ROWS)
    frame = {"id": [f"i{n}" for n in rows], "month": [n // ROWS for n in rows], "y": [0, 1] * 500}
    pd.DataFrame(frame).to_parquet(tmp_path / "long.parquet")
    found, columns = seen(tmp_path, source="file", uri="long.parquet")
    assert (found.rows_seen, found.complete, found.about_rows) == (ROWS, False, 10 * ROWS)
    assert columns["month"].warnings == []
    (said,) = columns["id"].warnings
    assert said.startswith("in the first rows all 100 values of the column 'id' differ")


def test_of_a_wide_table_the_first_columns_are_shown_and_the_others_counted(tmp_path):
    pd.DataFrame(np.zeros((3, 250)), columns=[f"c{n}" for n in range(250)]).to_parquet(
        tmp_path / "wide.parquet"
    )
    found, columns = seen(tmp_path, source="file", uri="wide.parquet")
    assert (len(columns), found.more_columns) == (200, 50)


def test_builtin_tables_are_shown_and_images_have_no_columns(tmp_path):
    found, columns = seen(tmp_path, source="builtin", name="iris")
    assert (len(columns), found.about_rows) == (5, 150)
    assert seen(tmp_path, source="builtin", name="mnist")[0].kind == "images"
    with pytest.raises(InvalidData, match="did you mean 'iris'"):
        seen(tmp_path, source="builtin", name="irsi")
