"""What a table of thousands of columns leaves behind stays small and readable."""

import json

import numpy as np
from trainyard.datasets.profile import MOST_SKETCHED, profile
from trainyard.datasets.sketches import number_sketch
from trainyard.drift.comparison import compare
from trainyard.worker.logged_params import LONGEST_PARAM, bounded_param


def sketches(count: int, first: int = 0) -> dict:
    one = number_sketch([np.arange(5.0)])
    return {f"gene_{at}": one for at in range(first, first + count)}


def described(count: int, first: int = 0) -> dict:
    y = np.array([0, 1, 0, 1])
    names = sketches(count, first)
    return profile(
        y, (0, 1), columns=dict.fromkeys(names, "float64"), sizes={"train": 4}, sketches=names
    )


def test_the_sketches_of_the_first_columns_are_kept_and_the_others_counted() -> None:
    found = described(MOST_SKETCHED + 7)["sketches"]
    assert len(found["columns"]) == MOST_SKETCHED
    assert found["left_out"] == 7
    assert "left_out" not in described(MOST_SKETCHED)["sketches"]


def test_a_column_whose_sketch_was_left_out_is_neither_gone_nor_new() -> None:
    mine = described(MOST_SKETCHED + 10, first=0)["sketches"]
    holders = described(MOST_SKETCHED + 10, first=5)["sketches"]
    drift = compare(mine, holders)
    assert drift.gone == drift.new == ()
    assert compare(described(5)["sketches"], described(5, first=1)["sketches"]).gone == ("gene_5",)


def test_constraints_of_5000_columns_are_a_param_that_mlflow_takes_whole() -> None:
    text = bounded_param({f"gene_{at}": 1 for at in range(5_000)})
    assert len(text) <= LONGEST_PARAM
    assert text.startswith("{'gene_0': 1, 'gene_1': 1, ")
    kept = text.count("gene_")
    assert text.endswith(f": 1, … and {5_000 - kept:,} more}}")


def test_a_short_param_is_as_it_was() -> None:
    assert bounded_param({"a": 1}) == "{'a': 1}"
    assert bounded_param([1, 2]) == "[1, 2]"
    assert bounded_param(None) == "None"
    assert len(bounded_param("x" * 10_000)) == LONGEST_PARAM
    assert bounded_param(list(range(5_000))).endswith(" more]")


def test_a_profile_of_60_000_columns_is_a_few_megabytes() -> None:
    assert len(json.dumps(described(60_000))) < 6e6
