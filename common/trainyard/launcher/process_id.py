"""The ids of processes, on this machine and on others: a number alone would be given to another process some day."""

import uuid
from collections.abc import Iterable
from pathlib import Path

PREFIX = "fork"
ELSEWHERE = "node"
JOINED = "+"
"""Stands between the ids of several ranks' processes in that of all together."""


def new_id_on(node: str) -> str:
    """`node:NODE:NONCE`, for a process that is to be started on that node of the cluster."""
    return f"{ELSEWHERE}:{node}:{uuid.uuid4().hex}"


def id_of_all(ids: Iterable[str]) -> str:
    """The id of several ranks' processes together, in the order of their ranks."""
    return JOINED.join(ids)


def ids_of_each(text: str) -> list[str]:
    """Those of the ranks in such an id; of one process alone its own."""
    return text.split(JOINED)


def node_of(text: str) -> str | None:
    """The node of such an id; None for what is no such id."""
    parts = text.split(":")
    return parts[1] if len(parts) == 3 and parts[0] == ELSEWHERE and all(parts) else None


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
    fields = stat(pid)
    return int(fields[19]) if fields else None


def stat(pid: int) -> list[str]:
    """What `proc(5)` says is in `/proc/PID/stat`, from the third field on, the state; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
