"""The process that ends a host's runs when its actor does not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trainyard.host import lease_guard
from trainyard.host.lease_guard import LeaseGuard
from trainyard.launcher.process_id import process_id


def started(folder: Path) -> "subprocess.Popen[bytes]":
    """A process that would go on for ever, noted as a run's."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
    )
    (folder / str(process.pid)).mkdir(parents=True)
    (folder / str(process.pid) / "process_id").write_text(process_id(process.pid))
    return process


def test_runs_end_when_the_lease_does_and_nothing_later_was_told(tmp_path: Path) -> None:
    run, guard = started(tmp_path), LeaseGuard(tmp_path)
    ends_at = time.monotonic() + 1.0
    guard.tell(ends_at - 0.5)
    guard.tell(ends_at)
    assert run.wait(60) == -signal.SIGKILL
    assert time.monotonic() >= ends_at
    guard._process.kill()


def test_an_actor_that_is_gone_leaves_no_run(tmp_path: Path) -> None:
    run, guard = started(tmp_path), LeaseGuard(tmp_path)
    guard.tell(time.monotonic() + 0.1)
    assert guard._process.stdin is not None
    guard._process.stdin.close()
    assert run.wait(60) == -signal.SIGKILL
    assert guard._process.wait(60) == 0


def test_what_the_next_actor_begins_while_the_lease_of_one_that_died_goes_on_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both note their runs in the same folder."""
    run, of_next = started(tmp_path), []
    reads, writes = os.pipe()
    os.write(writes, f"{time.monotonic() + 60}\n".encode())
    os.close(writes)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: of_next.append(started(tmp_path)))
        lease_guard.main(str(tmp_path), reads)
    os.close(reads)
    assert run.wait(60) == -signal.SIGKILL
    (later,) = of_next
    assert later.poll() is None
    later.kill()
    later.wait(60)


def test_a_number_that_another_process_has_by_now_is_left_alone(tmp_path: Path) -> None:
    run, guard = started(tmp_path), LeaseGuard(tmp_path)
    (tmp_path / str(run.pid) / "process_id").write_text(f"fork:{run.pid}:1")
    guard.tell(time.monotonic())
    assert guard._process.stdin is not None
    guard._process.stdin.close()
    assert guard._process.wait(60) == 0
    assert run.poll() is None
    run.kill()
    run.wait(60)
