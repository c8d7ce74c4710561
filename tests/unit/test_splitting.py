"""Rows divided by a key: what must hold of any values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit
from trainyard.contract import Split
from trainyard.datasets.splitting import Key, described, divided, profile
from trainyard.datasets.splitting.by_column import PARTS, TEST
from trainyard.errors import InvalidData

SHARES = st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.45])


def key(values, *, test_rows=0) -> Key:
    return Key("when", np.asarray(values), lambda each: each.item(), test_rows)


def split(by, test_size=0.2, validation_size=0.1, seed=42) -> Split:
    return Split(
        by=by, column="when", test_size=test_size, validation_size=validation_size, seed=seed
    )


def check_every_row_is_in_one_part(found, rows: int) -> None:
    everywhere = np.concatenate(list(found.parts.values()))
    assert sorted(everywhere.tolist()) == list(range(rows))
    assert all(len(part) for part in found.parts.values())


def nearest(times: np.ndarray, *, wanted: float, first: int, end: int) -> float:
    """How near any boundary before one of these times comes to `wanted` rows before it."""
    before = [int((times < time).sum()) for time in np.unique(times)[first:end]]
    return min(abs(each - wanted) for each in before)


@given(
    times=st.lists(st.integers(0, 30), min_size=1, max_size=80),
    test_size=SHARES,
    validation_size=st.one_of(st.just(0.0), SHARES),
)
def test_no_row_of_the_future_trains_and_shares_are_as_near_as_ties_allow(
    times, test_size, validation_size
):
    values = np.array(times)
    rule = split("time", test_size, validation_size)
    with_validation = int(validation_size > 0)
    if len(set(times)) < 2 + with_validation:
        with pytest.raises(InvalidData, match=r"distinct time\(s\), and"):
            divided(key(values), rule)
        return
    found = divided(key(values), rule)
    check_every_row_is_in_one_part(found, len(values))
    newest = -1
    for rows in found.parts.values():
        assert values[rows].min() > newest
        newest = values[rows].max()

    count, distinct = len(values), len(set(times))
    before_test = count - len(found.test)
    wanted = count * (1 - test_size)
    best = nearest(values, wanted=wanted, first=1 + with_validation, end=distinct)
    assert abs(before_test - wanted) == pytest.approx(best)
    if with_validation:
        own = values[values < values[found.test].min()]
        wanted = before_test - count * validation_size
        best = nearest(own, wanted=wanted, first=1, end=len(set(own.tolist())))
        assert abs(len(found.train) - wanted) == pytest.approx(best)


def test_where_two_boundaries_are_as_near_the_newer_part_has_the_tie():
    found = divided(key([1, 1, 1, 1, 2, 2, 3, 3]), split("time", 0.375, 0.0))
    assert found.test.tolist() == [4, 5, 6, 7]


def test_rows_keep_the_order_of_the_table_within_a_part():
    found = divided(key([5, 1, 4, 2, 3]), split("time", 0.4, 0.2))
    assert [rows.tolist() for rows in found.parts.values()] == [[1, 3], [4], [0, 2]]


def test_the_rows_of_a_test_table_must_be_newer_than_all_others():
    rule = split("time")
    found = divided(key([1, 2, 3, 4], test_rows=1), rule)
    assert (found.train.tolist(), found.validation.tolist(), found.test) == ([0, 1], [2], None)
    with pytest.raises(
        InvalidData, match="begins at 3 of 'when', and the training table ends at 3"
    ) as caught:
        divided(key([1, 2, 3, 3], test_rows=1), rule)
    assert caught.value.pointer == "/data/test_uri"


@given(
    repeated=st.lists(st.integers(0, 11), max_size=60),
    test_size=SHARES,
    validation_size=st.one_of(st.just(0.0), SHARES),
    seed=st.integers(0, 5),
)
def test_no_group_is_on_two_sides(repeated, test_size, validation_size, seed):
    values = np.array([*range(12), *repeated])
    found = divided(key(values), split("group", test_size, validation_size, seed))
    check_every_row_is_in_one_part(found, len(values))
    parts = [set(values[rows].tolist()) for rows in found.parts.values()]
    assert sum(map(len, parts)) == 12


def test_fewer_groups_than_parts_are_refused():
    with pytest.raises(InvalidData, match=r"1 group\(s\) of 'when' cannot be divided") as caught:
        divided(key([1, 1, 2, 2]), split("group"))
    assert caught.value.pointer == "/split/column"


def test_groups_are_divided_as_two_calls_of_group_shuffle_split_divide_them():
    groups = np.random.default_rng(0).integers(0, 40, 300)
    rows = np.arange(300)
    rest, test = next(
        GroupShuffleSplit(1, test_size=0.25, random_state=7).split(rows, groups=groups)
    )
    again = GroupShuffleSplit(1, test_size=0.2 / 0.75, random_state=7)
    train, validation = (rest[each] for each in next(again.split(rest, groups=groups[rest])))
    found = divided(key(groups), split("group", 0.25, 0.2, seed=7))
    for part, plain in zip(found.parts.values(), (train, validation, test), strict=True):
        assert part.tolist() == plain.tolist()


def test_a_group_of_both_tables_is_refused():
    with pytest.raises(InvalidData, match=r"1 group\(s\) of 'when', such as 3,") as caught:
        divided(key([1, 2, 3, 3, 4], test_rows=2), split("group"))
    assert caught.value.pointer == "/data/test_uri"


@given(words=st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_the_table_says_which_rows_are_which(words):
    values = np.array(words)
    rule = Split(by="column", column="when")
    if not {0, TEST} <= set(words):
        with pytest.raises(InvalidData, match=r"no row of 'when' is '(train|test)'"):
            divided(key(values), rule)
        return
    found = divided(key(values), rule)
    check_every_row_is_in_one_part(found, len(values))
    for part, rows in found.parts.items():
        assert {PARTS[each] for each in values[rows]} == {part}


def test_only_one_of_two_tables_may_have_the_test_rows():
    rule = Split(by="column", column="when")
    assert divided(key([0, 1, TEST], test_rows=1), rule).test is None
    with pytest.raises(InvalidData, match=r"1 row\(s\) of 'when' are 'test'"):
        divided(key([0, 1, TEST, TEST], test_rows=1), rule)


def test_a_profile_says_the_boundaries_of_each_part():
    by_time = split("time", 0.4, 0.2)
    assert profile(key([5, 1, 4, 2, 3]), by_time, divided(key([5, 1, 4, 2, 3]), by_time)) == {
        "by": "time",
        "column": "when",
        "train_from": 1,
        "train_until": 2,
        "validation_from": 3,
        "validation_until": 3,
        "test_from": 4,
        "test_until": 5,
    }


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("2024-04-01", "2024-06-30"), "the newest rows, 2024-04-01 to 2024-06-30"),
        (("2024-04-01T00:00:00", "2024-06-30T00:00:00"), "2024-04-01 to 2024-06-30"),
        (
            ("2024-04-01T00:00:00", "2024-06-30T08:30:00"),
            "2024-04-01 00:00:00 to 2024-06-30 08:30:00",
        ),
        (
            ("2024-04-01T07:00:00+00:00", "2024-06-30T08:30:00.5+00:00"),
            "2024-04-01 07:00:00 UTC to 2024-06-30 08:30:00.5 UTC",
        ),
        (("2024-04-01", "2024-04-01"), "the newest rows, all of 2024-04-01"),
        ((30001, 40000), "the newest rows, 'when' from 30001 to 40000"),
    ],
)
def test_a_division_by_time_is_said_in_words(said, words):
    divided_by = {"by": "time", "column": "when", "test_from": said[0], "test_until": said[1]}
    assert (
        described(divided_by)
        == f"tested on the newest rows, {words.removeprefix('the newest rows, ')}"
    )


def test_the_other_divisions_are_said_in_words():
    groups = {"by": "group", "column": "customer", "groups": {"train": 7, "test": 1200}}
    assert described(groups) == "tested on 1,200 group(s) of 'customer' of which no row trained"
    rows = {"by": "column", "column": "set", "rows": {"train": 9, "test": 3}}
    assert (
        described(rows)
        == "tested on 3 row(s) that were set apart; the column 'set' says which trained"
    )
    with pytest.raises(ValueError, match="'dice' is not one of"):
        described({"by": "dice", "column": "c"})
