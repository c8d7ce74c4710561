"""The header of one array in NumPy's own format, read without believing it.

Described at https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: a magic string, a version,
the header's length, and a Python dictionary with shape and dtype.
"""

import io
import math
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO, Any

import numpy as np

HEADER_BYTES = 10_000
"""NumPy's own limit; NumPy reads the header before it holds it against that."""


@dataclass(frozen=True)
class Header:
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header_bytes: int
    """Bytes before the values."""

    @property
    def size_bytes(self) -> int:
        """Bytes of header and values."""
        return self.header_bytes + math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> Header:
    """The header at the start of `stream`. Raises ValueError for a damaged or overlong one."""
    version = np.lib.format.read_magic(stream)
    length = stream.read(2 if version == (1, 0) else 4)
    size = int.from_bytes(length, "little")
    if size > HEADER_BYTES:
        message = f"a header of {size:,} bytes, and at most {HEADER_BYTES:,} are read"
        raise ValueError(message)
    text = io.BytesIO(length + stream.read(size))
    parse = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    try:
        shape, _, dtype = parse(text)
    except (MemoryError, RecursionError, SyntaxError, TokenError) as error:
        message = "a header that is not a Python dictionary"
        raise ValueError(message) from error
    if any(side < 0 for side in shape):
        message = f"the shape {shape}"
        raise ValueError(message)
    return Header(shape, dtype, np.lib.format.MAGIC_LEN + len(length) + size)
