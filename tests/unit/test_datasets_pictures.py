"""Pictures by class, arrays in every usual form, and IDX under any name become the same bytes, and it is said."""

from pathlib import Path

import numpy as np
import pytest
from image_files import X_TEST, Y_TEST, X, Y, access, inspect, load, refused, write_idx
from PIL import Image
from trainyard.contract import ImageData
from trainyard.datasets.images.pictures import read_images
from trainyard.errors import InvalidData

RGB = np.stack([X, X // 2, 255 - X], axis=-1)
RGB_TEST = np.stack([X_TEST, X_TEST // 2, 255 - X_TEST], axis=-1)


def npz(root: Path, **change: np.ndarray) -> None:
    arrays = {"x_train": RGB, "y_train": Y, "x_test": RGB_TEST, "y_test": Y_TEST} | change
    np.savez(root / "x.npz", **arrays)


def same(root: Path, uri: str = "x.npz") -> str:
    """That the images are those of the plain file; the warnings."""
    inspect(root, uri)
    found, tests = read_images(ImageData(source="images", uri=uri), access=access(root))
    assert np.abs(found.x.astype(int) - RGB).max() <= 1
    assert np.abs(tests.x.astype(int) - RGB_TEST).max() <= 1
    assert (found.y == Y).all()
    assert (tests.y == Y_TEST).all()
    data = load(root, uri)
    assert data.profile.get("warnings", []) == list(data.warnings)
    return "\n".join(data.warnings)


def test_arrays_of_sixteen_bits_are_read_as_bytes(tmp_path):
    npz(tmp_path, x_train=RGB.astype(np.uint16) * 257, x_test=RGB_TEST.astype(np.uint16) * 257)
    assert "are of 16 bits, 0..65535, and are read as bytes" in same(tmp_path)


def test_white_is_what_it_is_in_both_parts(tmp_path):
    dark = np.full(RGB_TEST.shape, 3 * 257, dtype=np.uint16)
    npz(tmp_path, x_train=RGB.astype(np.uint16) * 257, x_test=dark)
    inspect(tmp_path, "x.npz")
    assert load(tmp_path, "x.npz").test.x.max() == 3


def test_channels_first_are_moved_to_the_end(tmp_path):
    npz(tmp_path, x_train=np.moveaxis(RGB, -1, 1), x_test=np.moveaxis(RGB_TEST, -1, 1))
    assert "channels first, and are read as (6, 5, 3)" in same(tmp_path)


def test_one_hot_labels_are_positions(tmp_path):
    npz(tmp_path, y_train=np.eye(3)[Y], y_test=np.eye(3, dtype=np.uint8)[Y_TEST])
    assert "one-hot, and are read as the position of the 1" in same(tmp_path)


def floats(root: Path, values: np.ndarray) -> None:
    for row, picture in enumerate(values):
        path = root / "pets" / "ab"[row % 2] / f"{row}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.float32)).save(path)


def test_pictures_of_floats_are_read_as_bytes(tmp_path):
    floats(tmp_path, X[:40] / 255)
    inspect(tmp_path, "pets")
    found, _ = read_images(ImageData(source="images", uri="pets"), access=access(tmp_path))
    assert sorted(found.x.sum(axis=(1, 2, 3))) == sorted(X[:40].sum(axis=(1, 2), dtype=int))
    assert "40 of 40 pictures of 'pets' hold floats" in load(tmp_path, "pets").warnings[0]
    floats(tmp_path, X[:40] * 9.0)
    with pytest.raises(InvalidData, match=r"its values lie within .*, and 0..1 or 0..255 is read"):
        load(tmp_path, "pets")


def test_of_pictures_that_move_the_first_frame_is_read_and_that_is_said(tmp_path):
    for row in range(40):
        path = tmp_path / "pets" / "ab"[row % 2] / f"{row}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        first, second = (Image.fromarray(each) for each in (X[row], X[row][::-1]))
        first.save(path, save_all=True, append_images=[second])
    assert "40 of 40 pictures of 'pets' have several frames" in load(tmp_path, "pets").warnings[0]


def test_pictures_of_kinds_that_are_not_read_are_told_of_and_other_files_passed_by(tmp_path):
    for row in range(40):
        path = tmp_path / "pets" / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RGB[row]).save(path)
    for stray in ("Thumbs.db", "a/.DS_Store", "a/notes.txt", "labels.csv"):
        (tmp_path / "pets" / stray).write_text("x")
    inspect(tmp_path, "pets")
    assert load(tmp_path, "pets").warnings == ()
    (tmp_path / "pets/b/1.HEIC").write_text("x")
    (said,) = load(tmp_path, "pets").warnings
    assert (
        "1 file(s) of 'pets', such as 'b/1.HEIC', are pictures of kinds that are not read" in said
    )


def test_labels_that_are_not_one_hot_are_refused(tmp_path):
    npz(tmp_path, y_train=np.ones((60, 3)))
    assert "is not one-hot" in refused(tmp_path, "x.npz", at_submit=False)


def test_labels_of_bytes_are_text(tmp_path):
    names = np.array([b"cat", "häsin".encode(), b"dog"])
    npz(tmp_path, y_train=names[Y], y_test=names[Y_TEST])
    assert load(tmp_path, "x.npz").classes == ("cat", "dog", "häsin")


def pictures(root: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    for number, (image, label) in enumerate(zip(x, y, strict=True)):
        path = root / "set" / part / str(label) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(path)


def test_a_folder_by_class_gives_its_pictures(tmp_path):
    names = np.array(["cat", "dog", "fox"])
    pictures(tmp_path, "train", RGB, names[Y])
    pictures(tmp_path, "test", RGB_TEST, names[Y_TEST])
    (tmp_path / "set/train/cat/.hidden.png").write_bytes(b"x")
    (tmp_path / "set/train/LICENSE").write_text("x")
    inspect(tmp_path, "set")
    data = load(tmp_path, "set")
    assert (data.classes, data.warnings) == (("cat", "dog", "fox"), ())
    found, _ = read_images(ImageData(source="images", uri="set"), access=access(tmp_path))
    assert (np.sort(found.x.reshape(60, -1), axis=0) == np.sort(RGB.reshape(60, -1), axis=0)).all()
    assert (found.x[0] == RGB[0]).all()
    assert (data.test.x[0] == RGB_TEST[0]).all()


def test_without_parts_the_test_is_split_off(tmp_path):
    pictures(tmp_path, "", X, Y)
    for path in (tmp_path / "set").rglob("*.png"):
        Image.open(path).convert("L").save(path)
    inspect(tmp_path, "set")
    data = load(tmp_path, "set")
    assert data.train.x.shape[1:] == (6, 5, 1)
    assert sum(data.profile["parts"].values()) == 60


def test_what_is_done_to_pictures_is_said(tmp_path):
    pictures(tmp_path, "train", RGB, Y)
    pictures(tmp_path, "validation", RGB_TEST, Y_TEST)
    train = tmp_path / "set/train"
    Image.new("RGB", (9, 8), "red").save(train / "0/other.png")
    Image.new("RGBA", (5, 6), (0, 0, 0, 0)).save(train / "1/clear.png")
    deep = np.full((6, 5), 65535, dtype=np.uint16)
    Image.fromarray(deep).save(train / "2/deep.png")
    inspect(tmp_path, "set")
    found, _ = read_images(ImageData(source="images", uri="set"), access=access(tmp_path))
    assert (found.x == 255).all(axis=(1, 2, 3)).sum() == 2
    said = "\n".join(load(tmp_path, "set").warnings)
    assert "1 of 75 pictures of 'set' are not 5 x 6, as most are, and are resized to it" in said
    assert "can be seen through, and are put on white, such as 'train/1/clear.png'" in said
    assert "are grey among coloured ones" in said
    assert "are of 16 bits, and are read as bytes" in said
    assert "the validation pictures of 'set' are the test" in said


@pytest.mark.parametrize("name", ["0/bad.png", "stray.png"])
def test_what_is_no_picture_or_of_no_class_is_refused_by_name_at_submit(tmp_path, name):
    pictures(tmp_path, "", RGB, Y)
    (tmp_path / "set" / name).write_bytes(b"x" * 100)
    (tmp_path / "set/0/000.png").unlink()
    (tmp_path / "set" / name).rename(tmp_path / "set" / name.replace("bad", "000"))
    assert name.replace("bad", "000") in refused(tmp_path, "set")


def test_a_picture_that_would_unpack_to_a_lot_is_refused_by_its_header(tmp_path):
    pictures(tmp_path, "", RGB, Y)
    Image.new("1", (12_000, 12_000)).save(tmp_path / "set/0/000.png")
    assert "'0/000.png' in 'set' is 12000 x 12000, and at most" in refused(tmp_path, "set")


@pytest.mark.parametrize(
    "names",
    [
        ["a-images.idx", "a-labels.idx", "b-images.idx", "b-labels.idx"],
        ["emnist-test-i", "emnist-test-l", "emnist-train-i", "emnist-train-l"],
    ],
)
def test_idx_files_are_known_by_their_headers(tmp_path, names):
    write_idx(tmp_path / "set", packed="emnist" in names[0])
    plain = sorted((tmp_path / "set").iterdir(), key=lambda each: ("train" in each.name, each.name))
    order = names if "emnist" in names[0] else names[2:] + names[:2]
    for path, name in zip(plain, order, strict=True):
        path.rename(tmp_path / "set" / name)
    (tmp_path / "set/README.md").write_text("x")
    inspect(tmp_path, "set")
    data = load(tmp_path, "set")
    assert (data.test.x[..., 0] == X_TEST).all()
    assert data.test.y.tolist() == Y_TEST.tolist()


def test_two_idx_files_are_all_there_is(tmp_path):
    folder = write_idx(tmp_path / "set")
    for path in folder.glob("t10k*"):
        path.unlink()
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("train", "all"))
    inspect(tmp_path, "set")
    assert sum(load(tmp_path, "set").profile["parts"].values()) == 60


def test_a_folder_of_neither_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/x.bin").write_bytes(b"x")
    assert "holds no IDX files and no pictures" in refused(tmp_path, "set")


WRAPPED = [
    ("set/train/{}/{}", "set/test/{}/{}"),
    ("set/images/train/{}/{}", "set/images/test/{}/{}"),
    ("set/train/images/{}/{}", "set/test/{}/{}"),
    ("set/training_set/training_set/{}/{}", "set/test_set/test_set/{}/{}"),
]


def laid_out(root: Path, *paths: str) -> None:
    """Two classes of pictures, twenty of each to train on, and twenty to test on where the second path is for these."""
    for path in paths:
        for row in range(40):
            file = root / path.format(["cat", "dog"][row % 2], f"{row}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RGB[row]).save(file)


@pytest.mark.parametrize("paths", WRAPPED, ids=lambda paths: paths[0])
def test_a_folder_that_wraps_those_of_the_classes_is_read_through_and_said(tmp_path, paths):
    laid_out(tmp_path, *paths)
    inspect(tmp_path, "set")
    data = load(tmp_path, "set")
    assert (data.classes, len(data.test), data.profile["parts"]["test"]) == (("cat", "dog"), 40, 40)
    is_wrapped = paths[0] != WRAPPED[0][0]
    assert is_wrapped is any("are the folders below" in said for said in data.warnings)


def test_one_class_in_folders_within_is_that_of_the_folders(tmp_path):
    laid_out(tmp_path, "set/pets/{}/{}")
    data = load(tmp_path, "set")
    assert data.classes == ("cat", "dog")
    assert data.warnings == ("the classes of 'set' are the folders below 'pets'",)


def test_parts_under_names_that_are_not_known_are_told_of(tmp_path):
    laid_out(tmp_path, "set/first/{}/{}", "set/second/{}/{}")
    data = load(tmp_path, "set")
    assert data.classes == ("first", "second")
    assert "each has the same folders in it, 'cat', 'dog'; where these" in data.warnings[0]


def test_folders_of_tests_alone_are_refused(tmp_path):
    laid_out(tmp_path, "set/test/{}/{}", "set/val/{}/{}")
    assert "has the folders 'test', 'val' and none" in refused(tmp_path, "set")


def test_pictures_without_a_byte_are_told_of_and_a_class_of_these_alone_is_refused(tmp_path):
    laid_out(tmp_path, "set/{}/{}")
    for name in ("1.png", "3.png"):
        (tmp_path / "set/dog" / name).write_bytes(b"")
    inspect(tmp_path, "set")
    (said,) = load(tmp_path, "set").warnings
    assert said.startswith("2 of 40 pictures of 'set' have 0 bytes and are left out, such as 'dog/")
    (tmp_path / "set/fox").mkdir()
    (tmp_path / "set/fox/1.png").write_bytes(b"")
    assert "the class 'fox' of 'set' has no picture that" in refused(tmp_path, "set")
    for path in (tmp_path / "set").rglob("*.png"):
        path.write_bytes(b"")
    assert "the class 'cat' of 'set' has no picture that" in refused(tmp_path, "set")


@pytest.mark.parametrize("name", ["Cat", "cat "])
def test_classes_of_pictures_that_differ_by_case_or_blanks_alone_are_told_of(tmp_path, name):
    laid_out(tmp_path, "set/{}/{}")
    (tmp_path / "set/dog").rename(tmp_path / "set" / name)
    (said,) = load(tmp_path, "set").warnings
    assert said.startswith("the images of 'set' have the classes")
    assert repr(name) in said


def test_pictures_of_sixteen_bits_that_hardly_use_them_are_told_of(tmp_path):
    for row in range(40):
        path = tmp_path / "set" / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(X[row].astype(np.uint16) * 16).save(path)
    assert "so that 17 shades are left of theirs" in "".join(load(tmp_path, "set").warnings)


@pytest.mark.parametrize("ending", ["jfif", "jpe", "JPG"])
def test_jpeg_is_read_under_its_other_endings(tmp_path, ending):
    laid_out(tmp_path, "set/{}/{}")
    Image.fromarray(RGB[0]).save(tmp_path / f"set/cat/more.{ending}", "JPEG")
    data = load(tmp_path, "set")
    assert (sum(data.profile["parts"].values()), data.warnings) == (41, ())


def test_colours_that_are_kept_otherwise_are_not_taken_for_transparent(tmp_path):
    laid_out(tmp_path, "set/{}/{}")
    Image.fromarray(RGB[0]).convert("LAB").save(tmp_path / "set/cat/lab.tif")
    assert load(tmp_path, "set").warnings == ()
