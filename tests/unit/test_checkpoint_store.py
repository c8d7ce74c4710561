"""Checkpoints where all hosts find them: in a folder, and in S3."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from trainyard.datasets.access import DataAccess
from trainyard.rundir.checkpoint_store import CheckpointStore
from trainyard.worker.checkpoints import taken

KEYS = {
    "AWS_ACCESS_KEY_ID": "of the tests",
    "AWS_SECRET_ACCESS_KEY": "of the tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(params=["folder", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, DataAccess]]:
    """A place that all hosts reach, and how."""
    if request.param == "folder":
        (tmp_path / "kept").mkdir()
        yield str(tmp_path / "kept"), DataAccess((), Path())
        return
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="kept")
    yield f"s3://kept/{tmp_path.name}/", DataAccess((), Path(), s3_endpoint=endpoint)
    server.stop()


def folder(home: Path, **files: str) -> Path:
    """A process's own folder, with these files."""
    home.mkdir()
    for name, text in files.items():
        path = home / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return home


def held(home: Path) -> dict[str, str]:
    return {
        each.relative_to(home).as_posix(): each.read_text()
        for each in home.rglob("*")
        if each.is_file()
    }


def test_another_host_goes_on_from_the_newest(
    place: tuple[str, DataAccess], tmp_path: Path
) -> None:
    first, second = (CheckpointStore(place[0], "run", place[1]) for _ in range(2))
    as_it_is = {"model.gz": "neither packed nor unpacked"}
    there = folder(tmp_path / "a", round_1="one", state="1", parts__x="deep", **as_it_is)
    assert not first.take(folder(tmp_path / "empty"))
    first.give(there)
    (there / "round_1").unlink()
    (there / "round_2").write_text("two")
    first.give(there)
    here = folder(tmp_path / "b")
    assert second.take(here)
    assert held(here) == {"round_2": "two", "state": "1", "parts/x": "deep", **as_it_is}
    (here / "state").write_text("3")
    second.give(here)
    third = folder(tmp_path / "c")
    assert first.take(third)
    assert held(third)["state"] == "3"


def test_one_that_is_not_whole_does_not_count(
    place: tuple[str, DataAccess], tmp_path: Path
) -> None:
    store = CheckpointStore(place[0], "run", place[1])
    store.give(folder(tmp_path / "a", state="1"))
    path = f"{place[0].removeprefix('s3://').rstrip('/')}/run/00000002"
    files = store._files
    for broken, said in (
        ("", ""),
        ("{", '{"state": 5}'),
    ):  # cut off on the way, or not all of it there
        files.create_dir(path, recursive=True)
        with files.open_output_stream(f"{path}/state") as out:
            out.write(broken.encode())
        if said:
            with files.open_output_stream(f"{path}.whole") as out:
                out.write(said.encode())
        here = folder(tmp_path / f"b{len(said)}")
        assert CheckpointStore(place[0], "run", place[1]).take(here)
        assert held(here) == {"state": "1"}


def test_runs_have_their_own_and_leave_nothing(
    place: tuple[str, DataAccess], tmp_path: Path
) -> None:
    one, other = (CheckpointStore(place[0], name, place[1]) for name in ("one", "other"))
    one.give(folder(tmp_path / "a", state="1"))
    other.give(folder(tmp_path / "b", state="2"))
    one.remove()
    one.remove()
    assert not one.take(folder(tmp_path / "c"))
    assert other.take(folder(tmp_path / "d"))


def test_a_run_and_its_study_have_a_store_each_where_its_job_says(
    place: tuple[str, DataAccess], tmp_path: Path
) -> None:
    submission = SimpleNamespace(run_id="run")
    job: Any = SimpleNamespace(checkpoints=place[0], submission=submission, access=place[1])
    for name in ("", "search"):
        store = taken(job, tmp_path / f"first{name}", name)
        assert store
        store.give(folder(tmp_path / f"saved{name}", state=f"of {name}"))
        taken(job, tmp_path / f"next{name}", name)
        assert held(tmp_path / f"next{name}") == {"state": f"of {name}"}


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path / "not mounted"), "run", DataAccess((), Path()))
    with pytest.raises(NotADirectoryError, match="no folder here"):
        store.take(folder(tmp_path / "a"))
    assert not (tmp_path / "not mounted").exists()
