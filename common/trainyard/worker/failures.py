"""What ends a run or a trial, as one of the reasons there are."""

from trainyard.disk_space import is_full
from trainyard.errors import DiskFull, OutOfMemory, RunError


def classified(error: BaseException) -> RunError:
    """The error as one of the run's reasons, told by type, never by text."""
    if isinstance(error, RunError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory()
    if is_full(error):
        return DiskFull()
    return RunError(f"{type(error).__name__}: {_text(error)}")


def _text(error: BaseException) -> str:
    """What the error says, as far as it can be said: it may come from anybody's code."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - its own text is broken
        return "it cannot say what it is"
