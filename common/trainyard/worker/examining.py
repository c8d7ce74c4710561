"""What there is to know about the holder of an alias without the model that may replace it.

Its predictions of the run's test rows, the run that made it, and how the data has changed since.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from mlflow.entities.model_registry import ModelVersion

from trainyard.drift.comparison import Drift, compare
from trainyard.errors import TrackingUnavailable
from trainyard.trainer import Data
from trainyard.worker.champion import CannotScore
from trainyard.worker.drift_report import drift_report
from trainyard.worker.held_out_rows import HeldOutRows
from trainyard.worker.holders import Holders, NotHere

Array = npt.NDArray[Any]
Elsewhere = Callable[[ModelVersion, Data, str], Array]
"""Another service's predictions of the test rows, for a model that this one cannot load, and why that is."""


@dataclass(frozen=True)
class Dossier:
    """About the data of one holder."""

    seen: int | None = None
    """How many of the test rows it was trained on; None where that cannot be told."""
    drift: Drift | None = None
    """None where its run is gone, or has left no sketches of its columns."""
    report: Mapping[str, bytes] = field(default_factory=dict)
    """Of the drift."""


@dataclass(frozen=True)
class Examined:
    """One holder."""

    predicted: Array | None = None
    """Of the test rows: probabilities of (n, classes), or values of (n,)."""
    incomparable: str | None = None
    """Why there are none."""
    dossier: Dossier = field(default_factory=Dossier)


def examined(
    holder: ModelVersion, data: Data, rows: HeldOutRows, *, holders: Holders, elsewhere: Elsewhere
) -> Examined:
    """Score the holder on the rows, and look at what its data was. Raises `TrackingUnavailable`."""
    try:
        predicted = _predicted(holder, data, rows, holders, elsewhere)
    except CannotScore as error:
        return Examined(incomparable=str(error))
    return Examined(predicted, dossier=_dossier(holder, data, rows, holders))


def _predicted(
    holder: ModelVersion, data: Data, rows: HeldOutRows, holders: Holders, elsewhere: Elsewhere
) -> Array:
    """Raises `CannotScore`."""
    try:
        model = holders.model(holder)
    except NotHere as error:
        return elsewhere(holder, data, str(error))
    return rows.predicted_by(model, data.classes)


def _dossier(holder: ModelVersion, data: Data, rows: HeldOutRows, holders: Holders) -> Dossier:
    """Empty, with a line in the log, where MLflow does not show its run, or what that has left is not as Trainyard writes it."""
    try:
        return _compiled(holder, data, rows, holders)
    except TrackingUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the holder's predictions are there, and compare the two
        why = f"{type(error).__name__}: {error}"
        sys.stdout.write(
            f"what the data of version {holder.version} was like cannot be told: {why}\n"
        )
        return Dossier()


def _compiled(holder: ModelVersion, data: Data, rows: HeldOutRows, holders: Holders) -> Dossier:
    run = holders.run(holder)
    if run is None:
        return Dossier()
    profile = holders.profile(run)
    seen = rows.seen_by(run.data.tags, profile)
    mine, theirs = (each.get("sketches") for each in (data.profile, profile))
    if not mine or not theirs:
        return Dossier(seen)
    drift = compare(mine, theirs)
    return Dossier(seen, drift, drift_report(drift))
