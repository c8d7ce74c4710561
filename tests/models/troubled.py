"""A model for the tests: it goes wrong as it is told, waits where it is told, and predicts the majority."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

import mlflow.sklearn
import pandas as pd
from pydantic import BaseModel, Field, field_serializer
from sklearn.dummy import DummyClassifier
from trainyard import errors
from trainyard.contract import Task
from trainyard.trainer import Data, Params, Training

Place = Literal["train", "predict", "log_model"]


class TroubledParams(Params):
    """What goes wrong, and where it waits for a file named `go` beside its checkpoints."""

    rounds: int = Field(3, ge=1)
    trouble: str | None = None
    at: Place = "train"
    hold: Place | None = None
    within: Literal["a serializer", "a finalizer", "another process"] | None = Field(
        None,
        description="Where it waits: what pydantic makes an error of its own, what Python passes over, what SIGTERM ends",
    )
    batch_size: int = Field(256, ge=1)
    killed_at: int = Field(
        0,
        description="The round whose checkpoint the process does not outlive, where the trouble is `killed_once_saved`",
    )
    fits: int = Field(
        64,
        ge=1,
        description="The batch for which there is memory, where the trouble is `too_large`",
    )


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even its text")


class Written(BaseModel):
    """Waits where it is written."""

    wait: Callable[[], None]

    @field_serializer("wait")
    def _waited(self, wait: Callable[[], None]) -> None:
        wait()


class Forgotten:
    """Waits where it is forgotten."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait

    def __del__(self) -> None:
        self.wait()


WAITS: Mapping[str | None, Callable[[Callable[[], None]], Any]] = {
    None: lambda wait: wait(),
    "a serializer": lambda wait: Written(wait=wait).model_dump_json(),
    "a finalizer": lambda wait: Forgotten(wait) and None,
    "another process": lambda _: subprocess.run(["sleep", "1000"], check=True),
}


def segfault() -> None:
    ctypes.string_at(0)


def fail(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def leave_a_child() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    print(f"child {child.pid}", flush=True)  # noqa: T201 - to the run's log


def fill_the_disk() -> None:
    """As if the run's folder were on a full volume: what it prints has no space, nor has its outcome."""
    (Path(os.environ["TMPDIR"]).resolve().parent / "outcome.tmp").symlink_to("/dev/full")
    full = os.open("/dev/full", os.O_WRONLY)
    for number in (1, 2):
        os.dup2(full, number)
    raise OSError(errno.ENOSPC, "No space left on device")


def print_bytes() -> None:
    os.write(1, b"\xff\xfe\x00 no text\n")


TROUBLES: Mapping[str, Callable[[], Any]] = {
    "invalid_data": fail(errors.InvalidData("row 7 holds a banana")),
    "invalid_params": fail(errors.InvalidParams("no such banana")),
    "diverged": fail(errors.Diverged()),
    "out_of_memory": fail(errors.OutOfMemory()),
    "memory_error": fail(MemoryError()),
    "gpu_out_of_memory": fail(errors.GpuOutOfMemory()),
    "disk_full": fail(errors.DiskFull()),
    "full_disk": fill_the_disk,
    "no_space": fail(OSError(errno.ENOSPC, "No space left on device")),
    "registry_conflict": fail(errors.RegistryConflict("the version is taken")),
    "tracking_unavailable": fail(errors.TrackingUnavailable()),
    "a_bug": fail(ZeroDivisionError("banana")),
    "unprintable": fail(Unprintable()),
    "surrogate": fail(ValueError("\ud800")),
    "long": fail(ValueError("banana " * 100_000)),
    "exit": lambda: sys.exit(3),
    "keyboard": fail(KeyboardInterrupt()),
    "gone": lambda: os._exit(3),
    "segfault": segfault,
    "child": leave_a_child,
    "bytes": print_bytes,
}


class Script:
    """One run's troubles."""

    def __init__(self, params: TroubledParams, training: Training) -> None:
        self.params = params
        self.training = training

    def reached(self, place: Place) -> None:
        if self.params.hold == place:
            print(f"waits in {place}", flush=True)  # noqa: T201 - to the run's log
            WAITS[self.params.within](self.wait)
        if self.params.at == place and self.params.trouble in TROUBLES:
            TROUBLES[self.params.trouble]()

    def wait(self) -> None:
        tick = threading.Event()
        while not (self.training.checkpoints / "go").exists():
            tick.wait(0.02)


class FittedTroubled:
    def __init__(self, model: DummyClassifier, script: Script) -> None:
        self.model = model
        self.script = script

    def predict(self, x: pd.DataFrame) -> Any:
        self.script.reached("predict")
        return self.model.predict_proba(x)

    def feature_importance(self) -> None:
        return None

    def raw_example(self, x: pd.DataFrame) -> pd.DataFrame:
        return x.head(2)

    def log_model(self, **arguments: Any) -> None:
        if self.script.params.hold == "log_model":
            mlflow.initialize_logged_model("model")  # as MLflow does first
        self.script.reached("log_model")
        example = arguments["input_example"]
        mlflow.sklearn.log_model(
            self.model,
            signature=mlflow.models.infer_signature(example, self.model.predict(example)),
            pip_requirements=[f"scikit-learn=={version('scikit-learn')}"],
            serialization_format="cloudpickle",
            **arguments,
        )


class Troubled:
    name = "troubled"
    task = Task.CLASSIFICATION
    data = ("table",)
    framework = "scikit-learn"
    description = "Goes wrong as it is told"
    params = TroubledParams
    example: ClassVar[dict[str, Any]] = {
        "model": "troubled",
        "data": {"source": "builtin", "name": "iris"},
    }

    def autolog(self) -> None:
        pass

    def train(self, params: TroubledParams, data: Data, training: Training) -> FittedTroubled:
        script = Script(params, training)
        if params.trouble == "too_large" and params.batch_size >> training.halvings > params.fits:
            raise MemoryError
        saved = training.checkpoints / "round"
        first = int(saved.read_text()) if saved.exists() else 0
        training.report(done=first, total=params.rounds, unit="rounds", metrics={})
        for done in range(first + 1, params.rounds + 1):
            save = partial(saved.write_text, str(done)) if training.checkpoint_due() else None
            if (
                save is None and params.trouble == "asked_to_stop" and done == 2
            ):  # after the question, before the report
                os.kill(os.getpid(), signal.SIGTERM)
            if params.trouble == "killed_once_saved" and done == params.killed_at:
                save = partial(self._save_and_die, saved, done)
            loss = float("nan") if params.trouble == "nan" and done == params.rounds else 1 / done
            training.report(
                done=done,
                total=params.rounds,
                unit="rounds",
                metrics={"train_log_loss": loss},
                save=save,
            )
        script.reached("train")
        return FittedTroubled(
            DummyClassifier(strategy="prior").fit(data.frame, data.train.y), script
        )

    @staticmethod
    def _save_and_die(saved: Path, done: int) -> None:
        saved.write_text(str(done))
        os.kill(os.getpid(), signal.SIGKILL)


troubled = Troubled()
