"""Data that was made to do harm costs a look at submit little memory, and is refused in words."""

import gzip
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainyard.contract import FileData, ImageData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.datasets.listing import listing
from trainyard.datasets.sources import walking
from trainyard.datasets.sources.memory import check_fits, little_memory
from trainyard.errors import InvalidData

MB = 1_000_000
X, Y = np.zeros((12, 4, 4), np.uint8), np.arange(12) % 2


def inspect(root: Path, spec, kind: str) -> None:
    loading.inspect(
        spec,
        task=Task.CLASSIFICATION,
        kinds=(kind,),
        access=DataAccess(roots=(root,), data_dir=root),
        split=Split(),
    )


def refused(root: Path, spec, kind: str, *, most_mb: int = 8) -> str:
    """The complaint at submit, which allocated less than `most_mb` in Python; the run complains as well."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData) as error:
            inspect(root, spec, kind)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most_mb * MB
    access = DataAccess(roots=(root,), data_dir=root)
    with pytest.raises(InvalidData):
        loading.load(spec, Split(), task=Task.CLASSIFICATION, kinds=(kind,), access=access)
    assert error.value.pointer == "/data/uri"
    return error.value.detail


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(root: Path, members: dict[str, bytes], *, packing: int = zipfile.ZIP_DEFLATED) -> ImageData:
    """An .npz of fair arrays, with `members` in the place of some."""
    fair = {"x_train": npy(X), "y_train": npy(Y), "x_test": npy(X), "y_test": npy(Y)}
    with zipfile.ZipFile(root / "x.npz", "w", packing) as archive:
        for key, value in {**fair, **members}.items():
            archive.writestr(f"{key}.npy", value)
    return ImageData(source="images", uri="x.npz")


def header(text: str) -> bytes:
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text.encode()


def test_the_fair_archive_of_these_tests_is_accepted(tmp_path):
    inspect(tmp_path, npz(tmp_path, {}), "images")


def test_an_array_header_of_a_hundred_megabytes_is_not_unpacked(tmp_path):
    bomb = b"\x93NUMPY\x02\x00" + struct.pack("<I", 100 * MB) + b" " * (100 * MB)
    assert "a header of 100,000,000 bytes" in refused(
        tmp_path, npz(tmp_path, {"x_train": bomb}), "images"
    )


@pytest.mark.parametrize(
    "shape", ["(10000000000, 100, 100)", "(12, 4, 5)", "(12, 4, 3)", "(0, 4, 4)"]
)
def test_a_shape_that_is_not_what_the_archive_holds_is_refused(tmp_path, shape):
    lie = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n")
    complaint = refused(tmp_path, npz(tmp_path, {"x_train": lie + X.tobytes()}), "images")
    assert "are in the file" in complaint
    assert "save it again" in complaint


def test_a_size_in_the_directory_that_no_zip_can_unpack_to_is_refused(tmp_path):
    spec = npz(tmp_path, {})
    array = header("{'descr': '|u1', 'fortran_order': False, 'shape': (4000000, 10, 10), }\n")
    spec = npz(tmp_path, {"x_train": array + X.tobytes()})
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    entry = whole.index(b"PK\x01\x02")
    whole[entry + 24 : entry + 28] = struct.pack("<I", len(array) + 400 * MB)
    (tmp_path / "x.npz").write_bytes(whole)
    assert "400,000" in refused(tmp_path, spec, "images")


@pytest.mark.parametrize(
    "text",
    ["(" * 2000, "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 3), }", "{}", "1"],
    ids=["nested", "negative", "empty", "a number"],
)
def test_a_header_that_is_no_header_is_refused(tmp_path, text):
    assert "not an .npz of plain arrays" in refused(
        tmp_path, npz(tmp_path, {"y_test": header(text)}), "images"
    )


def test_an_archive_packed_in_another_way_than_numpy_does_is_refused(tmp_path):
    spec = npz(tmp_path, {}, packing=zipfile.ZIP_BZIP2)
    assert "save it again with numpy.savez" in refused(tmp_path, spec, "images")


def test_an_archive_with_a_huge_directory_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i:05d}{'x' * 1000}", b"")
    spec = ImageData(source="images", uri="x.npz")
    assert "the directory of 'x.npz'" in refused(tmp_path, spec, "images")


def idx_folder(root: Path, images: bytes, *, packed: bool) -> ImageData:
    (root / "set").mkdir()
    labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 12) + bytes(Y.tolist())
    for prefix in ("train", "t10k"):
        for kind, data in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{prefix}-{kind}-ubyte" + ".gz" * packed
            (root / "set" / name).write_bytes(gzip.compress(data) if packed else data)
    return ImageData(source="images", uri="set")


@pytest.mark.parametrize("packed", [True, False])
def test_idx_sizes_that_the_file_cannot_hold_are_refused(tmp_path, packed):
    lie = bytes([0, 0, 8, 3]) + struct.pack(">III", 12, 60_000, 60_000) + X.tobytes()
    assert "its header says (12, 60000, 60000)" in refused(
        tmp_path, idx_folder(tmp_path, lie, packed=packed), "images"
    )


def test_of_idx_values_beyond_those_in_the_header_one_is_read(tmp_path):
    bomb = bytes([0, 0, 8, 3]) + struct.pack(">III", 12, 4, 4) + bytes(30 * MB)
    spec = idx_folder(tmp_path, bomb, packed=True)
    access = DataAccess(roots=(tmp_path,), data_dir=tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData, match="more than 192 values"):
            loading.load(spec, Split(), task=Task.CLASSIFICATION, kinds=("images",), access=access)
        assert tracemalloc.get_traced_memory()[1] < 8 * MB
    finally:
        tracemalloc.stop()


def test_arrays_larger_than_the_machine_are_refused():
    with pytest.raises(InvalidData, match=r"'x' takes 1,000,000\.0 GB unpacked"):
        check_fits(10**15, "'x'", "/data/uri")


def test_of_a_gzip_of_gigabytes_the_first_block_is_unpacked(tmp_path):
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", compresslevel=1) as stream:
        stream.write(b"a,y\n1,0\n2,1\n")
        for _ in range(300):
            stream.write(b"0" * MB)
    spec = FileData(source="file", uri="bomb.csv.gz", target="y")
    before = pa.default_memory_pool().bytes_allocated()
    tracemalloc.start()
    try:
        inspect(tmp_path, spec, "table")
        assert tracemalloc.get_traced_memory()[1] < 40 * MB
    finally:
        tracemalloc.stop()
    assert pa.default_memory_pool().bytes_allocated() - before < 40 * MB


@pytest.mark.parametrize("size", [2**32 - 1, 10**6])
def test_a_parquet_footer_larger_than_its_file_is_refused_before_it_is_read(tmp_path, size):
    pq.write_table(pa.table({"a": range(20), "y": [i % 2 for i in range(20)]}), tmp_path / "x.pq")
    whole = (tmp_path / "x.pq").read_bytes()
    (tmp_path / "x.pq").write_bytes(whole[:-8] + struct.pack("<I", size) + b"PAR1")
    spec = FileData(source="file", uri="x.pq", target="y")
    assert f"takes {size:,} bytes of a file of" in refused(tmp_path, spec, "table")


def test_a_parquet_footer_over_the_limit_is_refused_in_a_folder_too(tmp_path):
    (tmp_path / "parts").mkdir()
    with (tmp_path / "parts" / "0.parquet").open("wb") as stream:
        stream.truncate(100 * MB)
        stream.seek(100 * MB)
        stream.write(struct.pack("<I", 99 * MB) + b"PAR1")
    spec = FileData(source="file", uri="parts", target="y")
    complaint = refused(tmp_path, spec, "table")
    assert "'parts/0.parquet' takes 99,000,000 bytes" in complaint
    assert "fewer and larger row groups" in complaint


def test_memory_that_runs_out_in_a_look_is_the_datas_fault_and_says_what_to_do():
    with (
        pytest.raises(InvalidData, match="take more memory than a look at submit may use") as error,
        little_memory("https://host/x.parquet?hush", "/data/test_uri"),
    ):
        pa.allocate_buffer(2**62)
    assert error.value.pointer == "/data/test_uri"
    assert "hush" not in error.value.detail


@pytest.fixture
def crowded(tmp_path, monkeypatch):
    """A root with more entries than a walk looks at, for a limit that a test can reach."""
    monkeypatch.setattr(walking, "MOST_ENTRIES", 50)
    for i in range(10):
        (tmp_path / f"f{i}").mkdir()
        for j in range(10):
            (tmp_path / f"f{i}" / f"{j}.csv").write_text("a,y\n1,0\n2,1\n")
    return tmp_path


@pytest.mark.parametrize("uri", [".", "../{name}", "f0/.."])
def test_a_whole_root_is_not_walked(crowded, uri):
    spec = FileData(source="file", uri=uri.format(name=crowded.name), target="y")
    complaint = refused(crowded, spec, "table")
    assert "files and folders; name the folder of one table" in complaint


def test_a_walk_stops_reading_a_folder_at_the_limit(crowded):
    with pytest.raises(walking.TooManyEntries):
        list(walking.walk(crowded))
    seen = sum(len(folders) + len(files) for _, folders, files in walking.walk(crowded / "f0"))
    assert seen == 10


def test_the_listing_of_a_crowded_root_shows_what_it_reached(crowded):
    found = [each for each in listing(DataAccess((crowded,), crowded)) if each.source == "file"]
    assert [each.name for each in found] == sorted(
        f"f{i}/{j}.csv" for i in range(4) for j in range(10)
    )


def test_names_that_are_not_text_are_passed_by(tmp_path):
    (tmp_path / "good.csv").write_text("a,y\n1,0\n2,1\n")
    Path(str(tmp_path / "caf") + "\udce9.csv").write_text("a,y\n1,0\n2,1\n")
    found = listing(DataAccess((tmp_path,), tmp_path))
    assert [each.name for each in found if each.source == "file"] == ["good.csv"]
