"""A table that does not fit in memory is the same data, in files; and a model that cannot take it is refused at submit."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv
from trainyard.contract import FileData, ScoreRequest, Split, Task, TrainRequest
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources import memory
from trainyard.datasets.tables.csv_columns import typed
from trainyard.datasets.tables.dialects.dialect import Dialect, Layout
from trainyard.datasets.tables.room import Size, check_room
from trainyard.errors import InvalidData
from trainyard.service import Service
from trainyard.settings import LEAST_MB, SERVICE_MB, Settings
from trainyard.trainer import WHOLE, Params
from trainyard.worker.scored_model import About
from trainyard.worker.scoring_look import inspect_scored
from trainyard.worker.whole import whole_for

ROWS = 40_000
PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One table of every kind of column, as a file, as a folder of two files, and as CSV."""
    found = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{at}": rng.standard_normal(ROWS) for at in range(5)})
    frame["x1"] = frame["x1"].where(rng.random(ROWS) > 0.1)
    frame["count"] = rng.integers(0, 9, ROWS)
    frame["flag"] = rng.random(ROWS) > 0.5
    frame["city"] = rng.choice(["Ulm", "Bonn", None], ROWS)
    frame["euro"] = [f"{value:.2f}".replace(".", ",") for value in rng.random(ROWS) * 1000]
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS), unit="min")
    frame["weight"] = rng.random(ROWS) + 0.1
    frame["group"] = rng.integers(0, 500, ROWS)
    frame["y"] = (frame["x0"] + (frame["city"] == "Ulm") > 0.3).astype(int)
    frame.to_parquet(found / "one.parquet", row_group_size=7_000)
    (found / "many").mkdir()
    frame.iloc[:15_000].to_parquet(found / "many/a.parquet")
    frame.iloc[15_000:].to_parquet(found / "many/b.parquet")
    frame.to_csv(found / "one.csv", index=False)
    later = np.arange(ROWS) > ROWS / 2
    frame["count"] = frame["count"].astype(object).where(~later, frame["count"] + 0.5)
    frame["flag"] = frame["flag"].astype(object).where(~later, "perhaps")
    frame.to_csv(found / "other.csv", index=False, sep=";", decimal=",")
    return found


def access(folder, memory_mb=None) -> DataAccess:
    return DataAccess(roots=(folder,), data_dir=folder, memory_mb=memory_mb)


def spec(uri="one.parquet", **fields) -> FileData:
    return FileData(source="file", uri=uri, target="y", weight="weight", **fields)


def load(asked, split, folder, memory_mb=None, needs_whole=None):
    return loading.load(
        asked,
        split,
        task=Task.CLASSIFICATION,
        access=access(folder, memory_mb),
        needs_whole=needs_whole,
    )


def inspect(asked, folder, memory_mb, needs_whole=None) -> None:
    loading.inspect(
        asked,
        task=Task.CLASSIFICATION,
        kinds=("table",),
        access=access(folder, memory_mb),
        split=Split(),
        needs_whole=needs_whole,
    )


@pytest.mark.parametrize(
    ("uri", "split"),
    [
        ("one.parquet", Split()),
        ("many", Split()),
        ("one.parquet", Split(by="time", column="when")),
        ("one.parquet", Split(by="group", column="group")),
        ("one.parquet", Split(validation_size=0)),
        ("one.csv", Split()),
        ("other.csv", Split(by="time", column="when")),
    ],
)
def test_a_table_in_files_is_the_same_data(folder, tmp_path, monkeypatch, uri, split):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    whole = load(spec(uri), split, folder)
    in_files = load(spec(uri), split, folder, memory_mb=8)
    assert whole.beyond_memory is None
    assert re.search("of about 40,[0-9]{3} rows", in_files.beyond_memory)
    assert (in_files.digest, in_files.profile) == (whole.digest, whole.profile)
    assert (in_files.warnings, in_files.notations) == (whole.warnings, whole.notations)
    assert any(tmp_path.rglob("train-*"))
    for name in PARTS:
        part, other = getattr(in_files, name), getattr(whole, name)
        if other is not None:
            pd.testing.assert_frame_equal(part.x, other.x)
            np.testing.assert_array_equal(part.y, other.y)
            np.testing.assert_array_equal(part.weight, other.weight)


def test_numbers_in_files_are_mapped_and_not_read(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    x = load(spec(), Split(), folder, memory_mb=8).train.x["x0"].to_numpy()
    while x.base is not None and not isinstance(x, np.memmap):
        x = x.base
    assert isinstance(x, np.memmap) or type(x).__name__ == "mmap"


def test_a_table_that_fits_is_read_whole(folder):
    assert load(spec(), Split(), folder, memory_mb=100).beyond_memory is None
    inspect(spec(), folder, 100, needs_whole=WHOLE)


def test_a_model_that_needs_the_whole_table_is_refused_at_submit_and_in_the_run(folder):
    for refused in (
        lambda: inspect(spec(), folder, 8, needs_whole="mlp needs it whole"),
        lambda: load(spec(), Split(), folder, memory_mb=8, needs_whole="mlp needs it whole"),
    ):
        with pytest.raises(InvalidData, match="mlp needs it whole") as caught:
            refused()
        assert "40,000 rows x 13 columns" in str(caught.value)
        assert "TRAINYARD_MEMORY_MB" in str(caught.value)
    inspect(spec(), folder, 8)


def test_what_is_too_large_even_in_batches_is_refused_at_submit(folder):
    with pytest.raises(InvalidData, match="even in batches"):
        inspect(spec(), folder, 1)


def test_each_of_several_workers_needs_room_for_the_bins_of_its_own_rows(folder):
    narrow = replace(access(folder, memory_mb=2), workers=3)
    size = Size(rows=16_000, columns=100, row_bytes=800)
    check_room(size, narrow, spec(), needs_whole=None)
    with pytest.raises(InvalidData, match=r"each row takes 164 bytes in batches;"):
        check_room(size, replace(narrow, workers=1), spec(), needs_whole=None)
    with pytest.raises(InvalidData, match="120 bytes in batches, with 3 workers;"):
        check_room(replace(size, rows=30_000), narrow, spec(), needs_whole=None)


def test_a_run_that_judges_the_champion_needs_room_for_that(folder):
    plain = access(folder, memory_mb=83)
    size = Size(rows=50_000, columns=100, row_bytes=800)
    check_room(size, plain, spec(), needs_whole=None)
    with pytest.raises(
        InvalidData, match="264 bytes in batches, and with it the champion is judged"
    ):
        check_room(size, replace(plain, judged=True), spec(), needs_whole=None)


@pytest.mark.parametrize(
    ("values", "decimal"),
    [
        (["1", " 2", None], "."),
        (["1", "2.5", "1e3"], "."),
        (["1", "2,5"], ","),
        (["1,5", "x"], ","),
        (["true", "False"], "."),
        (["2024-01-01", "2024-12-31"], "."),
        (["2024-01-01 10:00", "2024-12-31 11:30:05"], "."),
        (["2024-01-01T10:00:00.25", "2024-12-31 11:30:05"], "."),
        (["2024-01-01T10:00:00Z", "2024-12-31T11:30:05Z"], "."),
        (["17:30:00", "08:00:00"], "."),
        (["0x1f", "2"], "."),
        (["9223372036854775808", "1"], "."),
        (["a", " b ", 'q"u', "a,b"], "."),
        ([None, None], "."),
    ],
    ids=str,
)
def test_text_of_a_csv_has_the_type_that_pyarrow_gives_it(values, decimal):
    layout = Layout(Dialect(decimal=decimal), ("a",))
    found = typed(pa.chunked_array([pa.array(values, pa.string())]), layout)
    content = "a;b\n" + "".join(f"{value or ''};1\n" for value in values)
    whole = csv.read_csv(
        pa.BufferReader(content.encode()),
        parse_options=csv.ParseOptions(delimiter=";", quote_char=False),
        convert_options=csv.ConvertOptions(decimal_point=decimal, strings_can_be_null=True),
    )
    assert (found.type, found.to_pylist()) == (whole["a"].type, whole["a"].to_pylist())


def test_a_large_csv_is_taken_and_a_damaged_one_refused(folder):
    inspect(spec("one.csv"), folder, 8)
    (folder / "damaged.csv").write_text((folder / "one.csv").read_text() + "1,2\n")
    with pytest.raises(InvalidData, match="as many values in each row"):
        load(spec("damaged.csv"), Split(), folder, memory_mb=8)


def test_a_separate_test_table_beside_a_large_one_is_refused(folder):
    with pytest.raises(InvalidData, match="leave test_uri out") as caught:
        inspect(spec(test_uri="one.parquet"), folder, 8)
    assert caught.value.pointer == "/data/test_uri"


class Large:
    params = Params

    def needs_whole(self, _params):
        return None


class Shared(Large):
    distributed_in_batches = True


class Small:
    params = Params


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, None),
        ({"search": {"trials": 2}}, "search"),
        ({"register": {"name": "a", "promote": {"metric": "test_roc_auc"}}}, None),
    ],
)
def test_why_a_training_needs_its_table_whole(more, word):
    data = {"source": "file", "uri": "a.parquet", "target": "y"}
    request = TrainRequest.model_validate({"model": "large", "data": data, **more})
    assert whole_for(request, Small(), Params()) is not None
    assert whole_for(request, Large(), None) is not None, "its params are not known"
    said = whole_for(request, Large(), Params())
    assert said is None if word is None else word in said


def test_several_workers_need_their_table_whole_unless_their_model_shares_its_batches():
    data = {"source": "file", "uri": "a.parquet", "target": "y"}
    several = {"model": "large", "data": data, "resources": {"workers": 2}}
    request = TrainRequest.model_validate(several)
    assert "several workers" in whole_for(request, Large(), Params())
    assert whole_for(request, Shared(), Params()) is None
    searched = TrainRequest.model_validate(several | {"search": {"trials": 2}})
    assert "search" in whole_for(searched, Shared(), Params())


def test_a_run_may_use_its_share_of_the_memory_there_is(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text(f"{512 << 20}\n")
    monkeypatch.setattr(memory, "memory_files", lambda *_: [limit, tmp_path / "none"])
    assert Settings(slots=2).data_access.memory_mb == 256
    assert Settings(slots=2, memory_mb=100).data_access.memory_mb == 100
    limit.write_text("max\n")
    assert Settings().data_access.memory_mb > 512


def test_what_libraries_take_is_kept_back_from_what_a_run_may_use(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text(f"{1000 << 20}\n")
    monkeypatch.setattr(memory, "memory_files", lambda *_: [limit])
    service = Service("a", "b", 1, shared_mb=240, own_mb=80)
    beside = 1000 - SERVICE_MB - 240
    assert Settings().of(service).data_access.memory_mb == beside - 80
    assert Settings(slots=3).of(service).data_access.memory_mb == beside // 3 - 80
    assert Settings(run_memory_mb=500).of(service).data_access.memory_mb == 500 - 80 - 120
    two = Settings(memory_mb=600, slots=2).of(service)
    assert two.data_access.memory_mb == 600 - 80 - 120
    assert two.left_for_data(1000) == beside - 80, "no more than there is"
    assert two.left_for_data(200) == LEAST_MB
    assert two.left_for_data(50) == 50


def test_a_scoring_of_a_large_table_is_not_refused_as_it_never_has_the_whole_in_memory(folder):
    request = ScoreRequest.model_validate(
        {
            "model_uri": "models:/large/1",
            "data": {"source": "file", "uri": "one.parquet", "target": "y"},
            "rows": "test",
        }
    )
    inspect_scored(request, About(("x0", "city"), Task.CLASSIFICATION, int), access(folder, 1))
