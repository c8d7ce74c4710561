"""A look at data before anything is trained on it."""

import pyarrow as pa

from trainyard.contract import BuiltinData, DataPreview, ImageData, ScoredData
from trainyard.datasets.access import DataAccess
from trainyard.datasets.builtin import builtin_table, known
from trainyard.datasets.images.pictures import inspect_images
from trainyard.datasets.tables.assemble import columns_of
from trainyard.datasets.tables.inspection import Head
from trainyard.datasets.tables.preview import Shown, preview_of, preview_table


def preview(spec: ScoredData, access: DataAccess) -> DataPreview:
    """What its first rows show; of images, that they can be read.

    Meant for a process with little memory and time, as `loading.inspect`. Raises `InvalidData`.
    """
    if isinstance(spec, BuiltinData):
        return _of_builtin(spec.name)
    if isinstance(spec, ImageData):
        inspect_images(spec, access=access)
        return DataPreview(kind="images", columns=[])
    return preview_table(spec, access)


def _of_builtin(name: str) -> DataPreview:
    if "table" not in known(name).kinds:
        return DataPreview(kind="images", columns=[])
    table: pa.Table = builtin_table(name)
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    shown = Shown(tuple(table.column_names), target="")
    head = Head(shown, types, columns_of(table), complete=True, about_rows=table.num_rows)
    return preview_of(head, name)
