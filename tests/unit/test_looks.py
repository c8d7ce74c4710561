"""Orders that a forked process carries out, and what is left of it when it has ended."""

import os
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from trainyard.launcher.looks import Look, Looks


def carry_out(order: Any, trainer: Any, pipe: int) -> NoReturn:
    """Fetch a model, as it were, tell where it is, and end as the order says."""
    del trainer
    folder = Path(tempfile.mkdtemp())
    (folder / "model").write_bytes(b"weights")
    os.write(pipe, f"{folder} {os.environ['TMPDIR']}".encode())
    if order.killed:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


def found(look: Look[Any], code: int) -> Any:
    return bytes(look.told).decode(), code


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_process_keeps_for_a_while_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answers: list[Any] = []
    looks: Looks[Any] = Looks(answers.append, lambda: None, carry_out, found, at_once=1)
    looks.add(SimpleNamespace(seconds=60.0, killed=killed), None)
    pid, status = os.waitpid(-1, 0)
    assert looks.ended(pid, os.waitstatus_to_exitcode(status))
    [(told, code)] = answers
    folder, temporary = map(Path, told.split())
    assert code == (-signal.SIGKILL if killed else 0)
    assert folder.parent == temporary
    assert temporary.parent == tmp_path
    assert not [*tmp_path.iterdir()]
