"""A run's work directory on disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from trainyard.rundir.folder import RunFolder


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ty-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def deep(short: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run's folder whose path leaves no room for sockets, beside a system's temporary folder that does."""
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    path = short / ("deep" * 20) / "run"
    path.mkdir(parents=True)
    return RunFolder(path)


def test_a_short_temporary_folder_goes_by_its_own_name(short: Path) -> None:
    folder = RunFolder(short / "run")
    folder.path.mkdir()
    assert folder.make_temporary() == folder.temporary
    assert folder.temporary.is_dir()


def test_a_deep_temporary_folder_has_a_short_name_until_the_run_is_closed(deep: RunFolder) -> None:
    name = deep.make_temporary()
    assert len(str(name)) <= 60
    assert name.samefile(deep.temporary)
    assert deep.make_temporary() == name  # the next attempt's
    deep.close()
    assert not name.is_symlink()
    assert not deep.temporary.exists()


def test_a_short_name_that_is_taken_is_left_alone(deep: RunFolder) -> None:
    deep.temporary_link.mkdir()
    assert deep.make_temporary() == deep.temporary
    deep.close()
    assert deep.temporary_link.is_dir()


def test_what_ranks_leave_is_forgotten_with_the_attempt_and_gone_once_the_run_is_closed(
    deep: RunFolder,
) -> None:
    assert deep.of_rank(0) is deep
    names = []
    for rank in (1, 12):
        own = deep.of_rank(rank)
        own.path.mkdir()
        names.append(own.make_temporary())
    assert set(deep.ranks) == {1, 12}
    assert len({*names, deep.make_temporary()}) == 3
    deep.forget_outcome()
    assert not deep.ranks
    assert not any(name.is_symlink() for name in names)
    assert deep.temporary.exists()
    deep.of_rank(1).path.mkdir()
    deep.close()
    assert not deep.ranks
