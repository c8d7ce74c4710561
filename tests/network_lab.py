"""Trains in the environment of a service for tests that run in another: a job a line in, a result a line out."""

import json
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from trainyard.contract import BuiltinData, ImageData, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.loading import load
from trainyard.raw_columns import ISO, features_of
from trainyard.service import installed_service
from trainyard.trainer import Data, Interrupted, Part, Training, load_catalogue
from trainyard.worker.evaluation import evaluate

IMAGES_AT = "images at "
TRAINERS = load_catalogue(installed_service().package, None).trainers


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        sys.stdout.write("RESULT " + json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Train once, from the checkpoint in `folder` where one is. `stop`: how many reports with (`epochs`) or without metrics (`asks`) until the run is asked to stop."""
    trainer = TRAINERS[job["model"]]
    data = data_of(job["data"], trainer)
    if job.get("no_validation"):
        data = replace(data, validation=None)
    folder = Path(job["folder"])
    folder.mkdir(exist_ok=True)
    result: dict[str, Any] = {"history": {}, "notes": [], "asks": 0, "epochs": 0}

    def report(
        *,
        done: int,
        total: int,
        unit: str,
        metrics: dict[str, float],
        save: Callable[[], object] | None = None,
    ) -> None:
        if save:
            save()
        assert unit == "epochs"
        assert 0 <= done <= total
        result["epochs" if metrics else "asks"] += 1
        for name, value in metrics.items():
            result["history"].setdefault(name, []).append([done, value])
        if any(result[kind] >= count for kind, count in job.get("stop", {}).items()):
            raise Interrupted

    training = Training(
        seed=job.get("seed", 0),
        threads=1,
        checkpoints=folder,
        report=report,
        checkpoint_due=lambda: False,
        halvings=job.get("halvings", 0),
        note=result["notes"].append,
    )
    before = resource.getrlimit(resource.RLIMIT_AS)
    if "spare_mb" in job:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + job["spare_mb"] * 2**20, before[1]))
    try:
        fitted = trainer.train(trainer.params.model_validate(job.get("params", {})), data, training)
    except BaseException as error:  # noqa: BLE001 - told to the test
        return {**result, "error": type(error).__name__, "detail": str(error)}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    predicted = fitted.predict(data.test.x)
    np.save(folder / "predicted.npy", predicted)
    if "save" in job:
        save(fitted, Path(job["save"]), data.test.x, folder)
    if "alike" in job:
        result["alike"] = said_of_alike(job["save"], data.test.x, predicted)
    return {**result, "metrics": evaluate(trainer.task, predicted, data.test, data.classes, "test")}


def save(fitted: Any, path: Path, x: Any, folder: Path) -> None:
    """Save the model as it is logged, and raw rows beside what it predicts of them."""
    fitted.save_model(path, input_example=fitted.raw_example(x))
    if isinstance(x, pd.DataFrame):
        x.to_json(folder / "raw.json", orient="split", date_format="iso")
    else:
        np.save(folder / "raw.npy", x)


def said_of_alike(path: str, raw: Any, predicted: Any) -> dict[str, Any]:
    """What the logged model makes of the same images in other forms, and of what is none of them."""
    model = mlflow.pyfunc.load_model(path)
    first = np.moveaxis(raw, -1, 1)
    alike = [
        raw,
        raw / 255,
        (raw / 255).astype("float32"),
        raw.astype("uint16"),
        first,
        first / 255,
    ]
    alike += [raw[..., 0]] if raw.shape[-1] == 1 else []
    refused = []
    for other in (raw.astype("uint16") * 257, raw / 255 - 0.5, np.concatenate([raw, raw], axis=-1)):
        try:
            refused.append(str(model.predict(other)))
        except Exception as error:  # noqa: BLE001 - told to the test
            refused.append(f"refused: {error}")
    return {
        "classes": model.metadata.metadata["classes"],
        "unlike": [
            f"{each.dtype} of {each.shape}"
            for each in alike
            if not np.allclose(model.predict(each), predicted, atol=1e-4)
        ],
        "refused": refused,
    }


def data_of(name: str, trainer: Any) -> Data:
    """A builtin (`mnist` out of TRAINYARD_TEST_DATA), `images` for digits as images, `tiny` for images of 2 x 2, or `mixed` for a table with gaps and categories, also in files; or `images at` and their path."""
    if name == "mixed":
        return mixed(trainer.task)
    if name.startswith(IMAGES_AT):
        folder = Path(name.removeprefix(IMAGES_AT))
        spec = ImageData(source="images", uri=folder.name)
        there = DataAccess((folder.parent,), folder.parent)
        return load(spec, Split(), task=trainer.task, access=there, kinds=("images",))
    if name == "mixed, in files":
        return replace(mixed(trainer.task), beyond_memory="it is said to be too large")
    kinds = ("images",) if name in {"images", "tiny", "mnist"} else trainer.data
    access = DataAccess((), Path(os.environ.get("TRAINYARD_TEST_DATA", "")), (), None)
    builtin = BuiltinData(source="builtin", name="digits" if name in {"images", "tiny"} else name)
    data = load(builtin, Split(), task=trainer.task, access=access, kinds=kinds)
    if name == "tiny":
        small = [
            replace(part, x=part.x[:, :2, :2])
            for part in (data.train, data.validation, data.test)
            if part
        ]
        data = replace(data, train=small[0], validation=small[1], test=small[2])
    return data


def mixed(task: Task) -> Data:
    """What to predict depends on a category and on a number, of which one in ten is missing; two columns are of no use, one of dates."""
    rng = np.random.default_rng(0)
    colour, size, code = (
        rng.choice(["red", "green", "blue"], 600),
        rng.normal(50, 20, 600),
        rng.integers(1, 4, 600),
    )
    value = (colour == "red") * 2.0 + (size > 50) + (code == 2) * 4.0
    size[rng.random(600) < 0.1] = np.nan
    when = np.datetime64("2024-01-01", "us") + rng.integers(0, 5_000, 600) * np.timedelta64(1, "h")
    when[::7] = np.datetime64("NaT")
    frame = pd.DataFrame(
        {
            "the colour": pd.Categorical(
                np.where(rng.random(600) < 0.05, None, colour), ["blue", "green", "red"]
            ),
            "size [cm]": size,
            "code": pd.Categorical(code, [1, 2, 3]),
            "flag": rng.random(600) < 0.5,
            "when": when,
        }
    )
    y = value * 100 if task is Task.REGRESSION else np.digitize(value, [1.5, 4.5])
    weight = rng.random(600) + 0.5
    parts = [
        Part(frame.iloc[rows], y[rows], weight[rows])
        for rows in (slice(400), slice(400, 500), slice(500, None))
    ]
    return Data(
        kind="table",
        name="mixed",
        source="test",
        digest="0",
        task=task,
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        target="y",
        classes=None if task is Task.REGRESSION else ("high", "low", "mid"),
        dates={"when": {"zone": None, "formats": [ISO], "missing": []} | features_of(when[:400])},
    )


if __name__ == "__main__":
    main()
