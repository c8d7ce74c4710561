"""Images to score: read whole, as bytes, and given in slices."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.contract import BuiltinData, ImageData, ScoreRequest, Split, Task
from trainyard.datasets.access import DataAccess
from trainyard.datasets.builtin import builtin_images
from trainyard.datasets.images.pictures import Labelled, read_images
from trainyard.datasets.loading import load
from trainyard.datasets.scoring.rows import RowsToScore, Slice, Truth

IMAGES_AT_ONCE = 512


def rows_of_images(request: ScoreRequest, access: DataAccess) -> RowsToScore:
    """All images, those set apart for the test last; or those that test. Raises `InvalidData`."""
    if request.rows == "test":
        return _tests(request, request.split or Split(), access)
    spec = request.data
    parts = (
        builtin_images(spec.name, access)
        if isinstance(spec, BuiltinData)
        else read_images(_images(spec), access=access)
    )
    found = [part for part in parts if isinstance(part, Labelled)]
    classes, y = np.unique(np.concatenate([part.y for part in found]), return_inverse=True)
    truth = Truth(y.astype(np.int64), tuple(classes.tolist()))
    return RowsToScore(len(y), lambda: _slices([part.x for part in found]), truth)


def _tests(request: ScoreRequest, split: Split, access: DataAccess) -> RowsToScore:
    data = load(request.data, split, task=Task.CLASSIFICATION, access=access, kinds=("images",))
    truth = Truth(data.test.y, data.classes)
    return RowsToScore(len(data.test), lambda: _slices([data.test.x]), truth)


def _images(spec: Any) -> ImageData:
    if not isinstance(spec, ImageData):
        raise TypeError(f"{spec.source} gives no images")
    return spec


def _slices(parts: Sequence[npt.NDArray[np.uint8]]) -> Iterator[Slice]:
    for part in parts:
        for start in range(0, len(part), IMAGES_AT_ONCE):
            yield Slice(np.ascontiguousarray(part[start : start + IMAGES_AT_ONCE]))
