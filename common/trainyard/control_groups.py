"""Where the kernel says what the control group of this process may use and what it met, in version 2 and in version 1."""

from contextlib import suppress
from pathlib import Path

OWN = Path("/proc/self/cgroup")
"""Which groups this process is in, a line each kind."""
VERSION_2, VERSION_1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")


def memory_files(version_2: str, version_1: str) -> list[Path]:
    """The files by these names, which may not be there: of this process's own group first, then of those above it.

    In a container the group is the first of all that there are; a service of systemd has one further down.
    """
    found = []
    for root, name, path in (
        (VERSION_2, version_2, _group("")),
        (VERSION_1, version_1, _group("memory")),
    ):
        group = root / path
        found += [above / name for above in (group, *group.parents) if above.is_relative_to(root)]
    return found


def oom_kills() -> int:
    """Processes of this container or control group that the kernel killed for memory so far; 0 where it does not say."""
    for events in memory_files("memory.events", "memory.oom_control"):
        with suppress(OSError, KeyError, ValueError):
            counts = dict(line.split() for line in events.read_text().splitlines())
            return int(counts["oom_kill"])
    return 0


def _group(kind: str) -> str:
    """The path of this process's group below the first; empty where it is not said."""
    with suppress(OSError):
        for line in OWN.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kind in kinds.split(","):
                return path.strip("/")
    return ""
