"""Images: IDX folders, .npz files, and what is refused."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from image_files import TRAIN, X_TEST, Y_TEST, X, Y, access, idx, inspect, load, refused, write_idx
from trainyard.contract import BuiltinData, Split, Task
from trainyard.datasets import loading
from trainyard.errors import InvalidData

REAL = os.environ.get("TRAINYARD_TEST_DATA")


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_of_idx_files_becomes_images_with_its_own_test_part(tmp_path, packed):
    write_idx(tmp_path / "set", packed=packed)
    inspect(tmp_path, "set")
    data = load(tmp_path, "set")
    assert (data.kind, data.classes, data.name) == ("images", (0, 1, 2), "set")
    assert data.train.x.shape == (54, 6, 5, 1)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.dtype == np.int64
    assert (data.test.x[..., 0] == X_TEST).all()
    assert data.test.y.tolist() == Y_TEST.tolist()
    assert np.bincount(data.validation.y).tolist() == [2, 2, 2]
    assert data.profile["image"] == [6, 5, 1]


def test_images_and_labels_stay_together(tmp_path):
    write_idx(tmp_path / "set", y=X[:, 0, 0] % 2, y_test=X_TEST[:, 0, 0] % 2)
    for part in (load(tmp_path, "set").train, load(tmp_path, "set").validation):
        assert (part.x[:, 0, 0, 0] % 2 == part.y).all()


def test_an_npz_gives_the_same_images_as_idx_files(tmp_path):
    write_idx(tmp_path / "set")
    np.savez(
        tmp_path / "set.npz",
        x_train=X / 255,
        y_train=Y.reshape(-1, 1),
        x_test=X_TEST.astype(np.int32),
        y_test=Y_TEST,
    )
    inspect(tmp_path, "set.npz")
    one, other = load(tmp_path, "set"), load(tmp_path, "set.npz")
    assert (one.train.x == other.train.x).all()
    assert (one.test.x == other.test.x).all()
    assert one.digest == other.digest


def test_coloured_images_and_string_labels_are_read_from_an_npz(tmp_path):
    names = np.array(["cat", "dog", "bird"])
    np.savez_compressed(
        tmp_path / "c.npz",
        x_train=np.stack([X] * 3, -1),
        y_train=names[Y],
        x_test=np.stack([X_TEST] * 3, -1),
        y_test=names[Y_TEST],
    )
    data = load(tmp_path, "c.npz")
    assert data.classes == ("bird", "cat", "dog")
    assert data.train.x.shape[1:] == (6, 5, 3)
    assert [data.classes[each] for each in data.test.y] == names[Y_TEST].tolist()


def test_a_wrong_magic_number_is_refused(tmp_path):
    write_idx(tmp_path / "set")
    (tmp_path / "set" / TRAIN).write_bytes(gzip.compress(b"\x00\x00\x0d\x03" + bytes(100)))
    assert "begins with 0x00000d03" in refused(tmp_path, "set")


def test_a_truncated_gzip_a_damaged_one_and_a_short_file_are_refused(tmp_path):
    write_idx(tmp_path / "set")
    whole = (tmp_path / "set" / TRAIN).read_bytes()
    (tmp_path / "set" / TRAIN).write_bytes(whole[:-200])
    assert "cannot be read" in refused(tmp_path, "set", at_submit=False)
    (tmp_path / "set" / TRAIN).write_bytes(whole[:12] + bytes([255] * 50))
    assert refused(tmp_path, "set")
    (tmp_path / "set" / TRAIN).write_bytes(idx(X)[:-1])
    assert "holds 1799 values" in refused(tmp_path, "set")


def test_as_many_labels_as_images_are_needed(tmp_path):
    write_idx(tmp_path / "set", y=Y[:-1])
    assert "60 train images and 59 labels" in refused(tmp_path, "set")


def test_a_missing_file_is_named(tmp_path):
    write_idx(tmp_path / "set")
    (tmp_path / "set" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "'t10k-labels-idx1-ubyte.gz'" in refused(tmp_path, "set")


def test_one_class_and_a_label_of_the_test_images_alone_are_refused(tmp_path):
    write_idx(tmp_path / "one", y=Y * 0)
    assert "of one class" in refused(tmp_path, "one", at_submit=False)
    write_idx(tmp_path / "odd", y_test=Y_TEST + 1)
    assert "have the label 3" in refused(tmp_path, "odd", at_submit=False)


@pytest.mark.parametrize(
    ("change", "complaint", "at_submit"),
    [
        ({"y_test": None}, "has no y_test", True),
        (
            {"x_train": np.where(np.arange(60)[:, None, None] == 5, np.nan, X / 255)},
            "NaN in 1 images",
            False,
        ),
        ({"x_train": X.astype(float) * 2}, "0..255, or floats in 0..1", False),
        ({"y_train": Y[:-1]}, "has the shape (60, 6, 5) and y_train (59,)", True),
        ({"y_train": Y + 0.5}, "labels are integers or strings", False),
        ({"x_train": X[:, 0]}, "has the shape (60, 5)", True),
        ({"x_test": X_TEST[:, 1:]}, "x_test", True),
        ({"y_train": np.array([{}] * 60)}, "y_train of 'bad.npz' holds Python objects", True),
    ],
)
def test_an_npz_that_does_not_fit_is_refused(tmp_path, change, complaint, at_submit):
    arrays = {"x_train": X, "y_train": Y, "x_test": X_TEST, "y_test": Y_TEST} | change
    np.savez(
        tmp_path / "bad.npz", **{key: value for key, value in arrays.items() if value is not None}
    )
    assert complaint in refused(tmp_path, "bad.npz", at_submit=at_submit)


def test_files_that_are_no_npz_are_refused(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"\x80\x04pickle")
    assert "nor an .npz" in refused(tmp_path, "bad.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    assert "not an .npz" in refused(tmp_path, "cut.npz")


def test_images_are_refused_for_a_model_of_tables_and_for_regression(tmp_path):
    for arguments in ({"kinds": ("table",)}, {"task": Task.REGRESSION}):
        with pytest.raises(InvalidData) as error:
            inspect(tmp_path, "any", **arguments)
        assert error.value.pointer == "/data/source"


def builtin(root: Path, name: str, kinds, task=Task.CLASSIFICATION):
    spec = BuiltinData(source="builtin", name=name)
    loading.inspect(spec, task=task, kinds=kinds, access=access(root), split=Split())
    return loading.load(spec, Split(), task=task, kinds=kinds, access=access(root))


def test_mnist_is_read_from_the_data_directory_whatever_its_checksum(tmp_path):
    write_idx(tmp_path / "mnist")
    data = builtin(tmp_path, "mnist", ("images",))
    assert (data.name, data.source, len(data.test)) == ("mnist", "builtin:mnist", 12)


def test_a_damaged_mnist_is_refused_at_submit(tmp_path):
    write_idx(tmp_path / "mnist", y=Y[:-1])
    with pytest.raises(InvalidData, match="60 train images and 59 labels"):
        builtin(tmp_path, "mnist", ("images",))


def test_nothing_is_fetched_at_submit_and_a_failed_fetch_says_what_to_put_where(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    spec = BuiltinData(source="builtin", name="fashion_mnist")
    loading.inspect(
        spec, task=Task.CLASSIFICATION, kinds=("images",), access=access(tmp_path), split=Split()
    )
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(
        InvalidData, match=r"put train-images-idx3-ubyte.gz, .* into .*fashion_mnist"
    ) as error:
        loading.load(
            spec, Split(), task=Task.CLASSIFICATION, kinds=("images",), access=access(tmp_path)
        )
    assert error.value.pointer == "/data/name"


@pytest.mark.skipif(not REAL, reason="TRAINYARD_TEST_DATA names no folder with mnist/")
def test_the_real_mnist_has_its_known_shape_and_balance():
    data = builtin(Path(REAL or ""), "mnist", ("images",))
    assert data.train.x.shape == (54_000, 28, 28, 1)
    assert len(data.test) == 10_000
    assert data.profile["classes"]["1"] == 7877
