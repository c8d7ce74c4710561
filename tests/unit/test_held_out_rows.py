"""A run's test rows as another model is to see them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from mlflow.types import ColSpec, Schema
from trainyard.contract import Split, Task, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.datasets.tables import raw, room, streams
from trainyard.datasets.tables.raw import KeptTable
from trainyard.registry.recorded import DIGEST_TAG, SPLIT_TAG
from trainyard.worker.champion import CannotScore
from trainyard.worker.held_out_rows import HeldOutRows

COLUMNS = ("dept", "x")


@pytest.mark.parametrize("by", ["random", "group"])
def test_a_csv_is_read_as_the_model_was_trained_once_for_all_that_were_trained_alike(
    tmp_path: Path, by: str
) -> None:
    """Also what the rows are divided by, which divides them as it did in the run."""
    rng = np.random.default_rng(0)
    table: dict[str, Any] = {"dept": [f"{each:02}" for each in rng.integers(1, 20, 400)]}
    table |= {"x": rng.normal(size=400), "y": rng.integers(0, 2, 400)}
    pd.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    split = {} if by == "random" else {"by": "group", "column": "dept"}
    body = {"model": "m", "data": {"source": "file", "uri": "t.csv", "target": "y"}, "split": split}
    request = TrainRequest.model_validate(body)
    data = load(request.data, Split.model_validate(split), task=Task.CLASSIFICATION, access=access)
    rows = HeldOutRows(request, data, access, KeptTable())
    words = [
        ({"name": "dept", "categories": categories}, {"name": "x"})
        for categories in (["01", "2A"], ["01", "02", "3B"])
    ]
    read = rows.x(COLUMNS, words[0])
    assert set(read["dept"].map(type)) == {str}
    np.testing.assert_array_equal(read["x"], data.test.x["x"])
    assert rows.x(COLUMNS, words[1]) is read
    assert set(rows.x(COLUMNS)["dept"].map(type)) == {int}


KINDS = {
    "number": [1.5, None, 3, 4],
    "whole": [1, 2, 3, 4],
    "price": ["1.234,50 €", "5,00 €", "7,10 €", ""],
    "word": ["a", "b", None, "d"],
    "code": ["2A", "01", "02", "03"],
    "day": ["2024-01-31", "2024-02-01", "2024-02-02", "2024-03-01"],
    "truth": ["true", "false", "", "true"],
}


def untidy(folder: Path, kind: str, **asked: Any) -> tuple[TrainRequest, DataAccess]:
    """A request for a table with a column of each kind, and a target."""
    table = pd.DataFrame({name: values * 25 for name, values in KINDS.items()})
    table["y"] = np.arange(100) % 2
    uri = f"t.{kind}"
    if kind == "csv":
        table.to_csv(folder / uri, index=False)
    else:
        table.to_parquet(folder / uri)
    data = {"source": "file", "uri": uri, "target": "y"} | asked.pop("data", {})
    request = TrainRequest.model_validate({"model": "m", "data": data, **asked})
    return request, DataAccess(roots=(folder,), data_dir=folder)


def both(request: TrainRequest, access: DataAccess) -> tuple[HeldOutRows, HeldOutRows]:
    """The rows as the run has read them, and as they are read again."""
    kept = KeptTable()
    data = load(request.data, request.split, task=Task.CLASSIFICATION, access=access, keep=kept)
    again = HeldOutRows(request, data, access, KeptTable())
    return HeldOutRows(request, data, access, kept), again


TRAINED = [{"name": name} for name in KINDS] + [{"name": "code", "categories": ["2A", "01"]}]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("split", [{}, {"by": "time", "column": "day"}], ids=["random", "time"])
def test_a_small_table_is_read_once_and_its_rows_are_as_if_they_were_read_again(
    tmp_path: Path, kind: str, split: dict[str, str]
) -> None:
    request, access = untidy(tmp_path, kind, split=split)
    once, again = both(request, access)
    needed = tuple(name for name in KINDS if name != split.get("column"))
    expected = again.x(needed, TRAINED)
    (tmp_path / f"t.{kind}").unlink()
    pd.testing.assert_frame_equal(once.x(needed, TRAINED), expected)
    assert once.table is not None
    assert again.table is not None
    for name in ("y", "rows", "all_y"):
        np.testing.assert_array_equal(getattr(once.table, name), getattr(again.table, name))
    assert once.table.classes == again.table.classes
    assert (once.table.key is None) is (again.table.key is None) is (not split)


@pytest.mark.parametrize(
    ("asked", "trained"),
    [
        ({"drop": ["whole"]}, TRAINED),
        ({"columns": {"whole": {"type": "category"}}}, TRAINED),
        ({"categorical": ["whole"]}, TRAINED),
        ({}, [{"name": "whole", "categories": ["1", "2B"]}]),
    ],
    ids=["left out", "typed", "a category", "text where the model was trained"],
)
def test_a_table_that_was_read_otherwise_is_read_again(
    tmp_path: Path, asked: dict[str, Any], trained: list[dict[str, Any]]
) -> None:
    once, again = both(*untidy(tmp_path, "csv", data=asked))
    expected = again.x(tuple(KINDS), trained)
    pd.testing.assert_frame_equal(once.x(tuple(KINDS), trained), expected)
    (tmp_path / "t.csv").unlink()
    with pytest.raises(CannotScore):
        once.x(("whole",), trained)


def test_a_large_table_is_not_kept_and_what_was_kept_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, access = untidy(tmp_path, "csv")
    once, _ = both(request, access)
    once.forget()
    monkeypatch.setattr(raw, "MOST_KEPT_BYTES", 1000)
    large, _ = both(request, access)
    (tmp_path / "t.csv").unlink()
    for rows in (once, large):
        with pytest.raises(CannotScore):
            rows.x(("number",))


class Model:
    """An MLflow model of one number a row: what the column `number` holds."""

    class metadata:  # noqa: N801 - as MLflow calls it
        flavors: ClassVar[dict[str, Any]] = {}

        @staticmethod
        def get_input_schema() -> Schema:
            return Schema([ColSpec("double", "number")])

        @staticmethod
        def get_params_schema() -> None:
            return None

    @staticmethod
    def predict(x: pd.DataFrame, params: Any = None) -> Any:
        del params
        return x["number"].to_numpy()


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, TrainRequest, DataAccess]:
    """A table that does not fit in the memory that there is."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"number": rng.normal(size=12_000), "other": 0.5, "more": 1.5, "w": 1.0})
    table["when"] = np.arange(12_000)
    table["y"] = table["number"] + rng.normal(size=12_000)
    table.to_parquet(tmp_path / "large.parquet")
    data = {"source": "file", "uri": "large.parquet", "target": "y"}
    request = TrainRequest.model_validate({"model": "m", "data": data})
    return tmp_path, request, DataAccess(roots=(tmp_path,), data_dir=tmp_path)


def beyond(request: TrainRequest, access: DataAccess) -> tuple[HeldOutRows, Any]:
    kept = KeptTable()
    data = load(
        request.data,
        request.split,
        task=Task.REGRESSION,
        access=replace(access, memory_mb=1),
        needs_whole=None,
        keep=kept,
    )
    return HeldOutRows(request, data, access, kept), data


def test_a_table_beyond_memory_is_read_again_some_rows_at_a_time(
    large: tuple[Path, TrainRequest, DataAccess], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, request, access = large
    monkeypatch.setattr(room, "BYTES_A_ROW_DIVIDED", 0)
    monkeypatch.setattr(streams, "ROWS_AT_ONCE", 1000)
    rows, data = beyond(request, access)
    assert data.beyond_memory
    assert not (np.diff(rows._kept.rows) > 0).all(), "the rows of a run are in another order"
    np.testing.assert_array_equal(rows.predicted_by(Model, None), data.test.x["number"])


@pytest.mark.parametrize("by", ["random", "time"])
def test_what_a_champion_has_seen_of_a_table_beyond_memory_is_told_as_of_one_in_memory(
    large: tuple[Path, TrainRequest, DataAccess], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    _, request, access = large
    monkeypatch.setattr(room, "BYTES_A_ROW_DIVIDED", 0)
    if by == "time":
        split = Split(by="time", column="when")
        request = request.model_copy(update={"split": split})
    rows, data = beyond(request, access)
    assert data.beyond_memory
    kept = KeptTable()
    whole = load(request.data, request.split, task=Task.REGRESSION, access=access, keep=kept)
    in_memory = HeldOutRows(request, whole, access, kept)
    tags = {DIGEST_TAG: data.digest, SPLIT_TAG: Split(seed=7).model_dump_json()}
    profile = {}
    if by == "time":
        tags[DIGEST_TAG] = "of an earlier table"
        profile = {"split": data.profile["split"] | {"validation_until": 10_999}}
    found = []
    for each in (rows, in_memory):
        each.predicted_by(Model, None)
        found.append(each.seen_by(tags, profile))
    elsewhere = beyond(request, access)[0], HeldOutRows(request, whole, access, kept)
    found += [each.seen_by(tags, profile) for each in elsewhere]
    assert len(set(found)) == 1, "a champion that another service was asked about has left no table"
    assert 0 < found[0] < len(data.test)


def test_a_table_that_is_gone_does_not_tell_what_a_champion_has_seen(
    large: tuple[Path, TrainRequest, DataAccess],
) -> None:
    folder, request, access = large
    kept = KeptTable()
    data = load(request.data, request.split, task=Task.REGRESSION, access=access, keep=kept)
    (folder / "large.parquet").unlink()
    rows = HeldOutRows(request, data, access, kept)
    own = {DIGEST_TAG: data.digest, SPLIT_TAG: request.split.model_dump_json()}
    assert rows.seen_by(own, {}) == 0
    assert rows.seen_by(own | {SPLIT_TAG: Split(seed=7).model_dump_json()}, {}) is None


def test_a_table_beyond_memory_that_has_changed_or_was_divided_otherwise_is_not_compared(
    large: tuple[Path, TrainRequest, DataAccess], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, request, access = large
    monkeypatch.setattr(room, "BYTES_A_ROW_DIVIDED", 0)
    rows, _ = beyond(request, access)
    table = pd.read_parquet(folder / "large.parquet")
    table.sample(frac=1, random_state=0).to_parquet(folder / "large.parquet")
    with pytest.raises(CannotScore, match="has changed"):
        rows.predicted_by(Model, None)
    weighed = request.data.model_copy(update={"weight": "number"})
    table.assign(number=1.0).to_parquet(folder / "large.parquet")
    rows, _ = beyond(request.model_copy(update={"data": weighed}), access)
    with pytest.raises(CannotScore, match="'number', which is the weight of this run"):
        rows.predicted_by(Model, None)
