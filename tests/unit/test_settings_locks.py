"""Where promotions take turns: beside the runs, or where all services of one MLflow are told to."""

from pathlib import Path

from trainyard.settings import Settings


def test_locks_lie_in_the_work_directory_unless_a_folder_is_named(tmp_path: Path) -> None:
    assert Settings(work_dir=tmp_path / "boosting").locks == (tmp_path / "boosting/locks").resolve()


def test_services_that_are_given_one_folder_of_locks_share_it(tmp_path: Path) -> None:
    services = [
        Settings(work_dir=tmp_path / name, locks_dir=tmp_path / "locks")
        for name in ("boosting", "pytorch")
    ]
    assert {each.locks for each in services} == {(tmp_path / "locks").resolve()}
