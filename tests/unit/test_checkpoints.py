"""A run's checkpoints, and the study of its search, on another host: taken as it begins, given after each save."""

from pathlib import Path
from typing import Any

import pytest
from fakes import job_of
from trainyard.contract import Dimension, Direction, Search
from trainyard.errors import CheckpointsAway
from trainyard.launcher.messages import Job
from trainyard.worker.checkpoints import given, taken
from trainyard.worker.search.kept import KeptStudy
from trainyard.worker.search.record import TrialRecord
from trainyard.worker.search.study import PARAMS, Study


def job(place: Path | str) -> Job:
    return job_of(checkpoints=str(place))


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


class Searching:
    """A host's process that searches, and what it tells MLflow."""

    def __init__(self, place: Path, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.now, self.told = folder, 0.0, list[int]()
        self.kept = KeptStudy.taken(
            job(place), folder, tell=self.told.append, clock=lambda: self.now
        )
        self.study = Study(
            folder,
            Search(),
            space={"depth": Dimension(low=1, high=99)},
            types={"depth": int},
            direction=Direction.MINIMIZE,
            seed=0,
        )

    def trial(self) -> int:
        """One that ends."""
        trial, params = self.study.ask()
        TrialRecord(number=trial.number, params=params, end="completed", value=0.5).write(
            self.folder
        )
        self.study.completed(trial, 0.5)
        self.kept.ended(trial.number)
        return trial.number


def test_a_search_whose_host_is_lost_goes_on_with_the_trials_that_mlflow_was_told_of(
    tmp_path: Path,
) -> None:
    (tmp_path / "kept").mkdir()
    first = Searching(tmp_path / "kept", tmp_path / "first")
    assert [first.trial(), first.trial()] == [0, 1]
    assert first.told == [0], "the study is kept again in 15 s"
    _, under_way = first.study.ask()
    first.now = 15.0
    first.kept.look()
    assert first.told == [0, 1]
    assert first.trial() == 3
    assert first.told == [0, 1]

    second = Searching(tmp_path / "kept", tmp_path / "second")
    assert [each.number for each in second.study.ended] == [0, 1]
    assert TrialRecord.read(second.folder, 1) == TrialRecord.read(first.folder, 1)
    assert second.trial() == 3, "what was not kept is free"
    again = second.study.all_ended[-1]
    assert again.user_attrs[PARAMS] == under_way
    assert second.told == [3]


def test_a_study_that_cannot_be_kept_goes_on_and_its_trials_are_told_of_in_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "kept"
    place.mkdir()
    search = Searching(place, tmp_path / "own")
    place.rmdir()
    place.write_text("a file now")
    search.trial()
    assert "the study is not kept in TRAINYARD_CHECKPOINTS" in capsys.readouterr().out
    assert search.told == []
    search.kept.finish()
    assert search.told == [0]
