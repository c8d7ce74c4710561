"""The index that pandas writes beside the columns is no feature, unless it is asked for."""

from pathlib import Path

import pandas as pd
import pytest
from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.errors import InvalidData


def load(root: Path, uri: str, **fields):
    access = DataAccess((root,), root)
    spec = FileData(source="file", uri=uri, target="y", **fields)
    loading.inspect(spec, task=Task.CLASSIFICATION, kinds=("table",), access=access, split=Split())
    return loading.load(spec, Split(), task=Task.CLASSIFICATION, access=access)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Sorted by its target, so that the index gives it away."""
    return pd.DataFrame({"a": [i * 7 % 40 for i in range(40)], "y": [i // 20 for i in range(40)]})


@pytest.fixture
def root(tmp_path, frame) -> Path:
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_parquet(tmp_path / "nameless.parquet")
    shuffled.rename_axis("customer").to_parquet(tmp_path / "named.parquet")
    frame.to_parquet(tmp_path / "range.parquet")
    frame.to_csv(tmp_path / "index.csv")
    pd.read_csv(_written(frame, tmp_path)).to_csv(tmp_path / "twice.csv")
    shuffled[:20].to_parquet(_folder(tmp_path) / "0.parquet")
    shuffled[20:].astype({"a": float}).to_parquet(_folder(tmp_path) / "1.parquet")
    return tmp_path


def _written(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "once.csv")
    return folder / "once.csv"


def _folder(root: Path) -> Path:
    (root / "parts").mkdir(exist_ok=True)
    return root / "parts"


@pytest.mark.parametrize(
    ("uri", "index"),
    [
        ("nameless.parquet", ["__index_level_0__"]),
        ("named.parquet", ["customer"]),
        ("parts", ["__index_level_0__"]),
        ("index.csv", ["Unnamed: 0"]),
        ("twice.csv", ["Unnamed: 0.1", "Unnamed: 0"]),
    ],
)
def test_an_index_is_left_out_and_the_profile_says_so(root, uri, index):
    data = load(root, uri)
    assert list(data.frame) == ["a"]
    assert list(data.profile["left_out"]) == index
    assert "name it in features" in data.profile["left_out"][index[0]]


def test_an_index_that_is_asked_for_is_used(root):
    data = load(root, "named.parquet", features=["customer", "a"])
    assert list(data.frame) == ["customer", "a"]
    assert "left_out" not in data.profile
    assert "customer" in load(root, "named.parquet", categorical=["customer"]).frame
    assert "left_out" not in load(root, "named.parquet", drop=["customer"]).profile


def test_a_frame_that_was_written_with_its_row_numbers_alone_has_nothing_to_leave_out(root):
    assert "left_out" not in load(root, "range.parquet").profile


def test_a_table_of_an_index_alone_is_refused_with_what_to_do(root, frame):
    frame[["y"]].to_csv(root / "bare.csv")
    with pytest.raises(InvalidData, match="but the index 'Unnamed: 0'; name it in features"):
        load(root, "bare.csv")
