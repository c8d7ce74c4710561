"""The index of a pandas frame, which pandas writes as a column beside the others.

It numbers the rows, and where they were sorted it gives the target away; a model that has it is asked for it at
prediction.
"""

import re

import pyarrow as pa

NAMELESS = re.compile(r"__index_level_\d+__|Unnamed: 0(\.\d+)?")
"""What pandas calls an index without a name in Parquet, and in a CSV that was written with one."""


def index_columns(schema: pa.Schema) -> frozenset[str]:
    """The columns that hold an index: by their name, or because the file's pandas metadata says so."""
    stated = (schema.pandas_metadata or {}).get("index_columns", [])
    named = {each for each in stated if isinstance(each, str)}
    return frozenset(name for name in schema.names if name in named or NAMELESS.fullmatch(name))
