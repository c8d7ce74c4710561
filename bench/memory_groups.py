"""Processes that the kernel holds to so much memory together, where this user may make control groups of version 1."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

GROUPS = Path("/sys/fs/cgroup/memory")


def myself() -> list[int]:
    """This process, for a group of all that it starts."""
    return [os.getpid()]


@contextmanager
def memory_group(
    name: str, memory_mb: int, pids: Callable[[], Iterable[int]]
) -> Iterator[Path | None]:
    """A control group of so much memory, which these processes belong to, and what they start; None where there can be none.

    What they hold already is not counted to it.
    """
    group = GROUPS / f"bench-{os.getpid()}{name}"
    own = _own_group()
    if own is None:
        yield None
        return
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(memory_mb << 20))
    _move(pids(), group)
    try:
        yield group
    finally:
        _leave(group, own)


@retry(retry=retry_if_exception_type(OSError), wait=wait_fixed(0.1), stop=stop_after_delay(30))
def _leave(group: Path, own: Path) -> None:
    """Go back, with all who are still in the group; it can be removed once they have left their memory."""
    _move(map(int, (group / "cgroup.procs").read_text().split()), own)
    group.rmdir()


def _move(pids: Iterable[int], group: Path) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(str(pid))


def _own_group() -> Path | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, path = line.split(":", 2)
        if kind == "memory" and os.access(GROUPS, os.W_OK):
            return GROUPS / path.lstrip("/")
    return None
