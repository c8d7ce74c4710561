"""What launchers leave among the temporary files, and who removes it."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from trainyard.launcher import own_folder
from trainyard.launcher.own_folder import LEAST_AGE_SECONDS, LOCK, OwnFolder, clear_leftovers

HOLDS = "from trainyard.launcher.own_folder import OwnFolder; own = OwnFolder(); print(own.path, flush=True); input()"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def age(folder: Path) -> None:
    at = (folder / LOCK).stat().st_mtime - 2 * LEAST_AGE_SECONDS
    os.utime(folder / LOCK, (at, at))


def killed() -> Path:
    """The folder of a process that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
    return folder


def test_what_a_launcher_left_that_was_killed_is_removed_and_nothing_else(temporary: Path):
    left, new, own = killed(), killed(), OwnFolder()
    (left / "runs").touch()
    age(left)
    age(own.path)
    others = temporary / "trainyard-of-somebody"
    others.mkdir()
    clear_leftovers()
    assert not left.exists()
    assert new.exists(), "it may be of a launcher that begins"
    assert own.path.exists()
    assert others.exists()
    own.close()
    assert not own.path.exists()


def test_of_links_those_that_lead_nowhere_are_removed(temporary: Path):
    (temporary / "there").mkdir()
    leads, dangles = temporary / "trainyard-1", temporary / "trainyard-2"
    leads.symlink_to(temporary / "there")
    dangles.symlink_to(temporary / "gone")
    clear_leftovers()
    assert leads.is_symlink()
    assert not dangles.is_symlink()


def test_what_is_of_another_user_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    left = killed()
    age(left)
    monkeypatch.setattr(own_folder.os, "getuid", lambda: os.geteuid() + 1)
    clear_leftovers()
    assert left.exists()
