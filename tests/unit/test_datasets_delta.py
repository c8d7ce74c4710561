"""Delta tables: the rows of one version, and nothing of the others."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pydantic import ValidationError
from trainyard.contract import (
    Condition,
    DeltaData,
    FileData,
    ScoredDeltaData,
    ScoredFileData,
    ScoreRequest,
    Split,
    Task,
    at_version,
)
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.listing import listing
from trainyard.datasets.scoring.tables import Wanted, rows_of_table
from trainyard.datasets.tables import delta
from trainyard.datasets.tables.head import column_names
from trainyard.datasets.tables.queries import data_roots
from trainyard.errors import InvalidData
from trainyard.worker.logged_dataset import dataset_input

ROWS = 60
SPEC = DeltaData(source="delta", uri="sales", target="y")


def rows(start: int, count: int = ROWS, **columns: Any) -> pa.Table:
    numbers = range(start, start + count)
    regions = ["north" if number % 3 else "south" for number in numbers]
    return pa.table(
        {
            "row": pa.array(numbers, pa.int64()),
            "region": regions,
            "y": [number % 2 for number in numbers],
            **columns,
        }
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows 0 to 59; then 60 to 119 with a column more; then without the rows below 30."""
    path = tmp_path_factory.mktemp("roots")
    table = path / "sales"
    write_deltalake(table, rows(0), partition_by=["region"])
    wider = rows(ROWS, late=pa.array([0.5 * each for each in range(ROWS)]))
    write_deltalake(table, wider, mode="append", schema_mode="merge")
    DeltaTable(table).delete("row < 30")
    return path


def looked_at(root: Path, spec: FileData) -> Any:
    """The version that counts, as the look at submit finds it."""
    access, split = DataAccess((root,), root), Split()
    return loading.inspect(
        spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=split
    )


def load(root: Path, spec: FileData) -> Any:
    """The data as it is trained on; the look at submit must accept it too."""
    looked_at(root, spec)
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=DataAccess((root,), root))


def read(root: Path, spec: FileData) -> dict[int, dict[str, Any]]:
    data = load(root, spec)
    return {
        row["row"]: row
        for part in (data.train, data.validation, data.test)
        for row in part.x.to_dict("records")
    }


def changed(**changes: Any) -> DeltaData:
    return SPEC.model_copy(update=changes)


@pytest.mark.parametrize(
    ("version", "expected"),
    [(0, range(60)), (1, range(120)), (2, range(30, 120)), (None, range(30, 120))],
)
def test_a_version_has_its_own_rows_and_no_deleted_ones(root, version, expected):
    found = read(root, changed(version=version))
    assert sorted(found) == list(expected)
    assert {each: row["region"] for each, row in found.items()} == {
        each: "north" if each % 3 else "south" for each in expected
    }


def test_a_table_that_deltalake_has_updated_is_filtered_by_its_text(tmp_path):
    """Which rewrites files with views of their text."""
    write_deltalake(tmp_path / "sales", rows(0, name=["b" if n % 4 else "a" for n in range(ROWS)]))
    DeltaTable(tmp_path / "sales").update(predicate="name = 'a'", updates={"region": "'west'"})
    write_deltalake(tmp_path / "sales", rows(ROWS, name=["a"] * ROWS), mode="append")
    kinds = [pq.read_schema(each).field("name").type for each in tmp_path.rglob("*.parquet")]
    assert any(map(pa.types.is_string_view, kinds))
    wanted = [each for each in range(2 * ROWS) if each >= ROWS or each % 4 == 0]
    for op, value in (("==", "a"), ("in", ["a", "c"]), ("<", "b")):
        spec = changed(filter=[Condition(column="name", op=op, value=value)])
        assert sorted(read(tmp_path, spec)) == wanted
    access = DataAccess((tmp_path,), tmp_path)
    query = "SELECT row FROM sales WHERE name = 'a' AND region <> 'south'"
    with data_roots.asked(query, access, seconds=60) as answer:
        found = [row for batch in answer.batches for row in batch["row"].to_pylist()]
    assert sorted(found) == [each for each in wanted if each < ROWS or each % 3]


def test_a_column_that_was_added_is_missing_in_earlier_rows_and_not_there_in_earlier_versions(root):
    found = read(root, SPEC)
    assert found[60 + 9]["late"] == 4.5
    assert found[45]["late"] != found[45]["late"]
    assert "late" not in read(root, changed(version=0))[45]


def test_the_same_rows_are_in_the_same_order_each_time(root):
    once, again = load(root, changed(version=2)), load(root, SPEC)
    assert once.digest == again.digest
    assert list(once.test.x["row"]) == list(again.test.x["row"])


def test_a_folder_with_a_log_is_read_as_delta_whatever_the_request_calls_it(root):
    found = read(root, FileData(source="file", uri="sales", target="y"))
    assert sorted(found) == list(range(30, 120))


def test_the_version_is_in_the_profile_and_in_what_mlflow_calls_the_data_set(root):
    data = load(root, changed(version=1))
    assert data.profile["delta"] == {"version": 1}
    dataset = dataset_input(data).dataset
    assert (dataset.name, dataset.digest) == ("sales", "delta version 1")
    assert json.loads(dataset.source) == {"uri": "sales", "version": 1}


def test_a_time_means_the_version_that_was_the_newest_then(root):
    commits = {each["version"]: each["timestamp"] for each in DeltaTable(root / "sales").history()}
    for version, milliseconds in commits.items():
        at = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
        asked = changed(timestamp=at)
        spec = at_version(asked, looked_at(root, asked))
        assert (spec.version, spec.timestamp) == (version, None)
    with pytest.raises(InvalidData, match=r"had no version at 2001-01-01.*the first .* is of 20"):
        read(root, changed(timestamp="2001-01-01T00:00:00Z"))


def test_what_is_pinned_stays_what_it_was_otherwise(root):
    asked = FileData(source="file", uri="sales", target="y", drop=["late"], weight="row")
    spec = at_version(asked, looked_at(root, asked))
    assert spec == DeltaData(
        source="delta", uri="sales", target="y", drop=["late"], weight="row", version=2
    )
    assert at_version(spec, looked_at(root, spec)) == spec
    scored = ScoredFileData(source="file", uri="sales")
    version, names = column_names(scored, DataAccess((root,), root))
    assert at_version(scored, version) == ScoredDeltaData(source="delta", uri="sales", version=2)
    assert set(names) == {"row", "region", "y", "late"}


def test_a_look_opens_the_table_once(root, monkeypatch):
    opened = []
    monkeypatch.setattr(
        delta, "_newest", lambda at, real=delta._newest: opened.append(at) or real(at)
    )
    assert looked_at(root, SPEC) == 2
    assert len(opened) == 1


def test_a_scoring_streams_the_rows_of_its_version(root):
    data = ScoredDeltaData(source="delta", uri="sales", version=0)
    request = ScoreRequest(model_uri="models:/m/1", data=data)
    wanted = Wanted(("row", "region"), (), None)
    with rows_of_table(request, wanted, DataAccess((root,), root)) as found:
        assert found.total == ROWS
        seen = [row for part in found.slices() for row in part.x["row"]]
    assert sorted(seen) == list(range(ROWS))


@pytest.mark.parametrize(
    ("spec", "pointer", "words"),
    [
        (changed(version=7), "/data/version", r"has no version 7; its versions are 0 to 2"),
        (changed(uri="plain"), "/data/uri", "not the folder of a Delta table"),
        (changed(target="late "), "/data/target", "'late'"),
        (
            FileData(source="file", uri="sales/region=north", target="y"),
            "/data/uri",
            "a part of the Delta table in the folder 'sales'",
        ),
        (
            FileData(source="file", uri="sales", target="y", test_uri="plain"),
            "/data/test_uri",
            "leave test_uri out",
        ),
        (
            FileData(source="file", uri="plain", target="y", test_uri="sales"),
            "/data/test_uri",
            "as data.uri alone",
        ),
        (
            FileData(source="file", uri="sales", target="y", csv={"delimiter": ";"}),
            "/data/csv",
            "leave csv out",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(root, spec, pointer, words):
    (root / "plain").mkdir(exist_ok=True)
    pq.write_table(rows(0), root / "plain" / "part.parquet")
    with pytest.raises(InvalidData, match=words) as refused:
        load(root, spec)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": 1, "timestamp": "2026-01-01T00:00:00Z"}, "leave one of them out"),
        ({"timestamp": "2026-01-01"}, "no time with a zone"),
        ({"timestamp": "noon"}, "no time with a zone"),
        ({"version": -1}, "greater than or equal to 0"),
        ({"csv": {"delimiter": ";"}}, "not permitted"),
        ({"test_uri": "plain"}, "not permitted"),
        ({"format": "parquet"}, "not permitted"),
    ],
)
def test_fields_that_say_nothing_of_a_version_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        DeltaData(source="delta", uri="sales", target="y", **fields)


@contextmanager
def rewritten_log(path: Path, *changes: Any) -> Iterator[None]:
    """Each action of the first commit given to `changes`, for as long as the context lasts."""
    log = path / "_delta_log" / "00000000000000000000.json"
    before = log.read_text()
    actions = [json.loads(line) for line in before.splitlines()]
    for change in changes:
        for action in actions:
            change(action)
    log.write_text("\n".join(map(json.dumps, actions)))
    yield
    log.write_text(before)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_log_that_names_files_outside_the_folder_is_refused(tmp_path, absolute):
    write_deltalake(tmp_path / "roots" / "sales", rows(0))
    secret = tmp_path / "secret.parquet"
    pq.write_table(rows(0), secret)
    named = secret.as_uri() if absolute else "../../secret.parquet"

    def point(action: dict[str, Any]) -> None:
        if "add" in action:
            action["add"]["path"] = named

    with (
        rewritten_log(tmp_path / "roots" / "sales", point),
        pytest.raises(InvalidData, match="outside the table's folder"),
    ):
        load(tmp_path / "roots", SPEC)


def test_features_that_cannot_be_read_are_refused_by_name(tmp_path):
    write_deltalake(tmp_path / "sales", rows(0))

    def needs(feature: str) -> Any:
        def change(action: dict[str, Any]) -> None:
            if "protocol" in action:
                action["protocol"] = {
                    "minReaderVersion": 3,
                    "minWriterVersion": 7,
                    "readerFeatures": [feature],
                    "writerFeatures": [feature],
                }

        return change

    def mapped(action: dict[str, Any]) -> None:
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
        if "metaData" in action:
            action["metaData"]["configuration"]["delta.columnMapping.mode"] = "name"
            schema = json.loads(action["metaData"]["schemaString"])
            for number, field in enumerate(schema["fields"]):
                field["metadata"] = {
                    "delta.columnMapping.id": number + 1,
                    "delta.columnMapping.physicalName": field["name"],
                }
            action["metaData"]["schemaString"] = json.dumps(schema)

    for change, words in (
        (needs("deletionVectors"), "deletionVectors"),
        (needs("fromTheFuture"), "fromTheFuture"),
        (mapped, "column mapping"),
    ):
        with (
            rewritten_log(tmp_path / "sales", change),
            pytest.raises(InvalidData, match=words),
        ):
            load(tmp_path, SPEC)
    assert len(read(tmp_path, SPEC)) == ROWS


def test_a_version_whose_files_were_vacuumed_is_refused_and_newer_ones_are_read(tmp_path):
    write_deltalake(tmp_path / "sales", rows(0))
    write_deltalake(tmp_path / "sales", rows(ROWS), mode="overwrite")
    DeltaTable(tmp_path / "sales").vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False
    )
    with pytest.raises(InvalidData, match=r"version 0 of 'sales' can no longer be read.*vacuum"):
        load(tmp_path, changed(version=0))
    assert sorted(read(tmp_path, SPEC)) == list(range(ROWS, 2 * ROWS))


def test_a_version_without_rows_is_refused(tmp_path):
    write_deltalake(tmp_path / "sales", rows(0))
    DeltaTable(tmp_path / "sales").delete()
    with pytest.raises(InvalidData, match="version 1 of 'sales' has no rows"):
        load(tmp_path, SPEC)
    assert len(read(tmp_path, at_version(SPEC, 0))) == ROWS


def test_names_and_partitions_with_odd_characters_are_read(tmp_path):
    table = rows(0).set_column(1, "region", pa.array(["a b/c%20é=:#?"] * 30 + ["plain"] * 30))
    write_deltalake(tmp_path / "un été #1", table, partition_by=["region"])
    found = read(tmp_path, changed(uri="un été #1"))
    assert {row["region"] for row in found.values()} == {"a b/c%20é=:#?", "plain"}
    (tmp_path / "un été #1").rename(tmp_path / "été%20")
    with pytest.raises(InvalidData, match=r"an escape such as %20"):
        load(tmp_path, changed(uri="été%20"))


def test_without_the_library_the_refusal_says_what_brings_it(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(InvalidData, match=r"install trainyard\[lake\]"):
        load(root, SPEC)


def test_a_look_has_memory_enough_for_the_library(root):
    """As a look at submit is: forked, and with limits on its addresses."""
    code = f"""
import sys
from pathlib import Path
from trainyard.contract import DeltaData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.listing import listing
from trainyard.launcher.limits import limit
limit(memory_mb=1024, seconds=20)
root = Path({str(root)!r})
spec = DeltaData(source="delta", uri="sales", target="y", version=1)
loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=DataAccess((root,), root), split=Split())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_table_is_listed_as_what_it_is(root):
    found = {each.name: each.source for each in listing(DataAccess((root,), root))}
    assert found["sales"] == "delta"
    assert not any(name.startswith("sales/") for name in found)
