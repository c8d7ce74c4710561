"""What a run is given of the machine, and what there is."""

from datetime import datetime

from pydantic import Field

from trainyard.contract.wire import Wire
from trainyard.contract.words import Priority


class Resources(Wire):
    """What a run needs: each of its workers has so much. What is left out is as the service's settings say."""

    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Processes that train one model together, each with a slot and on its share of the rows, for models that say `distributed`; or that train the trials of a search",
    )
    cpus: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="CPUs that are the run's own: so many threads, on cores that no other run is given",
    )
    gpus: int | None = Field(
        None, ge=0, le=1024, description="GPUs that are the run's own, and the only ones it sees"
    )
    memory_mb: int | None = Field(
        None,
        ge=64,
        le=2**40,
        description="Memory, in 2^20 bytes, that the run's processes may use together; one that uses more ends `out_of_memory`",
    )


class Amount(Wire):
    """Of slots, CPUs, GPUs, or memory in 2^20 bytes."""

    total: int
    used: int = Field(description="By runs that have it")
    waited_for: int = Field(description="By all runs that wait, together")


class Share(Wire):
    """What one run has, or waits for."""

    run_id: str
    model: str
    submitted_by: str | None = None
    team: str | None = None
    priority: Priority = Priority.NORMAL
    submitted_at: datetime
    workers: int = Field(1, description="Processes that train together, which have a slot each")
    cpus: int = Field(description="Of all workers together, as all that follows")
    cores: list[int] = Field(
        default_factory=list, description="The cores that are its own; none where it may use any"
    )
    gpus: int = Field(0, description="GPUs that are its own")
    devices: list[str] = Field(default_factory=list, description="Those GPUs, by number or UUID")
    memory_mb: int | None = Field(
        None, description="The limits of its workers together; null where it has none"
    )
    queue_position: int | None = None
    waits_for: str | None = Field(None, description="Why it waits, and for whom")


class Capacity(Wire):
    """What a service has, who uses it, and who waits for it."""

    service: str
    slots: Amount
    cpus: Amount
    gpus: Amount
    memory_mb: Amount = Field(
        description="Used are the limits of the runs that have one, whatever they use of them"
    )
    running: list[Share]
    waiting: list[Share] = Field(description="In the order in which they start; at most 200")
    complaints: dict[str, str] = Field(
        default_factory=dict,
        description="Hosts that have joined and are given no runs for now, and why, such as a full disk",
    )
