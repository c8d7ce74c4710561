"""What runs used."""

from typing import Annotated

from pydantic import Field, StringConstraints

from trainyard.contract.wire import Wire

Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
"""As in `2026-11`, in UTC."""


class Usage(Wire):
    """What one run used, by all its processes together. What nobody could see, because the service was killed, is null."""

    queue_seconds: float = Field(description="From the submit to the end, less `run_seconds`")
    run_seconds: float = Field(description="While it had a slot, and a process that ran or started")
    cpu_seconds: float | None = Field(None, description="Of the processors, by all its processes")
    gpu_seconds: float = Field(description="`run_seconds` times the GPUs that were its own")
    peak_memory_mb: int | None = Field(
        None,
        description="The most that its processes were seen to use together, in 2^20 bytes",
    )


class TeamUsage(Wire):
    """What the runs of one team used that ended in one month."""

    month: Month
    team: str | None = Field(description="Null for runs of nobody's team")
    runs: int
    finished: int = Field(description="Those of them that finished")
    queue_seconds: float
    run_seconds: float
    cpu_seconds: float
    gpu_seconds: float
    not_seen: int = Field(description="Runs whose `cpu_seconds` are null, and not in the sum")


class UsageReport(Wire):
    """What teams used, a month each, newest first."""

    service: str
    usage: list[TeamUsage]
