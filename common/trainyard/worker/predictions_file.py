"""The predictions of a scoring as a Parquet file that grows slice by slice."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from trainyard.worker.champion import CannotScore
from trainyard.worker.scored_model import Predicted

NAME = "predictions.parquet"
PREDICTION, PROBABILITY = "prediction", "probability_"


class PredictionsFile:
    """Columns: those that are kept, `prediction`, and for a classification `probability_CLASS` for each class.

    It is a whole file once the block is left without an error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, predicted: Predicted, kept: pa.Table | None) -> None:
        """Add some rows. Raises `CannotScore` for answers that are of no one kind."""
        columns = {} if kept is None else dict(zip(kept.column_names, kept.columns, strict=True))
        columns[PREDICTION] = self._answers(predicted)
        if predicted.labels is not None:
            for label, column in zip(predicted.labels, predicted.values.T, strict=True):
                columns[f"{PROBABILITY}{label}"] = pa.array(np.ascontiguousarray(column))
        table = pa.table(columns)
        if self._writer is None:
            self._writer = ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)

    def _answers(self, predicted: Predicted) -> pa.Array:
        """The predictions, in the type of those before. A model that Trainyard did not make may answer with anything."""
        try:
            found = pa.array(predicted.prediction, _kind(predicted))
        except pa.ArrowException as error:
            raise CannotScore(f"its answers are of no one kind: {error}") from error
        if self._writer is None:
            return found
        kind = self._writer.schema.field(PREDICTION).type
        try:
            return found.cast(kind)
        except pa.ArrowException as error:
            raise CannotScore(
                f"it answers with {kind} for the first rows and with {found.type} for later ones: {error}"
            ) from error


def _kind(predicted: Predicted) -> pa.DataType | None:
    return pa.string() if predicted.labels and isinstance(predicted.labels[0], str) else None
