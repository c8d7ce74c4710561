"""What ends a run or a trial, as one of the reasons there are."""

from errno import EDQUOT, ENOSPC

from trainyard.errors import DiskFull, OutOfMemory, RunError

NO_SPACE = frozenset({ENOSPC, EDQUOT})
"""What the kernel says of a volume that is full, or of which this user has no more."""


def classified(error: BaseException) -> RunError:
    """The error as one of the run's reasons, told by type, never by text."""
    if isinstance(error, RunError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory()
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return DiskFull()
    return RunError(f"{type(error).__name__}: {_text(error)}")


def _text(error: BaseException) -> str:
    """What the error says, as far as it can be said: it may come from anybody's code."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - its own text is broken
        return "it cannot say what it is"
