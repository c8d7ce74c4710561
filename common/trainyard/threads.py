"""Threads that are there from the beginning.

A pool starts a thread when there is work for it, and where the container may have no more of them (`pids.max`), it
raises, although it has put the work into its queue: whoever asked for it knows nothing of what becomes of it.
"""

import threading
from concurrent.futures import ThreadPoolExecutor


def started(count: int, name: str) -> ThreadPoolExecutor:
    """So many threads that wait for work. Raises `RuntimeError` where there cannot be as many."""
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    all_here = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            pool.submit(all_here.wait)
    except BaseException:
        all_here.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    all_here.wait()
    return pool
