"""One of several ranks that train a model of boosting, by itself: `rank_in_batches.py RANK SIZE FOLDER LIBRARY`.

It trains twice on large.parquet of the folder, where the ranks leave their texts for each other too: with memory for the
whole table, and without. Prints a line of JSON for each.
"""

import hashlib
import itertools
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from trainyard.contract import FileData, Split, Task
from trainyard.datasets import loading
from trainyard.datasets.access import DataAccess
from trainyard.trainer import Training
from trainyard.world import World
from trainyard_boosting import lightgbm_models, xgboost_models

HOW = re.compile(rb"^\[(?:force_col_wise|bin_construct_sample_cnt): \d+\]\n", re.MULTILINE)
"""What a model of LightGBM writes down of how its rows were held."""
CLASSIFIERS = {"xgboost": xgboost_models.classifier, "lightgbm": lightgbm_models.classifier}


def world_of(rank: int, size: int, folder: Path) -> World:
    numbers = itertools.count()

    def exchange(_: str, value: str) -> list[str]:
        number = next(numbers)
        unfinished = folder / f"{rank}-{number}.part"
        unfinished.write_text(value)
        unfinished.rename(folder / f"{rank}-{number}")
        files = [folder / f"{each}-{number}" for each in range(size)]
        while not all(file.exists() for file in files):
            time.sleep(0.01)
        return [file.read_text() for file in files]

    return World(rank, size, timeout_seconds=60, exchange=exchange)


def trained(world: World, folder: Path, memory_mb: int, classifier: Any) -> dict[str, object]:
    scores: list[float] = []

    def report(*, metrics: dict[str, float], **_: object) -> None:
        scores.append(metrics["validation_log_loss"])

    data = loading.load(
        FileData(source="file", uri="large.parquet", target="two", weight="weight"),
        Split(),
        task=Task.CLASSIFICATION,
        access=DataAccess(roots=(folder,), data_dir=folder, memory_mb=memory_mb),
        needs_whole=None,
    )
    checkpoints = folder / f"of-{world.rank}-{memory_mb}"
    checkpoints.mkdir()
    training = Training(
        seed=0,
        threads=1,
        checkpoints=checkpoints,
        report=report,
        checkpoint_due=lambda: False,
        note=lambda _: None,
        world=world,
    )
    fitted = classifier.train(classifier.params(n_estimators=5), data, training)
    fitted.save(str(checkpoints / "model"))
    model = hashlib.sha256(HOW.sub(b"", (checkpoints / "model").read_bytes())).hexdigest()
    return {"beyond": bool(data.beyond_memory), "model": model, "scores": scores}


if __name__ == "__main__":
    home = Path(sys.argv[3])
    mine = world_of(int(sys.argv[1]), int(sys.argv[2]), home)
    for memory_mb in (100, 2):
        found = trained(mine, home, memory_mb, CLASSIFIERS[sys.argv[4]])
        print(json.dumps(found), flush=True)  # noqa: T201 - to the test
