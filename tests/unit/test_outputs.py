"""Predictions are written where the operator allows it, whole or not at all."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import FileSelector
from trainyard.datasets import outputs
from trainyard.datasets.access import DataAccess
from trainyard.datasets.outputs import check_output, write_output
from trainyard.datasets.sources.s3 import filesystem_for
from trainyard.errors import InvalidData

RUN_ID = "0" * 32


@pytest.fixture
def access(tmp_path: Path) -> DataAccess:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return DataAccess(
        roots=(),
        data_dir=tmp_path,
        output_roots=(tmp_path / "first", tmp_path / "second"),
        output_buckets=("scores",),
    )


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.parquet"
    path.write_bytes(b"rows" * 1000)
    return path


def test_a_file_is_written_below_the_first_root_or_the_one_that_it_names(
    tmp_path: Path, access: DataAccess, predictions: Path
) -> None:
    for uri, expected in (
        ("a/b/new.parquet", tmp_path / "first/a/b/new.parquet"),
        (str(tmp_path / "second/x.parquet"), tmp_path / "second/x.parquet"),
    ):
        check_output(uri, access)
        assert write_output(predictions, uri, access, RUN_ID) == str(expected)
        assert expected.read_bytes() == predictions.read_bytes()
        assert [*expected.parent.iterdir()] == [expected]


def test_a_copy_that_breaks_off_leaves_what_was_there(
    tmp_path: Path, access: DataAccess, predictions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "first/scores.parquet"
    old.write_bytes(b"old")

    def breaks_off(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs.shutil, "copyfile", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        write_output(predictions, "scores.parquet", access, RUN_ID)
    assert old.read_bytes() == b"old"
    assert [*old.parent.iterdir()] == [old]


@pytest.mark.parametrize(
    "uri, words",
    [
        ("../scores.parquet", "outside the output roots"),
        ("/etc/scores.parquet", "outside the output roots"),
        ("link/scores.parquet", "outside the output roots"),
        ("scores.csv", "does not end in .parquet"),
        ("folder.parquet", "is a folder"),
        ("https://host/scores.parquet", "no place to write to"),
        ("s3://other/scores.parquet", "TRAINYARD_OUTPUT_BUCKETS allows scores"),
        ("s3://scores/../x.parquet", "not an address"),
        ("s3://scores/x.csv", "does not end in .parquet"),
        ("file/a/scores.parquet", "'file' in it is a file"),
        ("a\0.parquet", "no path of a file: embedded null byte"),
        ("a" * 300 + ".parquet", "no path of a file.*name too long"),
        ("\ud800.parquet", "no path of a file"),
    ],
)
def test_everything_else_is_refused(
    tmp_path: Path, access: DataAccess, uri: str, words: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "first/link").symlink_to(tmp_path / "outside")
    (tmp_path / "first/folder.parquet").mkdir()
    (tmp_path / "first/file").touch()
    only = dataclasses.replace(access, output_roots=access.output_roots[:1])
    with pytest.raises(InvalidData, match=words) as caught:
        check_output(uri, only)
    assert caught.value.pointer == "/output"


def test_without_roots_and_buckets_nothing_is_written(
    access: DataAccess, predictions: Path
) -> None:
    closed = dataclasses.replace(access, output_roots=(), output_buckets=())
    with pytest.raises(InvalidData, match="set TRAINYARD_OUTPUT_ROOTS"):
        check_output("scores.parquet", closed)
    with pytest.raises(InvalidData, match="TRAINYARD_OUTPUT_BUCKETS allows none"):
        write_output(predictions, "s3://scores/x.parquet", closed, RUN_ID)


def test_a_name_may_be_as_long_as_a_file_system_has_it(
    access: DataAccess, predictions: Path
) -> None:
    uri = "a" * 247 + ".parquet"
    check_output(uri, access)
    assert Path(write_output(predictions, uri, access, RUN_ID)).name == uri


def test_a_root_that_cannot_be_written_is_said(access: DataAccess, predictions: Path) -> None:
    if os.geteuid() == 0:
        (access.output_roots[0] / "file").write_text("no folder")
        uri = "file/scores.parquet"
    else:
        access.output_roots[0].chmod(0o500)
        uri = "scores.parquet"
    with pytest.raises(InvalidData, match="cannot be written"):
        write_output(predictions, uri, access, RUN_ID)


@pytest.fixture
def s3(access: DataAccess, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataAccess]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="scores")
        yield dataclasses.replace(access, s3_endpoint=endpoint)
    finally:
        server.stop()


def test_an_object_is_written_whole_and_nothing_beside_it(
    s3: DataAccess, predictions: Path
) -> None:
    for _ in range(2):
        assert write_output(predictions, "s3://scores/daily/x.parquet", s3, RUN_ID) == (
            "s3://scores/daily/x.parquet"
        )
    filesystem = filesystem_for(s3, 5.0)
    found = filesystem.get_file_info(FileSelector("scores", recursive=True))
    assert [each.path for each in found if each.is_file] == ["scores/daily/x.parquet"]
    with filesystem.open_input_stream("scores/daily/x.parquet") as stream:
        assert stream.read() == predictions.read_bytes()
