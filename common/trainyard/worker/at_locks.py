"""Where in Python's own code a signal's handler must not raise: a lock would stay taken, and threads wait for it for ever.

`with lock` is safe, and `try: … finally: lock.release()`, but not what stands before `try`, nor a lock's own
`__enter__` in Python. Of the process's threads any may take the signal, so that blocking it in one holds off nothing.
"""

import signal
from collections.abc import Callable
from types import CodeType, FrameType

AGAIN_SECONDS = 0.001
IN_THREADING = frozenset({"__enter__", "__exit__", "acquire", "release"})


def is_at_a_lock(frame: FrameType | None) -> bool:
    """Whether what was about to run takes a lock of `logging` or `threading`, or gives one back; no wait for one."""
    if frame is None:
        return False
    module, name = frame.f_globals.get("__name__"), frame.f_code.co_name
    return module == "logging" or (module == "threading" and name in IN_THREADING)


def interrupted_by(handler: CodeType, frame: FrameType | None) -> FrameType | None:
    """What was about to run as the first of the handler's calls came that are under way: another may come before one has returned."""
    place = frame
    while frame is not None:
        if frame.f_code is handler:
            place = frame.f_back
        frame = frame.f_back
    return place


def hear_again(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have the handler called once more in a moment, as by SIGALRM."""
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
