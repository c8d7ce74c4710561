"""What an operator sets: the token and where it is read from, and the threads that runs share."""

import io
import os
from pathlib import Path

import pytest
from joblib.externals.loky.backend import context as loky
from pydantic import ValidationError
from trainyard.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TRAINYARD_TOKEN", "LOKY_"))]:
        monkeypatch.delenv(name)


def test_the_token_is_read_from_its_file_without_the_line_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("from the file\n")
    monkeypatch.setenv("TRAINYARD_TOKEN_FILE", str(path))
    assert Settings().secret == "from the file"
    assert Settings(host="0.0.0.0").secret == "from the file"
    monkeypatch.setenv("TRAINYARD_TOKEN", "from the variable")
    assert Settings().secret == "from the variable"


def test_without_a_token_there_is_none() -> None:
    assert Settings().secret is None


@pytest.mark.parametrize("content", ["", "\n", " \t\n"])
def test_an_empty_token_file_is_an_error_and_not_an_open_service(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    monkeypatch.setenv("TRAINYARD_TOKEN_FILE", str(path))
    with pytest.raises(ValidationError, match=f"TRAINYARD_TOKEN_FILE: {path} is empty"):
        Settings()


def test_a_token_file_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_TOKEN_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ValidationError, match="TRAINYARD_TOKEN_FILE cannot be read"):
        Settings()


def test_a_variable_that_names_no_token_file_is_an_error_unless_the_token_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRAINYARD_TOKEN_FILE", "")
    with pytest.raises(ValidationError, match="TRAINYARD_TOKEN_FILE is set and names no file"):
        Settings()
    monkeypatch.setenv("TRAINYARD_TOKEN", "given")
    assert Settings().secret == "given"


def test_a_service_that_others_can_reach_needs_a_token() -> None:
    with pytest.raises(ValidationError, match="set TRAINYARD_TOKEN or TRAINYARD_TOKEN_FILE"):
        Settings(host="0.0.0.0")


@pytest.mark.parametrize(
    ("quota", "slots", "threads"),
    [
        ("max 100000", 1, 64),
        ("600000 100000", 1, 6),
        ("600000 100000", 4, 1),
        ("250000 100000", 1, 3),
        ("50000 100000", 1, 1),
        ("50000 100000", 8, 1),
    ],
)
def test_threads_follow_the_container_s_cpu_quota(
    quota: str, slots: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container of 64 cores with a quota, as the kernel tells it: by joblib's file of it."""
    cpu_max = "/sys/fs/cgroup/cpu.max"
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(
        loky, "open", lambda path: io.StringIO({cpu_max: quota}[path]), raising=False
    )
    monkeypatch.setattr(os.path, "exists", lambda path: path == cpu_max)
    assert Settings(slots=slots).threads_a_slot == threads


def test_threads_that_are_set_are_divided_among_the_slots() -> None:
    assert Settings(threads=8, slots=3).threads_a_slot == 2
    assert Settings(threads=1, slots=3).threads_a_slot == 1


@pytest.mark.parametrize(
    "place", ["", "/shared/checkpoints", "s3://kept", "s3://kept/checkpoints/"]
)
def test_checkpoints_are_kept_in_a_folder_or_in_s3(place: str) -> None:
    assert Settings(checkpoints=place).checkpoints == place


@pytest.mark.parametrize("place", ["checkpoints", "s3://", "s3:///", "~/kept"])
def test_a_place_for_checkpoints_that_hosts_would_not_share_is_an_error(place: str) -> None:
    with pytest.raises(ValidationError, match=r"TRAINYARD_CHECKPOINTS is .*s3://bucket/folder"):
        Settings(checkpoints=place)
