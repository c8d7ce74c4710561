"""What a machine may lack for a moment: files, processes, threads and memory."""

import errno

SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def is_scarce(error: BaseException) -> bool:
    """Whether it says that, so that the same may be done a moment later."""
    if isinstance(error, OSError):
        return error.errno in SCARCE
    return isinstance(error, MemoryError)


def lacks_memory(error: BaseException) -> bool:
    """Whether it says that of memory: also where a file was to be mapped."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError)
