"""What is logged about a data set: its size, its columns, and how its target is spread. All of it is JSON."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from trainyard.datasets.sketches import Sketch, target_sketch

MOST_SKETCHED = 2_000
"""Columns. A sketch takes about a kilobyte, so 60,000 would be a file that nobody opens."""


def profile(  # noqa: PLR0913 - what there is to say, each by name
    y: npt.NDArray[Any],
    classes: Sequence[Any] | None,
    *,
    columns: Mapping[str, str],
    sizes: Mapping[str, int],
    left_out: Sequence[str] = (),
    sketches: Mapping[str, Sketch] | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Rows, columns with dtypes, rows a part, the class balance or the target's range, and a sketch of each column.

    `left_out` are columns that hold a pandas index and were not asked for. `y` are the class indices or values of all rows; `classes` is None for regression.
    `warnings` are sentences that a person should read, and are not there where there are none.
    `sketches` are those of the features, of which the first `MOST_SKETCHED` are kept; there are none for images, of which only the target has a sketch.
    """
    described: dict[str, Any] = {"rows": len(y), "parts": dict(sizes)}
    if classes is None:
        described["target"] = {
            "min": float(y.min()),
            "mean": float(y.mean()),
            "max": float(y.max()),
        }
    else:
        counts = np.bincount(y, minlength=len(classes))
        described["classes"] = {
            str(label): int(count) for label, count in zip(classes, counts, strict=True)
        }
    if left_out:
        described["left_out"] = dict.fromkeys(
            left_out, "a pandas index; name it in features to use it"
        )
    if warnings:
        described["warnings"] = list(warnings)
    described["columns"] = dict(columns)
    described["sketches"] = _sketched(sketches or {}) | {"target": target_sketch(y, classes)}
    return described


def _sketched(sketches: Mapping[str, Sketch]) -> dict[str, Any]:
    """The first `MOST_SKETCHED` columns, and how many are `left_out`."""
    kept = dict(islice(sketches.items(), MOST_SKETCHED))
    left_out = len(sketches) - len(kept)
    return {"columns": kept} | ({"left_out": left_out} if left_out else {})


def image_profile(
    y: npt.NDArray[Any],
    classes: Sequence[Any],
    *,
    shape: Sequence[int],
    sizes: Mapping[str, int],
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """As `profile`, with the shape of an image (height, width, channels) in the place of columns."""
    described = profile(y, classes, columns={}, sizes=sizes, warnings=warnings)
    return {
        **{key: value for key, value in described.items() if key != "columns"},
        "image": list(shape),
    }
