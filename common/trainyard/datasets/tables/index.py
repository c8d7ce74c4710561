"""What pandas writes of a frame beside its values: its index, as a column, and which columns are categoricals.

The index numbers the rows, and where they were sorted it gives the target away; a model that has it is asked for it at
prediction.
"""

import re

import pyarrow as pa
import pyarrow.types as pt

from trainyard.datasets.tables.columns import is_date

NAMELESS = re.compile(r"__index_level_\d+__|Unnamed: 0(\.\d+)?")
"""What pandas calls an index without a name in Parquet, and in a CSV that was written with one."""


def index_columns(schema: pa.Schema) -> frozenset[str]:
    """The columns that hold an index: by their name, or because the file's pandas metadata says so."""
    stated = (schema.pandas_metadata or {}).get("index_columns", [])
    named = {each for each in stated if isinstance(each, str)}
    return frozenset(name for name in schema.names if name in named or NAMELESS.fullmatch(name))


def categoricals(schema: pa.Schema) -> frozenset[str]:
    """The columns that were categoricals, which Parquet stores as plain values: numbers too."""
    named = {
        each.get("name")
        for each in (schema.pandas_metadata or {}).get("columns", [])
        if isinstance(each, dict) and each.get("pandas_type") == "categorical"
    }
    return frozenset(each.name for each in schema if each.name in named and not _holds_dates(each))


def _holds_dates(field: pa.Field) -> bool:
    kind = field.type.value_type if pt.is_dictionary(field.type) else field.type
    return is_date(kind)
