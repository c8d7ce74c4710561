"""The lock of a registered model, among real processes."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from trainyard.registry.lock import model_lock

HOLDER = """
import sys, time
from pathlib import Path
from trainyard.registry.lock import model_lock

print("asks", flush=True)
with model_lock(sys.argv[1], Path(sys.argv[2])):
    print(time.monotonic(), flush=True)
    sys.stdin.read()
"""


class Holder:
    """A process that takes a model's lock and holds it until its standard input is closed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "asks"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def held_at(self) -> float:
        return float(self.line())

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def die(self) -> None:
        self.process.kill()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)


@pytest.mark.parametrize("end", [Holder.let_go, Holder.die])
def test_a_second_process_waits_until_the_first_lets_go_or_dies(
    tmp_path: Path, end: Callable[[Holder], None]
) -> None:
    folder = tmp_path / "locks"
    holders = [Holder("m", folder)]
    try:
        holders[0].held_at()
        holders += [Holder("m", folder), Holder("n", folder)]
        holders[2].held_at()  # another model's lock is another one
        ended = time.monotonic()
        end(holders[0])
        assert holders[1].held_at() >= ended
    finally:
        for holder in holders:
            holder.end()


def fail_while_holding(folder: Path) -> None:
    with model_lock("a/b name", folder):
        raise ZeroDivisionError


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail_while_holding(tmp_path)
