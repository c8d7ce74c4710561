"""What the operating system says where a disk has no room."""

from errno import EDQUOT, ENOSPC

NO_SPACE = frozenset({ENOSPC, EDQUOT})
"""Of a volume that is full, and of one of which this user has no more."""


def is_full(error: BaseException) -> bool:
    """Whether the error says that a disk is full."""
    return isinstance(error, OSError) and error.errno in NO_SPACE
