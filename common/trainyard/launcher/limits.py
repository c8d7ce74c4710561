"""Limits of a process that was forked to look at what comes from outside: memory, time, and no core file."""

import ctypes
import math
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def limit(*, memory_mb: int, seconds: float, threads: int = 1) -> None:
    """Memory beyond what the process was forked with, and time, also where the fork server ends first.

    `seconds` are of the clock; of the processor so many are allowed to each thread.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_mb * 2**20
    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve a GB of addresses at once
    _few_addresses(threads)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    whole = math.ceil(seconds)
    signal.alarm(whole + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (whole * threads, whole * threads))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # where memory runs out, the kernel is to end this and not the service
        Path("/proc/self/oom_score_adj").write_text("500")


def _few_addresses(threads: int) -> None:
    """Have libraries that start threads of their own (deltalake's Tokio) start few, whose allocations share their addresses.

    Of glibc each thread reserves 64 MB of addresses otherwise.
    """
    os.environ["TOKIO_WORKER_THREADS"] = str(threads)
    with suppress(AttributeError, OSError):  # another C library, which reserves nothing
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, threads)
