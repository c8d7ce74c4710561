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

from trainyard.datasets.columns import check_usable, codes, is_text, missing, numbers, plain
from trainyard.datasets.splitting import Rows
from trainyard.errors import InvalidData


@dataclass(frozen=True)
class Feature:
    """A column to train on, checked: `is_category` says how its values are to be read."""

    name: str
    column: pa.ChunkedArray
    is_category: bool
    pointer: str


def feature(name: str, column: pa.ChunkedArray, *, is_category: bool, pointer: str) -> Feature:
    """Check a column. Raises `InvalidData` for dates and the like, nothing but missing values, and infinity."""
    check_usable(name, column.type, pointer)
    column = plain(column)
    if missing(column) == len(column):
        raise InvalidData(f"every value of the column {name!r} is missing; drop it", pointer)
    is_category = is_category or is_text(column.type)
    if not is_category and pt.is_floating(column.type):
        infinite = pc.sum(pc.is_inf(column)).as_py() or 0
        if infinite:
            raise InvalidData(f"the column {name!r} is infinite in {infinite} rows; leave those rows out, or drop it", pointer)
    return Feature(name, column, is_category, pointer)


def parts_of(each: Feature, parts: Mapping[str, Rows], digest: Callable[[Any], None]) -> dict[str, Any]:
    """The values at the rows of each part: (rows,) arrays, or categoricals of the categories in `train`.

    `digest` is given the name and all values on the way.
    """
    digest(each.name.encode("utf-8", "backslashreplace"))
    if not each.is_category:
        values = numbers(each.column)
        digest(str(values.dtype).encode())
        digest(np.ascontiguousarray(values))
        return {part: values[rows] for part, rows in parts.items()}
    found, labels = codes(each.column)
    digest(found)
    digest(repr(labels).encode("utf-8", "backslashreplace"))
    categories = seen(found[parts["train"]], labels)
    return {part: categorical(found[rows], labels, categories) for part, rows in parts.items()}


def seen(found: npt.NDArray[np.int32], labels: list[Any]) -> list[Any]:
    """The labels that occur among the codes `found`, sorted."""
    return sorted(labels[code] for code in np.unique(found) if code >= 0)


def categorical(found: npt.NDArray[np.int32], labels: list[Any], categories: list[Any]) -> pd.Categorical:
    """Codes into `labels` as a categorical of `categories`; NaN where a label is not one of them."""
    positions = {label: position for position, label in enumerate(categories)}
    lookup = np.array([*(positions.get(label, -1) for label in labels), -1], dtype=np.int32)
    return pd.Categorical.from_codes(lookup[found], categories=pd.Index(categories))
