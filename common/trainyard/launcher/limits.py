"""Limits of a process that was forked to look at what comes from outside: memory, time, and no core file."""

import math
import resource
import signal
from contextlib import suppress
from pathlib import Path

import pyarrow as pa


def limit(*, memory_mb: int, seconds: float, threads: int = 1) -> None:
    """Memory beyond what the process was forked with, and time, also where the fork server ends first.

    `seconds` are of the clock; of the processor so many are allowed to each thread.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_mb * 2**20
    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve a GB of addresses at once
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    whole = math.ceil(seconds)
    signal.alarm(whole + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (whole * threads, whole * threads))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # where memory runs out, the kernel is to end this and not the service
        Path("/proc/self/oom_score_adj").write_text("500")
