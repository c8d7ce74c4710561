"""Work in a process of its own: it answers, waits to be told, and dies alone."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from servers import until
from trainyard.worker import apart as apart_module
from trainyard.worker.apart import Apart

Wait = Callable[[], object]


def test_the_last_that_was_found_is_the_answer() -> None:
    before = random.getstate()

    def work(_: Wait) -> Iterator[tuple[int, float]]:
        yield os.getpid(), random.random()
        yield os.getpid(), random.random()

    found, how = Apart(work).answer()
    assert found is not None
    assert found[0] != os.getpid()
    assert how == "exit code 0"
    assert random.getstate() == before


def test_it_waits_until_it_is_told_to_go_and_with_what(tmp_path: Path) -> None:
    def work(trained: Wait) -> Iterator[tuple[str, object]]:
        (tmp_path / "begun").touch()
        yield "begun", None
        given = trained()
        yield (tmp_path / "trained").read_text(), given

    apart = Apart(work)
    until((tmp_path / "begun").exists, "its beginning")
    (tmp_path / "trained").write_text("by now")
    more_than_a_pipe_holds = "x" * 3_000_000
    apart.go(more_than_a_pipe_holds)
    assert apart.answer() == (("by now", more_than_a_pipe_holds), "exit code 0")


def test_what_ends_it_ends_it_alone() -> None:
    def killed(_: Wait) -> Iterator[str]:
        yield "begun"
        os.kill(os.getpid(), signal.SIGKILL)

    def left(_: Wait) -> Iterator[str]:
        if os.getpid():
            os._exit(3)
        yield "never"

    assert Apart(killed).answer() == ("begun", "signal 9")
    assert Apart(left).answer() == (None, "exit code 3")


def test_one_that_does_nothing_for_long_is_ended_and_one_that_works_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that works stands back for nobody: beside other tests it would do nothing for as long."""
    monkeypatch.setattr(apart_module, "NICER", 0)

    def stuck(_: Wait) -> Iterator[str]:
        yield "begun"
        signal.pause()

    def busy(_: Wait) -> Iterator[str]:
        ends = time.process_time() + 1.2
        while time.process_time() < ends:
            pass
        yield "done"

    assert Apart(stuck, idle_seconds=0.2).answer() == ("begun", "signal 9")
    deaf = Apart(stuck, idle_seconds=0.2)
    deaf.go("x" * 3_000_000)
    assert deaf.answer() == ("begun", "signal 9")
    assert Apart(busy, idle_seconds=0.5).answer() == ("done", "exit code 0")


def test_it_ends_with_the_run_and_at_once_when_it_is_asked_to(tmp_path: Path) -> None:
    def work(_: Wait) -> Iterator[None]:
        (tmp_path / "pid").write_text(f"{os.getpid()}\n")
        signal.pause()
        yield

    def pid() -> int:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "its id")
        return int((tmp_path / "pid").read_text())

    stopped = Apart(work)
    os.kill(pid(), signal.SIGTERM)
    assert stopped.answer() == (None, "signal 15")

    (tmp_path / "pid").unlink()
    run = os.fork()
    if run == 0:
        Apart(work)
        signal.pause()
    its = psutil.Process(pid())
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    until(lambda: not its.is_running() or its.status() == psutil.STATUS_ZOMBIE, "its end")
