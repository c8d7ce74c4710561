"""Trials as processes: each way to fail is the trial's own, and the pictures are drawn beside what follows."""

import importlib
import json
import math
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Self
from unittest.mock import MagicMock

import numpy as np
import pytest
from pydantic import model_validator
from trainyard.contract import Searched, Split, Task, TrainRequest
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.rundir.folder import RunFolder
from trainyard.trainer import Data, Params, Training
from trainyard.worker.search.forker import Forker
from trainyard.worker.search.record import TrialRecord
from trainyard.worker.search.searching import search
from trainyard.world import World

SLOW = "slow_to_import"
MOODS = ["fine", "diverges", "out_of_memory", "killed", "refused"]


class MoodyParams(Params):
    mood: Literal["fine", "diverges", "out_of_memory", "killed", "refused"] = "fine"

    @model_validator(mode="after")
    def _is_not_refused(self) -> Self:
        if self.mood == "refused":
            message = "no such mood"
            raise ValueError(message)
        return self


class Fitted:
    def predict(self, x: Any) -> Any:
        return np.full((len(x), 3), 1 / 3)


class Moody:
    """Ends as its mood says."""

    name = "moody"
    task = Task.CLASSIFICATION
    data = ("table",)
    params = MoodyParams

    def prepare(self, params: MoodyParams, data: Data) -> str:
        return f"{params.mood} rows in process {os.getpid()}: {len(data.train)}"

    def train(self, params: MoodyParams, data: Data, training: Training) -> Fitted:
        assert data.prepared.startswith(f"fine rows in process {os.getppid()}: "), data.prepared
        assert not len(data.test)
        assert not training.watch_train, "validation_log_loss is what the search goes by"
        assert training.threads == len([*Path("/proc/self/task").iterdir()]) == 1
        loss = math.nan if params.mood == "diverges" else 1.0
        training.report(done=1, total=1, unit="rounds", metrics={"validation_log_loss": loss})
        if params.mood == "out_of_memory":
            np.empty(1 << 50)
        if params.mood == "killed":  # as the kernel does where memory runs out
            os.kill(os.getpid(), signal.SIGKILL)
        return Fitted()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "artifacts").mkdir()
    return RunFolder(tmp_path)


def searched(
    folder: RunFolder, body: dict[str, Any], trainer: Any, system_metrics: Any
) -> Searched:
    """What a search of this request finds, drawn."""
    request = TrainRequest.model_validate_json(json.dumps(body))
    access = DataAccess((), folder.path, (), None)
    data = load(request.data, Split(), task=Moody.task, kinds=Moody.data, access=access)
    job: Any = SimpleNamespace(
        submission=SimpleNamespace(request=request),
        threads=2,
        halvings=0,
        patience_seconds=1.0,
        checkpoints="",
    )
    found, drawing = search(
        job, folder, trainer, data, MagicMock(stopping=False), MagicMock(), World(), system_metrics
    )
    drawing.finish()
    return found


def test_a_trial_that_fails_in_any_way_is_a_failed_trial_and_no_failed_search(
    folder: RunFolder,
) -> None:
    body = {
        "model": "moody",
        "data": {"source": "builtin", "name": "iris"},
        "search": {"space": {"mood": MOODS}, "sampler": "grid", "trials": 5, "parallel": 2},
    }
    found = searched(folder, body, Moody(), MagicMock())

    assert (found.completed, found.failed, found.best_params) == (1, 4, {"mood": "fine"})
    records = [TrialRecord.read(folder.search, number) for number in range(5)]
    why = {each.params["mood"]: each.why for each in records if each}
    assert why.pop("fine") == ""
    assert {mood: each.partition(":")[0] for mood, each in why.items()} == {
        "diverges": "diverged",
        "out_of_memory": "out_of_memory",
        "killed": "killed_by_signal",
        "refused": "invalid_params",
    }
    assert "SIGKILL" in why["killed"]
    drawn = {each.name for each in (folder.artifacts / "search").iterdir()}
    assert {"trials.csv", "best_params.json", "history.png"} <= drawn


class LeveledParams(Params):
    level: int = 1


class Leveled(Moody):
    """Is as good as its level, by a framework that makes whatever is raised in a callback an error of its own."""

    name = "leveled"
    params = LeveledParams

    def prepare(self, params: Params, data: Data) -> None:  # type: ignore[override]  # noqa: ARG002
        return None

    def train(self, params: LeveledParams, data: Data, training: Training) -> Fitted:  # type: ignore[override]  # noqa: ARG002
        for done in range(1, 5):
            try:
                training.report(
                    done=done,
                    total=4,
                    unit="rounds",
                    metrics={"validation_log_loss": params.level},
                )
            except BaseException as error:  # noqa: BLE001 - as such frameworks do
                raise RuntimeError(f"in the callback: {error!r}") from None
        return Fitted()


def test_a_trial_that_is_pruned_inside_a_framework_which_makes_that_an_error_is_no_failed_one(
    folder: RunFolder,
) -> None:
    levels = [*range(1, 13)]
    body = {
        "model": "leveled",
        "data": {"source": "builtin", "name": "iris"},
        "search": {"space": {"level": levels}, "sampler": "grid", "trials": 12, "parallel": 1},
    }
    found = searched(folder, body, Leveled(), MagicMock())
    assert found.failed == 0
    assert found.pruned > 0
    assert found.pruned + found.completed == len(levels)


class Importing(Moody):
    """Imports, as it trains, what MLflow's monitor imports as it starts."""

    def train(self, params: MoodyParams, data: Data, training: Training) -> Fitted:  # noqa: ARG002
        importlib.import_module(SLOW)
        training.report(done=1, total=1, unit="rounds", metrics={"validation_log_loss": 1.0})
        return Fitted()


class Monitor:
    """Starts as MLflow's does, and holds the lock of the module that it imports for longer than a trial takes to begin."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def start(self) -> None:
        if not self.threads:
            self.threads.append(threading.Thread(target=importlib.import_module, args=(SLOW,)))
            self.threads[0].start()

    def settle(self) -> None:
        for thread in self.threads:
            thread.join()


def test_no_trial_waits_for_a_module_that_the_monitor_of_the_system_imports_meanwhile(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock would be held for ever in what is forked meanwhile."""
    (tmp_path / f"{SLOW}.py").write_text("import time\ntime.sleep(2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    body = {
        "model": "moody",
        "data": {"source": "builtin", "name": "iris"},
        "search": {"space": {"mood": ["fine"]}, "sampler": "grid", "trials": 1},
    }
    monitor = Monitor()
    found = searched(folder, body, Importing(), monitor)
    assert found.completed == 1
    assert monitor.threads
    monitor.settle()


def test_a_process_that_forks_trials_is_ended_also_where_it_hangs() -> None:
    """As one that waits for a lock that another thread had as it was forked: the run waited for it, for ever."""
    forker = Forker(lambda: threading.Event().wait())  # type: ignore[arg-type, return-value]
    pid = forker._pid
    forker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    forker.close()
