"""The id of a process on this machine: a number alone would be given to another process some day."""

from pathlib import Path

PREFIX = "fork"


def process_id(pid: int) -> str:
    """`fork:PID:START_TICKS` of a process that runs or has not been reaped. Raises `ProcessLookupError`."""
    ticks = started_ticks(pid)
    if ticks is None:
        raise ProcessLookupError(f"no process {pid}")
    return f"{PREFIX}:{pid}:{ticks}"


def parsed(text: str) -> tuple[int, int] | None:
    """The process's number and when it started in clock ticks since boot; None for what is no such id."""
    prefix, _, rest = text.partition(":")
    pid, _, ticks = rest.partition(":")
    if prefix != PREFIX or not (pid.isdecimal() and ticks.isdecimal()):
        return None
    return int(pid), int(ticks)


def started_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None
