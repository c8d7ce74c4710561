"""Bounds on memory for data that nobody has looked at yet."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from trainyard.control_groups import memory_files
from trainyard.datasets.sources.redaction import redacted
from trainyard.errors import InvalidData

DEFLATE_RATIO = 1032
"""Bytes that one byte of deflate (zip, gzip) unpacks to at most: https://zlib.net/zlib_tech.html."""


def available_mb() -> int:
    """The memory of this machine, or of this container or control group where that is less, in 2^20 bytes."""
    import psutil

    found = [psutil.virtual_memory().total]
    for limit in memory_files("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # `max` stands for none
            found.append(int(limit.read_text()))
    return min(found) >> 20


@contextmanager
def little_memory(uri: str, pointer: str) -> Iterator[None]:
    """Turn a MemoryError of a look at submit, whose process may use little memory, into `InvalidData`."""
    try:
        yield
    except MemoryError as error:
        raise InvalidData(
            f"the first rows or headers of {redacted(uri)!r} take more memory than a look at submit may use; write the data with smaller row groups, shorter values or fewer columns",
            pointer,
        ) from error


def check_fits(size_bytes: int, what: str, pointer: str) -> None:
    """Raise `InvalidData` for an array larger than this machine's memory, before anything is allocated."""
    import psutil

    memory = psutil.virtual_memory().total
    if size_bytes > memory:
        raise InvalidData(
            f"{what} takes {size_bytes / 1e9:,.1f} GB unpacked, and this machine has {memory / 1e9:,.1f} GB of memory; divide it, or save smaller images",
            pointer,
        )
