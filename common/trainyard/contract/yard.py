"""What a service has in hand, and what a run has measured."""

from pydantic import Field

from trainyard.contract.runs import Run
from trainyard.contract.wire import Wire


class YardState(Wire):
    """All that a service has in hand at one moment."""

    version: int = Field(
        description="Another one after each change; give it as `since` to wait for the next"
    )
    service: str
    slots: int = Field(description="Runs at once")
    queue_limit: int = Field(description="Runs that may wait")
    running: list[Run]
    waiting: list[Run] = Field(description="In the order in which they will start")
    ended: list[Run] = Field(description="Those that ended last, the newest first, 20 at most")


class Curves(Wire):
    """What a run measured round by round, 500 points of each metric at most."""

    metrics: dict[str, list[tuple[int, float]]] = Field(
        description="Name to pairs of step (round or epoch) and value, in order of steps"
    )
