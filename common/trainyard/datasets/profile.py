"""What is logged about a data set: its size, its columns, and how its target is spread. All of it is JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def profile(y: npt.NDArray[Any], classes: Sequence[Any] | None, *, columns: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Rows, columns with dtypes, rows a part, and the class balance or the target's range.

    `y` are the class indices or values of all rows; `classes` is None for regression.
    """
    described: dict[str, Any] = {"rows": len(y), "parts": dict(sizes)}
    if classes is None:
        described["target"] = {"min": float(y.min()), "mean": float(y.mean()), "max": float(y.max())}
    else:
        counts = np.bincount(y, minlength=len(classes))
        described["classes"] = {str(label): int(count) for label, count in zip(classes, counts, strict=True)}
    return {**described, "columns": dict(columns)}


def image_profile(y: npt.NDArray[Any], classes: Sequence[Any], *, shape: Sequence[int], sizes: Mapping[str, int]) -> dict[str, Any]:
    """As `profile`, with the shape of an image (height, width, channels) in the place of columns."""
    described = profile(y, classes, columns={}, sizes=sizes)
    return {**{key: value for key, value in described.items() if key != "columns"}, "image": list(shape)}
