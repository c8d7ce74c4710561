"""One feature to the values of each part, with categories learned from the training rows alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from trainyard.datasets.sketches import Sketch, category_sketch, column_sketch
from trainyard.datasets.splitting import Rows
from trainyard.datasets.tables.columns import (
    check_magnitude,
    check_usable,
    check_whole_numbers,
    codes,
    is_text,
    missing,
    numbers,
    plain,
)
from trainyard.errors import InvalidData


@dataclass(frozen=True)
class Feature:
    """A column to train on, checked: `is_category` says how its values are to be read."""

    name: str
    column: pa.ChunkedArray
    is_category: bool
    pointer: str


def feature(name: str, column: pa.ChunkedArray, *, is_category: bool, pointer: str) -> Feature:
    """Check a column. Raises `InvalidData` for lists and the like, nothing but missing values, and numbers beyond float32."""
    whole, column = column, plain(column)
    check_usable(name, column.type, pointer)
    if missing(column) == len(column):
        raise InvalidData(f"every value of the column {name!r} is missing; drop it", pointer)
    check_whole_numbers(whole, f"column {name!r}", pointer)
    is_category = is_category or is_text(column.type)
    if pt.is_floating(column.type):
        infinite = pc.sum(pc.is_inf(column)).as_py() or 0
        if infinite:
            raise InvalidData(
                f"the column {name!r} is infinite in {infinite} rows; leave those rows out, or drop it",
                pointer,
            )
        if not is_category:
            check_magnitude(numbers(column), f"column {name!r}", pointer)
    return Feature(name, column, is_category, pointer)


def parts_of(
    each: Feature, parts: Mapping[str, Rows], digest: Callable[[Any], None]
) -> tuple[dict[str, Any], Sketch]:
    """The values at the rows of each part: (rows,) arrays of numbers or dates, or categoricals of the categories in `train`.

    With them the sketch of all rows, in which a category counts whether or not a training row has it.

    `digest` is given the name and all values on the way.
    """
    digest(each.name.encode("utf-8", "backslashreplace"))
    if not each.is_category:
        values = numbers(each.column)
        digest(str(values.dtype).encode())
        plain_values = values.view(np.int64) if values.dtype.kind == "M" else values
        digest(np.ascontiguousarray(plain_values))
        return {part: values[rows] for part, rows in parts.items()}, column_sketch([values])
    found, labels = codes(each.column)
    digest(found)
    digest(repr(labels).encode("utf-8", "backslashreplace"))
    categories = seen(found[parts["train"]], labels)
    made = {part: categorical(found[rows], labels, categories) for part, rows in parts.items()}
    return made, _sketch(found, labels)


def _sketch(found: npt.NDArray[np.int32], labels: list[Any]) -> Sketch:
    counts = np.bincount(found + 1, minlength=len(labels) + 1)
    return category_sketch(counts[1:], pd.Index(labels, dtype=object), missing=int(counts[0]))


def seen(found: npt.NDArray[np.int32], labels: list[Any]) -> list[Any]:
    """The labels that occur among the codes `found`, sorted."""
    return sorted(labels[code] for code in np.unique(found) if code >= 0)


def categorical(
    found: npt.NDArray[np.int32], labels: list[Any], categories: list[Any]
) -> pd.Categorical:
    """Codes into `labels` as a categorical of `categories`; NaN where a label is not one of them."""
    positions = {label: position for position, label in enumerate(categories)}
    lookup = np.array([*(positions.get(label, -1) for label in labels), -1], dtype=np.int32)
    return pd.Categorical.from_codes(lookup[found], categories=pd.Index(categories))
