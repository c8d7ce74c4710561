"""A run's checkpoints on another host: taken as it begins, given after each save."""

from pathlib import Path
from typing import Any

import pytest
from fakes import asked_for, submission_of
from trainyard.datasets.access import DataAccess
from trainyard.errors import CheckpointsAway
from trainyard.launcher.messages import Job
from trainyard.worker.checkpoints import given, taken


def job(place: Path | str) -> Job:
    return Job(
        submission=submission_of(asked_for()),
        folder=Path("/of/the/run"),
        service="test",
        tracking_uri="http://nowhere",
        threads=1,
        access=DataAccess((), Path()),
        locks=Path(),
        patience_seconds=1.0,
        git_commit="",
        checkpoints=str(place),
    )


def report(*, save: Any = None, **_: Any) -> None:
    if save:
        save()


def test_the_next_process_finds_what_was_saved(tmp_path: Path) -> None:
    place = tmp_path / "kept"
    place.mkdir()
    first, second = tmp_path / "first", tmp_path / "second"
    store = taken(job(place), first)
    assert store is not None
    given(store, first, report, done=1, save=lambda: (first / "state").write_text("1"))
    given(store, first, report, done=2)
    assert taken(job(place), second) is not None
    assert (second / "state").read_text() == "1"


def test_without_a_place_the_folder_is_all_there_is(tmp_path: Path) -> None:
    assert taken(job(""), tmp_path / "own") is None
    assert (tmp_path / "own").is_dir()


def test_a_place_that_is_not_there_fails_the_attempt_and_one_that_goes_does_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, own = tmp_path / "kept", tmp_path / "own"
    with pytest.raises(CheckpointsAway, match=r"TRAINYARD_CHECKPOINTS .* cannot be read"):
        taken(job(place), own)
    place.mkdir()
    store = taken(job(place), own)
    assert store is not None
    place.rmdir()
    place.write_text("a file now")
    given(store, own, report, done=1, save=lambda: (own / "state").write_text("1"))
    assert "a checkpoint is not kept in TRAINYARD_CHECKPOINTS" in capsys.readouterr().out
    assert (own / "state").read_text() == "1"
