"""The profile that MLflow shows of a data set: bounded, and JSON however long it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mlflow")

from trainyard.worker.logged_dataset import LONGEST_PROFILE, bounded_profile


def test_a_profile_that_fits_is_whole() -> None:
    profile = {"rows": 3, "columns": {"a": "int64"}, "classes": {"no": 1, "yes": 2}}
    assert json.loads(bounded_profile(profile)) == profile


def test_sketches_are_left_to_the_artifact() -> None:
    profile = {"rows": 3, "columns": {"a": "int64"}}
    sketches = {"columns": {"a": {"values": [1.0]}}, "target": {}}
    assert bounded_profile({**profile, "sketches": sketches}) == bounded_profile(profile)


def test_of_ten_thousand_columns_the_first_are_shown_and_the_others_counted() -> None:
    columns = {f"column {number}": "float64" for number in range(10_000)}
    text = bounded_profile({"rows": 3, "columns": columns})
    shown = json.loads(text)
    assert LONGEST_PROFILE * 0.95 < len(text) <= LONGEST_PROFILE
    assert len(shown["columns"]) + shown["columns_left_out"] == 10_000
    assert list(shown["columns"]) == list(columns)[: len(shown["columns"])]
    assert shown["rows"] == 3


@given(
    columns=st.dictionaries(st.text(max_size=30), st.sampled_from(["float64", "é"]), max_size=40),
    classes=st.dictionaries(st.text(max_size=30), st.integers(), max_size=40),
    limit=st.integers(100, 600),
)
def test_whatever_is_left_out_the_rest_is_json_within_the_limit(
    columns: dict[str, str], classes: dict[str, int], limit: int
) -> None:
    profile = {"rows": 3, "classes": classes, "columns": columns}
    text = bounded_profile(profile, limit)
    assert len(text) <= limit
    shown = json.loads(text)
    for name, entries in (("columns", columns), ("classes", classes)):
        assert len(shown[name]) + shown.get(f"{name}_left_out", 0) == len(entries)
    assert text == bounded_profile(profile, len(text)) or len(json.dumps(profile)) > limit
