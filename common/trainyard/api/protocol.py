"""What the routes need of a supervisor, and nothing else of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from trainyard.contract import ModelInfo, Run, RunPage, RunStatus, TrainRequest


class Runs(Protocol):
    """Takes training requests and knows every run of this service."""

    @property
    def models(self) -> Mapping[str, ModelInfo]:
        """The models by name; empty until the fork server is warm."""
        ...

    @property
    def broken_models(self) -> Mapping[str, str]:
        """Model files that did not load, and why."""
        ...

    async def start(self) -> None:
        """Take up the runs that an earlier process left."""
        ...

    async def stop(self) -> None:
        """Interrupt what trains and leave it to be taken up again."""
        ...

    async def submit(self, request: TrainRequest, key: str | None) -> tuple[Run, bool]:
        """The run for the request, and whether it was newly accepted. Raises `RequestError`."""
        ...

    async def get(self, run_id: str) -> Run:
        """The run as it stands. Raises `UnknownRun` or `Unavailable`."""
        ...

    async def wait(self, run_id: str, seconds: float, since: int | None) -> Run:
        """The run once it ended, or once its version passed `since`, or after `seconds`."""
        ...

    def live_json(self, run_id: str) -> bytes | None:
        """A live or recent run as JSON; None where only `get` can tell."""
        ...

    async def page(
        self,
        *,
        status: RunStatus | None,
        model: str | None,
        experiment: str | None,
        limit: int,
        cursor: str | None,
    ) -> RunPage:
        """Runs, newest first. Raises `Invalid` for a cursor that was never given out."""
        ...

    async def cancel(self, run_id: str) -> tuple[Run, bool]:
        """The run, and whether it was under way when it was asked to stop."""
        ...

    def log_path(self, run_id: str) -> Path | None:
        """The local training.log, if there is one."""
        ...

    async def log_text(self, run_id: str) -> str:
        """An ended run's log, read from MLflow."""
        ...

    async def problems(self) -> dict[str, str]:
        """Each part that is not ready, and what is wrong with it."""
        ...

    def statistics(self) -> dict[str, float]:
        """Gauges, and counters whose names end in `_total`, with labels in braces."""
        ...
